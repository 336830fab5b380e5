"""Search over what is live: both legs, follow-ups, withdrawal, a dead index."""

import asyncio
from collections.abc import Sequence

import pytest

from rag import store
from rag.embed import HashEmbedder, MicroBatcher
from rag.errors import IndexUnavailable
from rag.index import MemoryIndex
from rag.ports import Near, Vectors
from rag.retrieve import Breaker, Found, RetrieveLimits, Retriever
from rag.spaces import Space, Spaces
from rag.subject import subject_index
from rag.types import Question, Turn
from storage.database import Database
from tests.rag.bases import open_base

REFUNDS = """# Refunds

## How long does a refund take?

A refund takes 14 days and goes back to the card that was used.

## Can I return a parcel?

Parcels can be returned within 30 days.
"""
HOTELS = """# Acorn Guest House

## Rooms

The rooms are cleaned every day.

## Breakfast

Breakfast is served from 7 to 10.
"""
RIVAL = """# Baron Hotel

## Rooms

The rooms are cleaned every day and are kept very clean.
"""
CHINESE = """# 退款

## 退款要多久？

退款会在十四天内退回原来的银行卡。
"""


def titles(found: Found) -> list[str]:
    return [candidate.title for candidate in found.evidence.candidates]


async def test_a_question_finds_its_passage_in_either_language(database: Database) -> None:
    """An English and a Chinese question each find the passage in their own language first."""
    async with open_base(database, {"en.md": REFUNDS, "zh.md": CHINESE}) as base:
        english = await base.retriever.search(Question(text="How long do refunds take?"))
        chinese = await base.retriever.search(Question(text="退款多久能到？"))

    assert "14 days" in english.evidence.candidates[0].text
    assert "十四天" in chinese.evidence.candidates[0].text
    assert english.vectors_used
    assert not chinese.vectors_used  # this embedder cannot read Chinese


async def test_component_scores_are_kept_apart(database: Database) -> None:
    """A candidate says what each leg found, not only their sum."""
    async with open_base(database, {"en.md": REFUNDS}) as base:
        found = await base.retriever.search(Question(text="How long does a refund take?"))

    top = found.evidence.candidates[0]
    assert 0 < top.keyword <= 1
    assert 0 < top.grams <= 1
    assert top.vector is not None
    assert top.vector > 0.3


async def test_a_follow_up_is_about_the_subject_of_the_talk(database: Database) -> None:
    """ "Are the rooms clean?" is answered of the house that was talked about, misspelt or not."""
    history = (Turn("customer", "I would like a room at the acorn guesthouse"),)
    async with open_base(database, {"a.md": HOTELS, "b.md": RIVAL}) as base:
        alone = await base.retriever.search(Question(text="Are the rooms kept clean?"))
        after = await base.retriever.search(
            Question(text="Are the rooms kept clean?", history=history)
        )

    assert titles(alone)[0] == "Baron Hotel"
    assert titles(after)[0] == "Acorn Guest House"


async def test_a_new_subject_ends_the_old_one(database: Database) -> None:
    """A question that names another title is about that one."""
    history = (Turn("customer", "Tell me about the Acorn Guest House"),)
    question = Question(text="Are the rooms of the Baron Hotel clean?", history=history)
    async with open_base(database, {"a.md": HOTELS, "b.md": RIVAL}) as base:
        found = await base.retriever.search(question)

    assert titles(found)[0] == "Baron Hotel"


async def test_identical_passages_are_shown_once(database: Database) -> None:
    """Two documents with the same text do not fill the list."""
    async with open_base(database, {"a.md": REFUNDS, "copy.md": REFUNDS}) as base:
        found = await base.retriever.search(Question(text="How long does a refund take?"))

    texts = [candidate.text for candidate in found.evidence.candidates]
    assert len(texts) == len(set(texts)) == 2


async def test_one_source_does_not_fill_the_list(database: Database) -> None:
    """A long document leaves room for others."""
    long = "# Long\n\n" + "\n\n".join(
        f"## Part {n}\n\nShipping of kind {n} costs {n} euro and takes {n} days." for n in range(30)
    )
    other = "# Other\n\nShipping is described here too, in one sentence."
    async with open_base(database, {"long.md": long, "other.md": other}) as base:
        found = await base.retriever.search(Question(text="What does shipping cost?"))

    assert "Other" in titles(found)[:6]


async def test_the_other_language_is_not_buried(database: Database) -> None:
    """A small Chinese base stays in the list beside a big English one."""
    many = {
        f"{n}.md": f"# Note {n}\n\nNumber {n} on DHL shipping and DHL parcels." for n in range(80)
    }
    small = {"zh.md": "# 物流\n\n我们用 DHL 发货。"}
    async with open_base(database, many | small) as base:
        found = await base.retriever.search(Question(text="Which shipping by DHL?"))
        languages = {row.entry.language for row in base.retriever.keywords.state.rows}

    assert languages == {"en", "zh"}
    assert found.evidence.candidates


async def test_a_withdrawn_text_is_gone_though_every_index_still_has_it(
    database: Database,
) -> None:
    """From the commit that withdraws it a text is in no evidence, and in none of its numbers."""
    question = Question(text="How long does a refund take?")
    async with open_base(database, {"b.md": RIVAL}) as base:
        before = await base.retriever.search(question)
        source_id = await base.publish("a.md", REFUNDS)
        present = await base.retriever.search(question)
        await base.withdraw(source_id)
        after = await base.retriever.search(question)

    assert "Refunds" in titles(present)
    assert "Refunds" not in titles(after)
    assert after.evidence.features["heading_match"] == before.evidence.features["heading_match"]
    assert after.evidence.knowledge_version == present.evidence.knowledge_version + 1


