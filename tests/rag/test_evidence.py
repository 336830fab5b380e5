"""The numbers a decision stands on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag.evidence import FEATURES, as_row, features
from rag.language import content_terms, detect
from rag.rank import Query, Ranking, rank
from tests.rag.test_keyword import TEXTS, index_of

STATE = index_of(TEXTS).state


def ranked(question: str, *, vectors: dict[str, float] | None = None) -> Ranking:
    query = Query(
        text=question,
        terms=tuple(content_terms(question)),
        language=detect(question),
        fitness=1.0 if vectors is not None else 0.0,
    )
    return rank(STATE, query, vectors, visible=STATE.alive)


def test_every_feature_is_there_whatever_was_asked() -> None:
    """A record always names the same numbers."""
    for question in ("refund", "zebra", "", "退款"):
        assert set(features(STATE, ranked(question))) == set(FEATURES)


def test_a_known_question_has_better_numbers_than_an_unknown_one() -> None:
    """Coverage, score and missing terms all tell the two apart."""
    known = features(STATE, ranked("when is a refund paid"))
    unknown = features(STATE, ranked("when is the zebra fed"))

    assert known["fused_top"] > unknown["fused_top"]
    assert known["coverage_top"] == 1
    assert unknown["unknown_share"] == 1
    assert known["rarest_missing"] < unknown["rarest_missing"]


def test_the_missing_term_of_a_look_alike_is_seen() -> None:
    """A passage about the same thing but another product lacks the question's rarest term."""
    seen = features(STATE, ranked("does the QR-9999 printer need paper"))

    assert seen["coverage_top"] > 0.3
    assert seen["rarest_missing"] == 1


def test_without_vectors_their_numbers_are_zero() -> None:
    """A leg that did not run says nothing, neither for nor against."""
    without = features(STATE, ranked("refund"))
    vectors = {"hash of 0": 0.8, "hash of 1": 0.1}
    with_them = features(STATE, ranked("refund", vectors=vectors))

    assert without["vector_top"] == without["agreement"] == without["fitness"] == 0
    assert with_them["vector_top"] > 0.7
    assert with_them["same_top"] == 1


def test_a_row_has_the_order_of_the_names() -> None:
    """Numbers of an old record that lacks a name count as 0."""
    row = as_row({FEATURES[2]: 0.5})

    assert row.tolist() == [0.5 if at == 2 else 0.0 for at in range(len(FEATURES))]


@given(st.text(max_size=120))
def test_numbers_are_finite_for_any_text(question: str) -> None:
    """Nothing a person types breaks the evidence."""
    assert np.isfinite(as_row(features(STATE, ranked(question)))).all()
