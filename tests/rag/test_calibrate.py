"""From evidence to p and two cuts: on labels that are known, and on a base asking itself."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import store
from rag.calibrate import (
    USED,
    CalibrationModel,
    PseudoOutcomes,
    prior_line,
    report_on,
    self_calibrated,
    upper_bound,
)
from rag.embed import HashEmbedder, MicroBatcher
from rag.evidence import FEATURES
from rag.language import content_terms
from rag.pseudo import Passage, pseudo_questions
from rag.recalibrate import Calibrator
from rag.retrieve import Retriever
from rag.spaces import Space, Spaces
from rag.types import Question
from storage.database import Database
from tests.rag.bases import NOON, open_base

SENTENCES = (
    "The {a} is repaired in the workshop near the {b} within two days of your visit.",
    "Every {b} that we sell has a guarantee of three years against broken {a} parts.",
    "Please clean your {a} with warm water and never put the {b} into the oven.",
)
THINGS = [
    "kettle",
    "bicycle",
    "helmet",
    "printer",
    "curtain",
    "lamp",
    "sofa",
    "violin",
    "tent",
    "mirror",
    "clock",
    "ladder",
]
CHINESE = [
    "水壶",
    "头盔",
    "窗帘",
    "台灯",
    "沙发",
    "提琴",
    "帐篷",
    "镜子",
    "时钟",
    "梯子",
    "锤子",
    "雨伞",
]


def shop(count: int = 12) -> dict[str, str]:
    """Documents about different things in much the same words."""
    return {
        f"{thing}.md": f"# All about the {thing}\n\n"
        + "\n\n".join(one.format(a=thing, b=THINGS[(at + 5) % len(THINGS)]) for one in SENTENCES)
        for at, thing in enumerate(THINGS[:count])
    }


def chinese_shop() -> dict[str, str]:
    return {
        f"zh-{at}.md": f"# {thing}\n\n您可以在车间修理{thing}，一般两天之内完成。"
        f"每个{thing}都有三年保修，请用温水清洗{thing}，不要放进烤箱。"
        for at, thing in enumerate(CHINESE)
    }


def outcomes(count: int = 200, gap: float = 0.4, seed: int = 1) -> PseudoOutcomes:
    """Evidence in which the positives lie higher than the negatives by `gap`."""
    dice = np.random.default_rng(seed)
    rows = np.full((2 * count, len(FEATURES)), 0.5)
    for name in ("fused_top", "coverage_any", "window_top", "keyword_top"):
        rows[:, FEATURES.index(name)] = dice.normal(0.4, 0.15, 2 * count)
        rows[:count, FEATURES.index(name)] += gap
    return PseudoOutcomes(present=rows[:count], absent=rows[count:], right=np.ones(count, np.bool_))


def test_the_cut_lets_through_no_more_than_it_promises() -> None:
    """One in ten of the negatives it did not see, at most, reaches the answering cut."""
    made = outcomes()
    line, unseen = self_calibrated(made, vectors=False)
    report = report_on({"en": made}, {"en": unseen}, {"en": line.t_answer})

    assert report.far <= 0.12
    assert report.far <= report.far_upper < 0.2
    assert report.coverage > 0.8
    assert 0 <= line.t_suggest <= line.t_answer <= 1


def test_better_evidence_never_means_a_lower_probability() -> None:
    """Weights are held at zero or above, so p can be explained in one direction."""
    line, _ = self_calibrated(outcomes(), vectors=False)
    worse, better = np.full((1, len(USED)), 0.2), np.full((1, len(USED)), 0.6)

    assert min(line.weights) >= 0
    assert line.p(better)[0] > line.p(worse)[0]


def test_a_base_that_cannot_tell_does_not_answer_much() -> None:
    """Where positives and negatives look alike the cut rises above most of both."""
    made = outcomes(gap=0.0)
    line, unseen = self_calibrated(made, vectors=False)

    assert report_on({"en": made}, {"en": unseen}, {"en": line.t_answer}).coverage < 0.25


def test_few_questions_stay_near_the_prior() -> None:
    """Four pseudo-questions move the cuts and weights little."""
    few = outcomes(count=4)
    line, _ = self_calibrated(few, vectors=False)
    prior = prior_line(vectors=False)

    assert abs(line.t_answer - prior.t_answer) < 0.12
    assert np.allclose(line.weights, prior.weights, atol=0.15)


def test_an_unknown_language_goes_by_the_prior() -> None:
    """A base without a line for a language still decides, and carefully."""
    model = CalibrationModel()
    nothing = model.decide({}, "zh")
    plenty = model.decide(dict.fromkeys(FEATURES, 2.0), "en")

    assert nothing.action == "decline"
    assert plenty.action == "answer"


def test_a_stored_calibration_decides_as_before() -> None:
    """What goes through JSON comes back the same; one of other features is not used."""
    line, _ = self_calibrated(outcomes(), vectors=True)
    model = CalibrationModel(lines={"en": [line]}, fitness={"en": 0.7})
    again = CalibrationModel.from_json(model.as_json())
    evidence: dict[str, float] = dict.fromkeys(FEATURES, 0.6)

    assert again is not None
    assert again.decide(evidence, "en") == model.decide(evidence, "en")
    assert again.fitness == {"en": 0.7}
    assert CalibrationModel.from_json(model.as_json() | {"features": ["other"]}) is None


@pytest.mark.parametrize(
    ("failures", "trials", "bound"), [(0, 100, 0.0295), (5, 100, 0.1023), (1, 10, 0.3942)]
)
def test_the_upper_bound_is_the_exact_one(failures: int, trials: int, bound: float) -> None:
    """Against published tables of Clopper and Pearson (95 %, one side)."""
    assert upper_bound(failures, trials) == pytest.approx(bound, abs=2e-4)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_upper_bound_lies_above_what_was_seen(failures: int, more: int) -> None:
    """A bound is a share, and never below the share that was seen."""
    trials = failures + more

    assert upper_bound(failures, trials) <= 1
    assert trials == 0 or upper_bound(failures, trials) >= failures / trials


def test_pseudo_questions_resemble_questions() -> None:
    """They are short, have something to look for, differ from their passage, and are many."""
    passages = [Passage(at, text, "en") for at, text in enumerate(shop().values())]
    made = pseudo_questions(passages, count=60, dice=random.Random(1))

    assert len(made) == len({one.text for one in made}) == 60
    assert all(len(content_terms(one.text)) >= 2 for one in made)
    assert all(len(one.text) < 130 for one in made)
    assert sum(one.text in passages[one.row].text for one in made) < 20
    assert made == pseudo_questions(passages, count=60, dice=random.Random(1))


def test_a_text_that_says_nothing_gives_no_question() -> None:
    """An empty base and a base of headings end in no questions, not in a loop."""
    assert pseudo_questions([], count=10, dice=random.Random(1)) == []
    assert pseudo_questions([Passage(0, "- -\n", "en")], count=10, dice=random.Random(1)) == []


async def test_a_base_calibrates_itself_in_both_languages(database: Database) -> None:
    """Each language that has passages gets a line; the embedder's fitness is measured."""
    async with open_base(database, shop() | chinese_shop(), calibrate=True) as base:
        in_force = base.librarian.calibrator.in_force

    assert set(in_force.model.lines) == {"en", "zh"}
    assert in_force.model.fitness["en"] > 0.5
    assert in_force.model.fitness["zh"] == 0
    assert in_force.report is not None
    assert in_force.report.n >= 120
    assert in_force.report.far <= 0.15