async def test_staff_documents_stay_with_staff(database: Database) -> None:
    """An audience is enforced in SQL and does not take places in the list either."""
    async with open_base(database, {"a.md": RIVAL}) as base:
        await base.publish("secret.md", REFUNDS, audience="staff")
        public = await base.retriever.search(Question(text="How long does a refund take?"))
        staff = await base.retriever.search(
            Question(text="How long does a refund take?", audience="staff")
        )

    assert "Refunds" not in titles(public)
    assert titles(staff)[0] == "Refunds"


async def test_refreshing_follows_the_difference(database: Database) -> None:
    """A new version replaces the old one; nothing changed means nothing to do."""
    async with open_base(database, {"a.md": REFUNDS}) as base:
        unchanged = await base.retriever.refresh()
        await base.publish("a.md", REFUNDS.replace("14 days", "21 days"), refresh=False)
        changed = await base.retriever.refresh()
        found = await base.retriever.search(Question(text="How long does a refund take?"))

    assert (unchanged, changed) == (False, True)
    assert "21 days" in found.evidence.candidates[0].text
    assert len(base.retriever.keywords) == 2


class CountingIndex(MemoryIndex):
    """A memory index that counts its questions and may keep them waiting."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__()
        self.asked = 0
        self.wait_s = wait_s

    async def near(
        self, vectors: Vectors, *, limit: int, audiences: Sequence[str]
    ) -> list[list[Near]]:
        self.asked += 1
        await asyncio.sleep(self.wait_s)
        return await super().near(vectors, limit=limit, audiences=audiences)


@pytest.mark.parametrize("fault", ["down", "hangs"])
async def test_a_dead_index_leaves_the_keywords(database: Database, fault: str) -> None:
    """The answer comes from keywords alone, and the next question does not wait for the index."""
    index = CountingIndex(wait_s=60.0 if fault == "hangs" else 0.0)
    index.is_down = fault == "down"
    batcher = MicroBatcher(HashEmbedder())
    limits = RetrieveLimits(near_wait_s=0.05, rest_s=60)
    told: list[str] = []
    retriever = Retriever(
        database,
        Spaces(Space(batcher, index)),
        limits=limits,
        on_trouble=lambda: told.append("trouble"),
    )
    async with open_base(database, {"a.md": REFUNDS}):
        await retriever.refresh()
        first = await retriever.search(Question(text="How long does a refund take?"))
        second = await retriever.search(Question(text="Can I return a parcel?"))
    batcher.close()

    assert "14 days" in first.evidence.candidates[0].text
    assert "30 days" in second.evidence.candidates[0].text
    assert not first.vectors_used
    assert index.asked == 1
    assert retriever.vector_trouble
    assert told == ["trouble"]


async def test_an_index_that_comes_back_is_used_again(database: Database) -> None:
    """When the rest is over one question tries, and success ends the trouble."""
    index = CountingIndex()
    index.is_down = True
    batcher = MicroBatcher(HashEmbedder())
    limits = RetrieveLimits(rest_s=0.0, rest_s_max=0.0)
    retriever = Retriever(database, Spaces(Space(batcher, index)), limits=limits)
    async with open_base(database, {"a.md": REFUNDS}):
        await retriever.refresh()
        await retriever.search(Question(text="How long does a refund take?"))
        index.is_down = False
        found = await retriever.search(Question(text="How long does a refund take?"))
    batcher.close()

    assert found.vectors_used
    assert retriever.vector_trouble == ""


def test_a_breaker_lets_one_caller_try() -> None:
    """While one question tries, the others go on without the broken part."""
    breaker = Breaker(0.0, 10.0)
    breaker.fail("gone")
    first = breaker.is_open
    breaker.fail("gone again")
    breaker.fail("and again")

    assert not first
    assert breaker.reason == "and again"
    breaker.succeed()
    assert not breaker.is_open


async def test_calibration_hears_of_a_dead_index(database: Database) -> None:
    """Only a question may go on without vectors: a calibration is put off instead."""
    async with open_base(database, {"a.md": REFUNDS}) as base:
        base.index.is_down = True

        with pytest.raises(IndexUnavailable):
            await base.retriever.near(["refund"], limit=5)


async def test_the_evidence_names_the_version_it_was_read_at(database: Database) -> None:
    """The version is read in the same snapshot as the texts."""
    async with open_base(database, {"a.md": REFUNDS, "b.md": RIVAL}) as base:
        found = await base.retriever.search(Question(text="refund"))
        version = await database.read(store.knowledge_version)

    assert found.evidence.knowledge_version == version == 2


def test_a_name_is_heard_though_misspelt_and_without_its_brackets() -> None:
    """People shorten titles and mistype them; a title in the question ends the old subject."""
    index = subject_index(
        {"《恋恋笔记本》（2004年）": True, "Acorn Guest House": True, "Rooms": False}
    )
    talk = (Turn("customer", "说说恋恋笔记本"), Turn("customer", "and the acorn guest hous?"))

    named, carried = index.subjects("Are the rooms clean?", talk)
    switched = index.subjects("恋恋笔记本谁演的？", talk)

    assert set(named) == {"Rooms"}
    assert max(carried, key=lambda name: carried[name]) == "Acorn Guest House"
    assert carried["《恋恋笔记本》（2004年）"] > 0
    assert set(switched[0]) == {"《恋恋笔记本》（2004年）"}
    assert switched[1] == {}
