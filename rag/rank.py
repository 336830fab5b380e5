"""From a question's scores to an ordered list: one weighted sum, no rank fusion.

Pure: search and calibration both go through `rank`, so that a calibration sees exactly what a
question will see. Component scores are kept beside the sum, since the decision reads them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rag.keyword import Floats, KeywordState, Mask, TermScores
from rag.types import Language

# Weights of the sum. Keywords weigh 1; a vector weighs this much times the embedder's fitness for
# the question's language.
_VECTOR_WEIGHT = 1.5
_GRAMS_WEIGHT = 0.1
_HEADING_WEIGHT = 0.3  # of a nearest heading that asks the same, as in a list of questions
_SUBJECT_WEIGHT = 1.0
_NAMED_WEIGHT = 0.15  # of a name in the question itself: its terms count already
_SAME_LANGUAGE_WEIGHT = 0.1
_CONTEXT_WEIGHT = 0.3

_POOL = 50  # rows looked at closely: also what z-scores are measured against
_OTHER_LANGUAGE_QUOTA = 8  # rows of the pool kept for the other language, so that none is buried
_CLOSE = 30  # of them, those whose letters are compared and that may be shown
_SHOWN = 12
_PER_SOURCE_MAX = 5
_TWINS_SHARE_MIN = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question made ready for scoring. `fitness` 0..1 is the embedder's for its language.

    `named` are the titles and headings that the question itself says, `subjects` those that the
    talk before it was about, each with a strength 0..1.
    """

    text: str
    terms: tuple[str, ...]
    language: Language
    fitness: float = 0.0
    named: Mapping[str, float] = field(default_factory=dict[str, float])
    subjects: Mapping[str, float] = field(default_factory=dict[str, float])
    context: tuple[str, ...] = ()  # terms of the last turns, where no subject is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A row of the keyword index with its scores; see `rag.types.Candidate`.

    `subject` 0..1: how much the talk is about this entry; `bonus` is what that adds to `score`.
    """

    row: int
    score: float
    keyword: float
    grams: float
    vector: float | None
    coverage: float
    heading: float
    subject: float
    bonus: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What a question found, best first. The pools hold each leg's best scores, unordered."""

    query: Query
    hits: tuple[Hit, ...]
    scores: TermScores
    keyword_pool: Floats
    vector_pool: Floats
    best_keyword: tuple[int, ...]  # rows, best first
    best_vector: tuple[int, ...]