async def test_the_same_base_gives_the_same_calibration(database: Database) -> None:
    """Calibration is seeded: running it again changes nothing."""
    async with open_base(database, shop(), calibrate=True) as base:
        first = base.librarian.calibrator.in_force.model
        await base.librarian.calibrator.calibrate()
        second = base.librarian.calibrator.in_force.model

    assert first == second


@pytest.mark.parametrize("count", [0, 1])
async def test_a_base_with_hardly_anything_has_a_calibration_too(
    database: Database, count: int
) -> None:
    """Nothing to ask itself: the prior decides, and nothing fails."""
    async with open_base(database, shop(count), calibrate=True) as base:
        _, answer = await base.librarian.look(Question(text="What is the capital of Peru?"))

    assert answer.decision.action == "decline"


async def test_one_document_can_be_calibrated_by_its_passages(database: Database) -> None:
    """Where leaving the document out leaves nothing, every other question hides a passage only."""
    manual = "# Manual\n\n" + "\n\n".join(
        f"## Part {at}\n\n" + SENTENCES[at % 3].format(a=thing, b=THINGS[at - 3])
        for at, thing in enumerate(THINGS)
    )
    async with open_base(database, {"manual.md": manual}, calibrate=True) as base:
        line = base.librarian.calibrator.in_force.model.lines["en"][0]

    assert line.n > 20
    assert 0 < line.t_answer < 1


async def test_a_stored_calibration_is_taken_up_at_the_next_start(database: Database) -> None:
    """A restart decides as before, without asking itself again; another embedder does not."""
    async with open_base(database, shop(), calibrate=True) as base:
        made = base.librarian.calibrator.in_force
        same = Calibrator(database, base.retriever, clock=lambda: NOON)
        await same.load()
        other_batcher = MicroBatcher(HashEmbedder(dimension=64))
        other_retriever = Retriever(database, Spaces(Space(other_batcher, base.index)))
        other = Calibrator(database, other_retriever, clock=lambda: NOON)
        await other.load()
        other_batcher.close()
        row = await database.read(store.newest_calibration)

    assert row is not None
    assert same.in_force.id == row.id == made.id
    assert same.in_force.model == made.model
    assert other.in_force.id == "prior"


async def test_calibration_waits_for_an_index_that_is_down(database: Database) -> None:
    """The calibration in force stays while there is nothing to make a new one with."""
    async with open_base(database, shop()) as base:
        base.index.is_down = True
        calibrator = Calibrator(database, base.retriever, clock=lambda: NOON, settle_s=0.0)
        calibrator.schedule()
        for _ in range(50):
            await base.retriever.refresh()
        await calibrator.close()

    assert calibrator.in_force.id == "prior"
