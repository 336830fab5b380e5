"""How good answering is on a set of questions with known answers: pure figures.

A data set is a folder of two files with one JSON object a line. `kb.jsonl`: id, title, text, lang
and perhaps group (entries of one document). `queries.jsonl`: id, text, lang, relevant (ids of
`kb.jsonl`), answerable, kind, split, and where it applies history (role, text), cross.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rag.types import Action, Turn

_T = TypeVar("_T")
_KEPT = 0.9  # of the right answers, when false answers are counted


class BadDataSet(Exception):
    """A folder that cannot be evaluated; the text names file, line and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalEntry:
    """One line of `kb.jsonl`."""

    id: str
    title: str
    text: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalQuery:
    """One line of `queries.jsonl`."""

    id: str
    text: str
    language: str
    relevant: tuple[str, ...]
    answerable: bool
    kind: str
    split: str
    history: tuple[Turn, ...]
    cross: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    entries: tuple[EvalEntry, ...]
    queries: tuple[EvalQuery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOutcome:
    """What happened to one query. `rank` of its first relevant entry, from 1; 0: not found."""

    query: EvalQuery
    rank: int
    p: float
    action: Action
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Shares 0..1; None where there is nothing to measure it on.

    `far_at_90` is the share of unanswerable questions that a cut which keeps 90 % of the
    answerable ones would answer. `answered` and `false_answers` are at the cuts in force;
    `wrong_when_answered` counts answers whose first passage is not a relevant one.
    """

    queries: int
    r_at_1: float | None
    r_at_5: float | None
    mrr: float | None
    auroc: float | None
    far_at_90: float | None
    answered: float | None
    suggested: float | None
    false_answers: float | None
    wrong_when_answered: float | None


def read_set(folder: Path) -> EvalSet:
    """The data set in a folder. Raises BadDataSet."""
    entries = tuple(_read(folder / "kb.jsonl", _entry))
    queries = tuple(_read(folder / "queries.jsonl", _query))
    if not entries:
        raise BadDataSet(f"{folder / 'kb.jsonl'}: it has no entry")
    known = {entry.id for entry in entries}
    for query in queries:
        if missing := set(query.relevant) - known:
            raise BadDataSet(
                f"{folder / 'queries.jsonl'}: query {query.id} names the entry "
                f"{min(missing)!r}, which kb.jsonl does not have"
            )
    return EvalSet(entries=entries, queries=queries)


def measure(outcomes: Sequence[EvalOutcome]) -> Measures:
    """The figures over these outcomes."""
    right = [one for one in outcomes if one.query.answerable]
    other = [one for one in outcomes if not one.query.answerable]
    ranks = np.array([one.rank for one in right], np.float64)
    yes = np.array([one.p for one in right], np.float64)
    no = np.array([one.p for one in other], np.float64)
    answered = [one for one in outcomes if one.action == "answer"]
    return Measures(
        queries=len(outcomes),
        r_at_1=_mean(ranks == 1),
        r_at_5=_mean((ranks >= 1) & (ranks <= 5)),
        mrr=_mean(np.where(ranks > 0, 1 / np.maximum(ranks, 1), 0.0)),
        auroc=auroc(yes, no) if len(yes) and len(no) else None,
        far_at_90=_far(yes, no) if len(yes) and len(no) else None,
        answered=_mean([one.action == "answer" for one in right]),
        suggested=_mean([one.action == "suggest" for one in right]),
        false_answers=_mean([one.action == "answer" for one in other]),
        wrong_when_answered=_mean([one.rank != 1 for one in answered]),
    )


def by(
    outcomes: Iterable[EvalOutcome], key: Callable[[EvalOutcome], str]
) -> Mapping[str, Sequence[EvalOutcome]]:
    """The outcomes in groups, by name."""
    groups: dict[str, list[EvalOutcome]] = {}
    for one in outcomes:
        groups.setdefault(key(one), []).append(one)
    return dict(sorted(groups.items()))


def auroc(yes: npt.NDArray[np.float64], no: npt.NDArray[np.float64]) -> float:
    """How often a random one of `yes` is above a random one of `no`; ties count half."""
    ordered = np.sort(no)
    below = np.searchsorted(ordered, yes, side="left")
    not_above = np.searchsorted(ordered, yes, side="right")
    return round(float((below + not_above).sum() / 2 / (len(yes) * len(no))), 4)


def _far(yes: npt.NDArray[np.float64], no: npt.NDArray[np.float64]) -> float:
    cut = float(np.quantile(yes.tolist(), 1 - _KEPT))
    return round(sum(p >= cut for p in no.tolist()) / len(no), 4)


def _mean(values: Any) -> float | None:
    return round(float(np.asarray(values, np.float64).mean()), 4) if len(values) else None


def _read(path: Path, parse: Callable[[dict[str, Any]], _T]) -> Iterable[_T]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadDataSet(f"{path}: {error}") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield parse(json.loads(line))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                what = f"the field {error} is missing" if isinstance(error, KeyError) else error
                raise BadDataSet(f"{path}, line {number}: {what}") from None


def _entry(line: dict[str, Any]) -> EvalEntry:
    return EvalEntry(
        id=_text(line, "id"),
        title=_text(line, "title"),
        text=_text(line, "text"),
        group=str(line.get("group") or line["id"]),
    )


def _query(line: dict[str, Any]) -> EvalQuery:
    history = tuple(
        Turn("customer" if turn["role"] == "user" else "agent", _text(turn, "text"))
        for turn in line.get("history", [])
    )
    return EvalQuery(
        id=_text(line, "id"),
        text=_text(line, "text"),
        language=_text(line, "lang"),
        relevant=tuple(line["relevant"]),
        answerable=bool(line["answerable"]),
        kind=str(line.get("kind", "")),
        split=str(line.get("split", "test")),
        history=history,
        cross=bool(line.get("cross", False)),
    )


def _text(line: dict[str, Any], name: str) -> str:
    value = line[name]
    if not isinstance(value, str):
        raise TypeError(f"the field {name!r} is not a text")
    return value
