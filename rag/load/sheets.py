"""Tables of cells: CSV and Excel. A sheet that lists questions becomes entries, any other one a
table document."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from typing import Any

from rag.errors import SourceUnreadable
from rag.load.broken import reading
from rag.load.kinds import encrypted
from rag.load.package import refuse_unfit_package
from rag.load.questions import Rows, entries_of, layout_of
from rag.load.text import decode, stem, tidy
from rag.load.values import FaqEntry, Loaded
from rag.types import Words

CELL_CHARS_MAX = 32_767  # of a cell in Excel; no cell of a CSV needs more
COLUMNS_MAX = 200
_DELIMITERS = ",;\t|"
_SNIFFED_LINES = 50
_BLOCK_CHARS = 500  # of table rows under one repeated header, so that a passage knows its columns


def load_csv(name: str, content: bytes) -> Loaded:
    """A list with one entry or row a line."""
    text, warnings = decode(content)
    csv.field_size_limit(CELL_CHARS_MAX)
    try:
        rows = [[cell.strip() for cell in row] for row in _records(text)]
    except csv.Error as error:
        raise SourceUnreadable(
            f"It is not a CSV file: {error}. Export it anew from your spreadsheet.",
            "这不是有效的 CSV 文件。请从电子表格中重新导出。",
        ) from error
    return _loaded(name, [("", _filled(rows))], warnings)


def load_xlsx(name: str, content: bytes) -> Loaded:
    """All sheets of a workbook; hidden ones too, since whoever hid them can take them out."""
    refuse_unfit_package(content, part="xl/workbook.xml")
    from python_calamine import CalamineWorkbook, PasswordError

    with reading("xlsx"):
        try:
            book = CalamineWorkbook.from_filelike(io.BytesIO(content))
            sheets = [
                (title, _filled([[_cell(c) for c in row] for row in sheet.iter_rows()]))
                for title in book.sheet_names
                if (sheet := book.get_sheet_by_name(title)).height
            ]
        except PasswordError as error:
            raise encrypted() from error
    return _loaded(name, sheets, ())


def _records(text: str) -> Iterable[list[str]]:
    lines = text.split("\n")
    if lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:  # Excel's own mark
        return csv.reader(io.StringIO("\n".join(lines[1:])), delimiter=lines[0].strip()[4])
    return csv.reader(io.StringIO(text), delimiter=_delimiter(lines[:_SNIFFED_LINES]))


def _delimiter(lines: Sequence[str]) -> str:
    """The one that cuts most lines into the same number of cells, and into most of them."""

    def merit(mark: str) -> tuple[int, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=mark) if row]
        usual = max(set(counts), key=counts.count, default=1)
        return (counts.count(usual) if usual > 1 else 0, usual)

    return max(_DELIMITERS, key=merit)


def _cell(value: Any) -> str:
    """A cell as a person sees it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**15:
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return str(value).strip()[:CELL_CHARS_MAX]


def _filled(rows: Sequence[Sequence[str]]) -> Rows:
    """Rows of one width, without empty columns at their end. Raises SourceUnreadable for too many
    columns."""
    width = max((at + 1 for row in rows for at, cell in enumerate(row) if cell), default=0)
    if width > COLUMNS_MAX:
        raise SourceUnreadable(
            f"A sheet of it has {width} columns; {COLUMNS_MAX} are the limit. Keep those that"
            " hold text.",
            f"其中一个工作表有 {width} 列，上限为 {COLUMNS_MAX} 列。请只保留有文字的列。",
        )
    return [[*row[:width], *[""] * (width - len(row))] for row in rows] if width else []


def _loaded(name: str, sheets: Sequence[tuple[str, Rows]], warnings: tuple[Words, ...]) -> Loaded:
    entries: list[FaqEntry] = []
    tables: list[str] = []
    notes = list(warnings)
    filled = [(title, rows) for title, rows in sheets if rows]
    for title, rows in filled:
        section = title if len(filled) > 1 else ""
        layout = layout_of(rows)
        if layout is None:
            tables.append(_table(title or stem(name), [row for row in rows if any(row)]))
            continue
        found, skipped = entries_of(rows, layout, section=section)
        entries += found
        if skipped:
            notes.append(_skipped(skipped, title))
    markdown = tidy("\n\n".join(tables)) if tables else ""
    return Loaded(
        title=stem(name), markdown=markdown, entries=tuple(entries), warnings=tuple(notes)
    )


def _skipped(rows: Sequence[int], title: str) -> Words:
    where = ", ".join(map(str, rows[:10])) + (" …" if len(rows) > 10 else "")
    sheet = f"“{title}”, " if title else ""
    return Words(
        f"{sheet}rows {where}: a question or an answer is missing; {len(rows)} left out.",
        f"{sheet}第 {where} 行缺少问题或答案，共略过 {len(rows)} 行。",
    )


def _table(title: str, rows: Rows) -> str:
    """A heading and the rows below their header, which is repeated every few rows: however the
    table is cut, a row stands with the names of its columns."""
    header, *body = rows if len(rows) > 1 else [[""] * len(rows[0]), *rows]
    above = f"{_line(header)}\n|{' --- |' * len(header)}"
    blocks: list[str] = []
    block: list[str] = []
    for row in body:
        line = _line(row)
        if block and sum(map(len, block)) + len(line) + len(above) > _BLOCK_CHARS:
            blocks.append("\n".join([above, *block]))
            block = []
        block.append(line)
    blocks.append("\n".join([above, *block]))
    return f"# {title}\n\n" + "\n\n".join(blocks)


def _line(row: Sequence[str]) -> str:
    cells = (" ".join(cell.split()).replace("|", "\\|") for cell in row)
    return f"| {' | '.join(cells)} |"
