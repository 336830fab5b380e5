"""What a ranking says about whether the question can be answered: about twenty named numbers.

Pure, and made before any model call. Calibration turns them into a probability; a record keeps
them, so that a decision can be explained in their words.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rag.keyword import Floats, KeywordState
from rag.rank import Hit, Ranking
from rag.turns import looks_asking

_WINDOW = {"en": 32, "zh": 48}  # terms: about two sentences

FEATURES = (
    "fused_top",
    "fused_margin",
    "keyword_top",
    "keyword_margin",
    "keyword_z",
    "vector_top",
    "vector_margin",
    "vector_z",
    "grams_top",
    "coverage_top",
    "coverage_any",
    "window_top",
    "rarest_missing",
    "unknown_share",
    "agreement",
    "same_top",
    "title_share",
    "heading_match",
    "subject",
    "question_terms",
    "asking",
    "faq",
    "same_language",
    "fitness",
)


def features(state: KeywordState, ranking: Ranking) -> dict[str, float]:
    """Every one of FEATURES, 0.0 where nothing was found. Needs no clock, database or model."""
    if not ranking.hits or not ranking.query.terms:
        return dict.fromkeys(FEATURES, 0.0) | {"unknown_share": 1.0, "rarest_missing": 1.0}
    top, query, scores = ranking.hits[0], ranking.query, ranking.scores
    entry = state.rows[top.row].entry
    rivals = [hit for hit in ranking.hits[1:] if hit.row != top.row]
    missing = ~scores.found[:, top.row]
    heaviest = float(scores.weights.max())
    return {
        "fused_top": top.score - top.bonus,
        "fused_margin": top.score - max((hit.score for hit in rivals), default=0.0),
        "keyword_top": top.keyword,
        "keyword_margin": top.keyword - max((hit.keyword for hit in rivals), default=0.0),
        "keyword_z": _standing(top.keyword, ranking.keyword_pool),
        "vector_top": (top.vector or 0.0) * query.fitness,
        "vector_margin": query.fitness * _vector_margin(top, rivals),
        "vector_z": query.fitness * _standing(top.vector or 0.0, ranking.vector_pool),
        "grams_top": top.grams,
        "coverage_top": top.coverage,
        "coverage_any": max(hit.coverage for hit in ranking.hits),
        "window_top": state.window(scores, top.row, size=_WINDOW[query.language]),
        "rarest_missing": float(scores.weights[missing].max(initial=0.0)) / max(heaviest, 1e-9),
        "unknown_share": float((scores.frequency == 0).mean()),
        "agreement": query.fitness * _agreement(ranking),
        "same_top": query.fitness * float(ranking.best_keyword[:1] == ranking.best_vector[:1]),
        "title_share": _title_share(state, ranking),
        "heading_match": top.heading,
        "subject": top.subject,
        "question_terms": math.log1p(len(query.terms)),
        "asking": float(looks_asking(query.text)),
        "faq": float(entry.kind == "faq"),
        "same_language": float(entry.language == query.language),
        "fitness": query.fitness,
    }


def as_row(values: Mapping[str, float]) -> Floats:
    """The numbers in the order of FEATURES; one a record does not have counts as 0."""
    return np.array([values.get(name, 0.0) for name in FEATURES], np.float32)


def _standing(value: float, pool: Floats) -> float:
    """How many deviations `value` stands above the rest of the pool, at most 10."""
    if len(pool) < 3:
        return 0.0
    rest = pool[:-1]
    return float(np.clip((value - rest.mean()) / max(float(rest.std()), 0.02), -10.0, 10.0))


def _vector_margin(top: Hit, rivals: Sequence[Hit]) -> float:
    return (top.vector or 0.0) - max((hit.vector or 0.0 for hit in rivals), default=0.0)


def _agreement(ranking: Ranking) -> float:
    """Share of the keyword leg's best five that the vector leg has among its best five."""
    if not ranking.best_keyword:
        return 0.0
    common = set(ranking.best_keyword) & set(ranking.best_vector)
    return len(common) / len(ranking.best_keyword)


def _title_share(state: KeywordState, ranking: Ranking) -> float:
    """The weight of the question's terms that stand in the best entry's title and headings."""
    row, scores = state.rows[ranking.hits[0].row], ranking.scores
    heading = set(row.terms[: row.heading_terms].tolist())
    inside = [state.vocabulary.get(term, -1) in heading for term in scores.terms]
    return float(scores.weights @ np.array(inside, np.float32)) / max(
        float(scores.weights.sum()), 1e-9
    )
