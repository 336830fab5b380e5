"""The keyword index: it finds, it follows what is live, and it can forget a document exactly."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.keyword import Entry, KeywordIndex, KeywordState
from rag.language import content_terms, detect

TEXTS = [
    "A refund is paid within 14 days.",
    "Parcels are delivered by DHL in three days.",
    "退款会在十四天内到账。",
    "The QR-3200X printer needs paper.",
]


def entry(name: str, text: str, *, title: str = "", heading: str = "") -> Entry:
    return Entry(
        chunk_id=name,
        revision_id=f"revision of {name}",
        source_id=f"source of {name}",
        content_hash=f"hash of {name}",
        language=detect(text),
        audience="public",
        kind="text",
        title=title,
        heading_path=(heading,) if heading else (),
    )


def index_of(texts: Sequence[str]) -> KeywordIndex:
    index = KeywordIndex()
    index.update([(entry(str(at), text), text) for at, text in enumerate(texts)])
    return index


def best(state: KeywordState, question: str) -> str:
    scores = state.score(content_terms(question))
    return state.rows[int(np.argmax(scores.bm25))].entry.chunk_id


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("how do refunds work", "0"),
        ("who delivers my parcel?", "1"),
        ("退款多久到账", "2"),
        ("printer qr-3200x", "3"),
    ],
)
def test_a_passage_is_found_by_its_words(question: str, found: str) -> None:
    """Inflected words, Chinese pairs and product codes all lead to their passage."""
    assert best(index_of(TEXTS).state, question) == found


def test_a_heading_counts_as_part_of_its_passage() -> None:
    """A passage is found by the words above it."""
    index = KeywordIndex()
    index.update(
        [
            (entry("a", "Press the button.", heading="Handing back"), "Press the button."),
            (entry("b", "Press the key.", heading="Opening"), "Press the key."),
        ]
    )

    assert best(index.state, "handing back") == "a"
    assert index.state.heading_match(["hand", "back"], [0, 1]).tolist() == [1.0, 0.0]


def test_scores_are_shares_of_what_the_question_could_reach() -> None:
    """A question whose words nobody has scores 0; one that is all there comes near 1."""
    state = index_of(TEXTS).state

    assert state.score(["zebra", "yacht"]).bm25.max() == 0
    assert state.score(content_terms("refund paid days")).coverage.max() == pytest.approx(1)
    assert 0 < state.score(content_terms("refund zebra")).bm25.max() < 0.6


def test_what_was_taken_out_is_not_found() -> None:
    """A removed revision disappears at once, and its statistics with it."""
    index = index_of(TEXTS)
    index.update([], [("revision of 0", "public")])

    scores = index.state.score(["refund"])

    assert len(index) == 3
    assert scores.bm25.max() == 0
    assert scores.frequency.tolist() == [0]
    assert ("revision of 0", "public") not in index.editions()


def test_a_search_keeps_its_view_while_the_index_moves_on() -> None:
    """An update never disturbs a search that runs beside it."""
    index = index_of(TEXTS)
    before = index.state
    index.update(
        [(entry("new", "A refund in cash."), "A refund in cash.")], [("revision of 0", "public")]
    )

    assert before.score(["refund"]).frequency.tolist() == [1]
    assert best(index.state, "refund cash") == "new"


words = st.sampled_from(["alpha", "beta", "gamma", "delta", "退款", "转人工", "x-1"])
texts = st.lists(st.lists(words, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=12)


@settings(max_examples=60)
@given(texts=texts, question=st.lists(words, min_size=1, max_size=4).map(" ".join), data=st.data())
def test_leaving_a_row_out_is_the_same_as_never_having_had_it(
    texts: list[str], question: str, data: st.DataObject
) -> None:
    """Calibration stands on this: every score is exactly that of a base without the row."""
    out = data.draw(st.integers(0, len(texts) - 1))
    full = index_of(texts).state
    without = np.arange(len(texts)) == out
    rest = index_of([text for at, text in enumerate(texts) if at != out]).state
    terms = content_terms(question)

    left, never = full.score(terms, without=without), rest.score(terms)

    np.testing.assert_allclose(left.weights, never.weights, rtol=1e-6)
    np.testing.assert_allclose(left.bm25[~without], never.bm25, rtol=1e-5, atol=1e-7)
    assert not left.bm25[out]


@settings(max_examples=40)
@given(batches=st.lists(texts, min_size=1, max_size=4), data=st.data())
def test_taking_in_piece_by_piece_is_the_same_as_all_at_once(
    batches: list[list[str]], data: st.DataObject
) -> None:
    """However documents came and went, the index scores as if built afresh from what is live."""
    index, live = KeywordIndex(), dict[str, str]()
    for number, batch in enumerate(batches):
        added = {f"{number}.{at}": text for at, text in enumerate(batch)}
        gone = data.draw(st.sets(st.sampled_from(sorted(live)))) if live else set[str]()
        index.update(
            [(entry(name, text), text) for name, text in added.items()],
            [(f"revision of {name}", "public") for name in gone],
        )
        live = {name: text for name, text in (live | added).items() if name not in gone}
    fresh = KeywordIndex()
    fresh.update([(entry(name, text), text) for name, text in live.items()])
    terms = ["alpha", "退款", "x-1"]

    grown, built = index.state.score(terms), fresh.state.score(terms)
    by_name = {
        row.entry.chunk_id: score
        for row, score, alive in zip(index.state.rows, grown.bm25, index.state.alive, strict=True)
        if alive
    }

    assert set(by_name) == set(live)
    for row, score in zip(fresh.state.rows, built.bm25, strict=True):
        assert by_name[row.entry.chunk_id] == pytest.approx(score, abs=1e-6)


def test_terms_that_stand_together_count_as_one_stretch() -> None:
    """A passage that has the words far apart is told from one that has them in a sentence."""
    far = "refund " + "and so on " * 60 + "cash"
    state = index_of([far, "refund cash"]).state
    scores = state.score(["refund", "cash"])

    assert state.window(scores, 0, size=20) < state.window(scores, 1, size=20)
    assert state.window(scores, 1, size=20) == pytest.approx(1)


def test_typing_errors_share_letters() -> None:
    """Grams see what survives a typing error."""
    state = index_of(["delivery", "printer"]).state

    near, far = state.grams("delivrey", [0, 1])

    assert near > far
