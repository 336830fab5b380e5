"""Measuring on questions with known answers: `kb eval`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embed import HashEmbedder
from rag.evaluate import evaluate_folder
from rag.measure import BadDataSet, EvalOutcome, EvalQuery, auroc, by, measure, read_set
from rag.types import Action
from tests.rag.test_calibrate import shop


def outcome(
    rank: int, p: float, action: Action = "answer", *, answerable: bool = True, kind: str = ""
) -> EvalOutcome:
    query = EvalQuery(
        id="q",
        text="?",
        language="en",
        relevant=(),
        answerable=answerable,
        kind=kind or ("answerable" if answerable else "removed"),
        split="test",
        history=(),
        cross=False,
    )
    return EvalOutcome(query=query, rank=rank, p=p, action=action, total_ms=1.0)


def entry(**fields: Any) -> dict[str, Any]:
    return {"id": "e1", "title": "T", "text": "A text.", "lang": "en"} | fields


def query(**fields: Any) -> dict[str, Any]:
    return {
        "id": "q1",
        "text": "A question?",
        "lang": "en",
        "relevant": ["e1"],
        "answerable": True,
        "kind": "answerable",
        "split": "test",
    } | fields


def write(folder: Path, files: Mapping[str, list[Any]]) -> Path:
    for name, lines in files.items():
        text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_figures_mean_what_their_names_say() -> None:
    """Ranks over the answerable, false answers over the others, wrong ones over what was said."""
    figures = measure(
        [
            outcome(1, 0.9),
            outcome(2, 0.8, "suggest"),
            outcome(0, 0.1, "decline"),
            outcome(6, 0.7),
            outcome(0, 0.85, answerable=False),
            outcome(0, 0.05, "decline", answerable=False),
        ]
    )

    assert (figures.r_at_1, figures.r_at_5) == (0.25, 0.5)
    assert figures.mrr == pytest.approx((1 + 1 / 2 + 1 / 6) / 4, abs=1e-4)
    assert (figures.answered, figures.suggested, figures.false_answers) == (0.5, 0.25, 0.5)
    assert figures.wrong_when_answered == pytest.approx(2 / 3, abs=1e-4)
    assert figures.auroc == pytest.approx(5 / 8)


def test_a_cut_that_keeps_nine_in_ten_is_counted_on_the_others() -> None:
    """False answers at 90 % kept: here half of the unanswerable lie above that cut."""
    yes = [outcome(1, p) for p in np.linspace(0.5, 1.0, 11)]
    no = [outcome(0, p, answerable=False) for p in (0.1, 0.5, 0.6, 0.9)]

    assert measure([*yes, *no]).far_at_90 == 0.5


def test_nothing_to_measure_is_not_zero() -> None:
    """A figure that has no basis is left empty."""
    figures = measure([outcome(0, 0.3, "decline", answerable=False)])

    assert figures.r_at_1 is None
    assert figures.auroc is None
    assert figures.false_answers == 0


def test_outcomes_are_grouped_by_kind() -> None:
    """Each kind of unanswerable question is reported on its own."""
    groups = by([outcome(1, 1), outcome(0, 0, answerable=False)], lambda one: one.query.kind)

    assert {name: len(some) for name, some in groups.items()} == {"answerable": 1, "removed": 1}


scores = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(scores, scores)
def test_auroc_is_the_share_of_pairs_in_the_right_order(yes: list[float], no: list[float]) -> None:
    """Against counting every pair."""
    pairs = [(a > b) + (a == b) / 2 for a in yes for b in no]

    assert auroc(np.array(yes), np.array(no)) == pytest.approx(sum(pairs) / len(pairs), abs=1e-4)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"kb.jsonl": [entry()]}, "queries.jsonl"),
        ({"kb.jsonl": [], "queries.jsonl": [query()]}, "no entry"),
        ({"kb.jsonl": [entry(), "{oops"], "queries.jsonl": []}, "kb.jsonl, line 2"),
        ({"kb.jsonl": [entry()], "queries.jsonl": [{"id": "q"}]}, "the field 'text' is missing"),
        ({"kb.jsonl": [entry(title=3)], "queries.jsonl": []}, "'title' is not a text"),
        ({"kb.jsonl": ["[1]"], "queries.jsonl": []}, "kb.jsonl, line 1"),
        ({"kb.jsonl": [entry()], "queries.jsonl": [query(relevant=["e9"])]}, "'e9'"),
    ],
)
def test_a_bad_folder_says_what_is_wrong_and_where(
    tmp_path: Path, files: Mapping[str, list[Any]], complaint: str
) -> None:
    """File, line and field are named."""
    folder = write(tmp_path, files)

    with pytest.raises(BadDataSet) as caught:
        read_set(folder)

    assert complaint in str(caught.value)


def test_a_folder_is_evaluated_by_the_product_itself(tmp_path: Path) -> None:
    """Questions that copy a passage are found; those about nothing there are not answered."""
    entries = [
        entry(id=name, title=name.removesuffix(".md"), text=text, group=name)
        for name, text in shop().items()
    ]
    queries = [
        query(id=f"{name}-q", text=f"Where is the {name} repaired in the workshop?", relevant=[one])
        for one, name in [("sofa.md", "sofa"), ("lamp.md", "lamp"), ("tent.md", "tent")]
    ]
    queries += [
        query(id="far", text="Who won the election?", relevant=[], answerable=False, kind="far"),
        query(id="other", text="tuning", split="cal"),
    ]
    queries[-1]["relevant"] = ["sofa.md"]
    queries[0]["history"] = [{"role": "user", "text": "hello"}]
    folder = write(tmp_path, {"kb.jsonl": entries, "queries.jsonl": queries})
    steps: list[str] = []

    report = evaluate_folder(
        folder,
        embedder=HashEmbedder(),
        on_progress=lambda step, done, total: steps.append(step),
    )

    assert report.overall.queries == 4
    assert report.overall.r_at_5 == 1
    assert report.per_kind["far"].false_answers == 0
    assert set(report.per_language) == {"en"}
    assert report.entries == 12
    assert list(dict.fromkeys(steps)) == ["store", "embed", "calibrate", "ask"]
    assert json.loads(json.dumps(report.as_json()))["overall"]["queries"] == 4


def test_a_sample_is_the_same_each_time(tmp_path: Path) -> None:
    """A limit picks the same queries in every run."""
    folder = write(
        tmp_path,
        {
            "kb.jsonl": [entry()],
            "queries.jsonl": [query(id=str(n), kind=f"k{n}") for n in range(9)],
        },
    )
    runs = [evaluate_folder(folder, embedder=HashEmbedder(), limit=3) for _ in range(2)]

    assert set(runs[0].per_kind) == set(runs[1].per_kind)
    assert runs[0].overall.queries == 3