def rank(
    state: KeywordState,
    query: Query,
    cosines: Mapping[str, float] | None,
    *,
    visible: Mask,
    without: Mask | None = None,
) -> Ranking:
    """Order the visible rows. `cosines` by content hash; None when the vector leg did not run.

    Rows in `without` count as never indexed.
    """
    live = state.alive & visible if without is None else state.alive & visible & ~without
    rows = _score_rows(state, query, cosines, live=live, without=without)
    bm25 = rows.scores.bm25
    by_vector = np.zeros(len(bm25), np.float32) if rows.vectors is None else rows.vectors
    return Ranking(
        query=query,
        hits=_spread(state, _hits(state, query, rows)),
        scores=rows.scores,
        keyword_pool=_top_values(bm25, live),
        vector_pool=_top_values(by_vector, live),
        best_keyword=_top_rows(bm25, live),
        best_vector=_top_rows(by_vector, live),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RowScores:
    """All scores that are cheap to have for every row. `total` is below 0 for those not live."""

    scores: TermScores
    vectors: Floats | None
    subject: Floats
    bonus: Floats
    total: Floats
    live: Mask


def _score_rows(
    state: KeywordState,
    query: Query,
    cosines: Mapping[str, float] | None,
    *,
    live: Mask,
    without: Mask | None,
) -> _RowScores:
    scores = state.score(query.terms, without=without)
    vectors = _dense_cosines(state, cosines, live)
    named, carried = _strength(state, query.named), _strength(state, query.subjects)
    bonus = _NAMED_WEIGHT * named + _SUBJECT_WEIGHT * carried
    total = scores.bm25 + bonus + _SAME_LANGUAGE_WEIGHT * state.in_language(query.language)
    if vectors is not None:
        total = total + _VECTOR_WEIGHT * query.fitness * vectors
    if query.context:
        total = total + _CONTEXT_WEIGHT * state.score(query.context, without=without).bm25
    return _RowScores(
        scores=scores,
        vectors=vectors,
        subject=np.maximum(named, carried),
        bonus=bonus.astype(np.float32),
        total=np.where(live, total, -1.0).astype(np.float32),
        live=live,
    )


def _hits(state: KeywordState, query: Query, rows: _RowScores) -> list[Hit]:
    """The rows worth a closer look, with the scores that need one, best first."""
    pool = _pool(state, query, rows)
    headings = state.heading_match(query.terms, pool)
    sums = (rows.total[pool] + _HEADING_WEIGHT * headings).astype(np.float32)
    close = _close(state, pool, sums)
    grams = np.zeros(len(pool), np.float32)
    grams[close] = state.grams(query.text, [pool[at] for at in close])
    sums += _GRAMS_WEIGHT * grams
    return [
        Hit(
            row=pool[at],
            score=float(sums[at]),
            keyword=float(rows.scores.bm25[pool[at]]),
            grams=float(grams[at]),
            vector=None if rows.vectors is None else float(rows.vectors[pool[at]]),
            coverage=float(rows.scores.coverage[pool[at]]),
            heading=float(headings[at]),
            subject=float(rows.subject[pool[at]]),
            bonus=float(rows.bonus[pool[at]]),
        )
        for at in sorted(close, key=lambda at: -float(sums[at]))
    ]


def _dense_cosines(
    state: KeywordState, cosines: Mapping[str, float] | None, live: Mask
) -> Floats | None:
    """A cosine for every row. One not found is at most as near as the farthest one found."""
    if cosines is None:
        return None
    rows = [
        (row, cosine) for name, cosine in cosines.items() for row in state.by_hash.get(name, ())
    ]
    rows = [(row, cosine) for row, cosine in rows if live[row]]
    dense = np.full(len(state.rows), min((cosine for _, cosine in rows), default=0.0), np.float32)
    for row, cosine in rows:
        dense[row] = cosine
    return np.maximum(dense, 0.0)


def _strength(state: KeywordState, names: Mapping[str, float]) -> Floats:
    """For each row the strength of the strongest name that it stands under."""
    strength = np.zeros(len(state.rows), np.float32)
    for name, value in names.items():
        rows = state.by_name.get(name, [])
        strength[rows] = np.maximum(strength[rows], value)
    return strength


def _pool(state: KeywordState, query: Query, rows: _RowScores) -> list[int]:
    """The best rows by the sum, by keywords alone, of the other language, and of each source."""
    other = np.where(~state.in_language(query.language) & rows.live, rows.total, -1.0)
    chosen = [
        *_best(rows.total, _POOL),
        *_best(np.where(rows.live, rows.scores.bm25, -1.0), 10),
        *_best(other, _OTHER_LANGUAGE_QUOTA),
        *_best_of_sources(state, rows.total, rows.live),
    ]
    return [row for row in dict.fromkeys(chosen) if rows.live[row]]


def _best_of_sources(state: KeywordState, total: Floats, live: Mask) -> list[int]:
    """The best row of each of the best sources."""
    if not live.any():
        return []
    best = np.full(int(state.sources.max()) + 1, -1.0, np.float32)
    np.maximum.at(best, state.sources[live], total[live])
    heads = np.flatnonzero(live & (total >= best[state.sources]))
    return [int(heads[at]) for at in _best(total[heads], _SHOWN)]


def _close(state: KeywordState, pool: Sequence[int], sums: Floats) -> list[int]:
    """Places in the pool that are worth comparing closely: a source's best first, not all of it."""
    first: list[int] = []
    rest: list[int] = []
    taken: dict[int, int] = {}
    for at in np.argsort(-sums, kind="stable").tolist():
        source = int(state.sources[pool[at]])
        taken[source] = taken.get(source, 0) + 1
        (first if taken[source] <= _PER_SOURCE_MAX else rest).append(at)
    return (first + rest)[:_CLOSE]


def _best(values: Floats, limit: int) -> list[int]:
    rows = np.arange(len(values))
    top = np.argpartition(-values, limit)[:limit] if len(values) > limit else rows
    # Rows of equal score come in their own order, so that the same question has one answer.
    return [int(row) for row in top[np.lexsort((top, -values[top]))]]


def _top_values(values: Floats, live: Mask) -> Floats:
    some = values[live]
    return np.sort(some if len(some) <= _POOL else np.partition(some, -_POOL)[-_POOL:])


def _top_rows(values: Floats, live: Mask) -> tuple[int, ...]:
    return tuple(row for row in _best(np.where(live, values, 0.0), 5) if values[row] > 0)


def _spread(state: KeywordState, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The list as it is shown: an entry once, by its best wording; no near-identical chunks; no
    source that fills it."""
    kept: list[Hit] = []
    later: list[Hit] = []
    shown: list[set[int]] = []
    entries: set[str] = set()
    per_source: dict[str, int] = {}
    for hit in hits:
        if len(kept) == _SHOWN:
            break
        row = state.rows[hit.row]
        if row.entry.answers_as in entries:
            continue
        entries.add(row.entry.answers_as)
        terms = {*row.terms.tolist()}
        if any(_are_twins(terms, other) for other in shown):
            continue
        shown.append(terms)
        source = row.entry.source_id
        per_source[source] = per_source.get(source, 0) + 1
        (kept if per_source[source] <= _PER_SOURCE_MAX else later).append(hit)
    return tuple((kept + later)[:_SHOWN])


def _are_twins(one: set[int], other: set[int]) -> bool:
    """Whether two chunks share nearly all their terms."""
    small, large = sorted((len(one), len(other)))
    if small < _TWINS_SHARE_MIN * large:
        return False
    common = len(one & other)
    return common >= _TWINS_SHARE_MIN * (small + large - common)
