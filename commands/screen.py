"""What the commands print: results on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text


def language() -> str:
    """The language of the terminal, "zh" or "en", by the variables that all programs read."""
    named = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "zh" if named.lower().startswith("zh") else "en"


def say(text: str = "") -> None:
    """A line on stdout."""
    typer.echo(text)


def hint(text: str) -> None:
    """A line on stderr: progress and remarks never end up in somebody's pipe."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """`value` on one line, as the last line of stdout. Values may be dataclasses."""
    import msgspec

    say(msgspec.json.encode(value).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as the terminal; plain lines with tabs into a pipe."""
    rows = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            say("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # a cell is never read as markup
    Console().print(table)


def progress(unit: str) -> Progress:
    """Bars on stderr with done of all, rate and time left; `unit` is what is counted."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=False,
    )


class _Rate(TextColumn):
    """How many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__("")
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {self._unit}/s" if speed else "", style="dim")
