"""`tandem kb eval`: the measures of answering on a data set."""

from collections.abc import Callable
from pathlib import Path

from rich.progress import Progress, TaskID

from commands.deployment import Deployment
from commands.embedder import load_embedder
from commands.failures import WRONG, CommandFailed
from commands.screen import hint, print_json, print_table, progress, say
from rag.evaluate import EvalReport, evaluate_folder
from rag.measure import BadDataSet, Measures


def evaluate(file: Path | None, folder: Path, *, json: bool) -> None:
    """Print the measures of one data set folder. Your own knowledge base is left alone."""
    deployment = Deployment.read(file)
    if not folder.is_dir():
        raise CommandFailed(f"{folder}: there is no such folder", WRONG)
    hint("Loading the embedder.")
    embedder = load_embedder(deployment.settings.rag.embedder)
    try:
        with progress("steps") as bars:
            report = evaluate_folder(folder, embedder=embedder, on_progress=_shown_in(bars))
    except BadDataSet as error:
        raise CommandFailed(str(error)) from None
    if json:
        print_json(report)
    else:
        _print(report)


def _shown_in(bars: Progress) -> Callable[[str, int, int], None]:
    """A bar for each step, as the steps come."""
    tasks: dict[str, TaskID] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = bars.add_task(step, total=total)
        bars.update(tasks[step], completed=done, total=total)

    return show


def _print(report: EvalReport) -> None:
    say(f"{report.name}: {report.entries} entries, {report.passages} passages, {report.embedder}")
    rows = [("all", report.overall)]
    rows += [(f"language {name}", one) for name, one in report.per_language.items()]
    rows += [(f"kind {name}", one) for name, one in report.per_kind.items()]
    if report.cross_language:
        rows.append(("across languages", report.cross_language))
    print_table(
        ("questions", "n", "R@1", "R@5", "AUROC", "false at 90 %", "answered", "false", "wrong"),
        [(name, *_cells(one)) for name, one in rows],
    )
    say(f"An answer took {report.p50_ms} ms (median), {report.p95_ms} ms (95 %).")


def _cells(one: Measures) -> list[str]:
    shares = (
        one.r_at_1, one.r_at_5, one.auroc, one.far_at_90, one.answered, one.false_answers,
        one.wrong_when_answered,
    )  # fmt: skip
    return [str(one.queries), *("–" if share is None else f"{share:.3f}" for share in shares)]
