"""The librarian: what it answers, what it offers, what it refuses, and what it keeps of it."""

import pytest

from rag import store
from rag.embed import HashEmbedder, MicroBatcher
from rag.index import MemoryIndex
from rag.recalibrate import Calibrator
from rag.retrieve import Retriever
from rag.spaces import Space, Spaces
from rag.suggest import suggestions
from rag.types import Question, Reason, Turn
from storage.database import Database
from tests.rag.bases import NOON, Base, open_base
from tests.rag.test_calibrate import chinese_shop, shop
from tests.rag.test_extract import candidate

HANDOVER = {
    "en/hand-back.md": """# Handing back

## How do I hand a conversation back to the bot?

Press the button *Back to the bot*. The bot answers the next message.

## How do I resolve a conversation?

Press *Resolve*. The customer is asked for a rating.
""",
    "zh/person.md": """# 转人工

## 如何转人工？

点击“转人工”按钮，或者直接输入“转人工”。

## 等待多久？

取决于当班的客服人数。
""",
}


async def answers(base: Base, *texts: str) -> list[str]:
    return [(await base.librarian.answer(Question(text=text))).decision.action for text in texts]


async def test_a_question_is_answered_with_its_source(database: Database) -> None:
    """The text carries [1], and the citation says where it stands word for word."""
    async with open_base(database, HANDOVER | shop()) as base:
        answer = await base.librarian.answer(
            Question(text="How do I hand a conversation back to the bot?")
        )

    assert answer.decision.action == "answer"
    assert answer.verdict == "answered"
    assert answer.text == (
        "Press the button Back to the bot. The bot answers the next message. [1]"
    )
    assert answer.citations[0].source == "en/hand-back.md"
    assert answer.citations[0].quote == (
        "Press the button *Back to the bot*. The bot answers the next message."
    )
    assert answer.decision.reasons == (Reason.CONFIDENT,)
    assert answer.timings_ms["total"] > 0


async def test_a_chinese_question_is_answered_by_keywords(database: Database) -> None:
    """An embedder that cannot read Chinese is left out, and the decision says so."""
    async with open_base(database, HANDOVER | chinese_shop() | shop()) as base:
        answer = await base.librarian.answer(Question(text="如何转人工?"))

    assert answer.decision.action == "answer"
    assert answer.text.startswith("点击“转人工”按钮")
    assert answer.language == "zh"
    assert Reason.KEYWORDS_ONLY in answer.decision.reasons


@pytest.mark.parametrize("calibrate", [False, True])
@pytest.mark.parametrize("text", ["What is the capital of Peru?", "秘鲁的首都是哪里？"])
async def test_what_nobody_wrote_about_is_declined(
    database: Database, text: str, calibrate: bool
) -> None:
    """With and without a calibration: nothing is made up, and the reason is that it is far."""
    documents = HANDOVER | shop() | chinese_shop()
    async with open_base(database, documents, calibrate=calibrate) as base:
        answer = await base.librarian.answer(Question(text=text))

    assert answer.decision.action == "decline"
    assert answer.verdict == "out_of_scope"
    assert answer.text == ""
    assert answer.citations == ()
    assert answer.decision.reasons[0] is Reason.FAR_OUT_OF_SCOPE


async def test_an_unwritten_thing_among_known_ones_is_not_answered(database: Database) -> None:
    """The base knows such things, but not this one: that is another reason than being far."""
    async with open_base(database, shop(), calibrate=True) as base:
        answer = await base.librarian.answer(
            Question(text="How long is the guarantee of the dishwasher of the company?")
        )

    assert answer.decision.action != "answer"
    assert answer.decision.reasons[0] in (Reason.NO_PASSAGE, Reason.LOOK_ALIKE, Reason.BETWEEN)


@pytest.mark.parametrize("text", ["Thanks!", "你好", "👍", "ok"])
async def test_courtesy_is_not_searched_for(database: Database, text: str) -> None:
    """Thanks and greetings are told from questions that cannot be answered."""
    async with open_base(database, HANDOVER) as base:
        answer = await base.librarian.answer(Question(text=text))

    assert answer.decision.action == "decline"
    assert answer.decision.reasons == (Reason.NOT_A_QUESTION,)


async def test_an_empty_base_says_that_it_is_empty(database: Database) -> None:
    """Nothing is published yet: that is no reason to speak of scope."""
    async with open_base(database) as base:
        answer = await base.librarian.answer(Question(text="How do refunds work?"))

    assert answer.decision.reasons == (Reason.EMPTY_BASE,)


async def test_a_base_of_other_audiences_is_empty_for_the_public(database: Database) -> None:
    """What staff may read does not exist for a customer."""
    async with open_base(database) as base:
        await base.publish("secret.md", HANDOVER["en/hand-back.md"], audience="staff")
        answer = await base.librarian.answer(Question(text="How do I resolve a conversation?"))

    assert answer.decision.reasons == (Reason.EMPTY_BASE,)


async def test_in_between_the_base_offers_what_it_can_answer(database: Database) -> None:
    """Up to three questions, and pressing one of them gets it answered."""
    async with open_base(database, HANDOVER | shop()) as base:
        answer = await base.librarian.answer(Question(text="How do I hand over a conversation?"))
        pressed = await answers(base, *answer.suggestions[:1])

    assert answer.verdict == "unsure"
    assert answer.text == ""
    assert 1 <= len(answer.suggestions) <= 3
    assert pressed == ["answer"]


async def test_an_answer_in_the_other_language_is_offered_not_given(database: Database) -> None:
    """The evidence is in a language the question is not in: the customer is asked first."""
    only_english = {"dhl.md": "# DHL API\n\n## DHL API v2.1 webhook\n\nThe DHL API v2.1 webhook."}
    async with open_base(database, only_english) as base:
        answer = await base.librarian.answer(Question(text="DHL API v2.1 webhook 怎么用"))

    assert answer.decision.action == "suggest"
    assert Reason.OTHER_LANGUAGE in answer.decision.reasons
    assert answer.suggestions


async def test_a_follow_up_is_answered_in_the_light_of_the_talk(database: Database) -> None:
    """The same words after another talk are about another thing."""
    question = "How long is the guarantee?"
    talks = {
        thing: (Turn("customer", f"I bought a {thing} last week"),) for thing in ("sofa", "lamp")
    }
    async with open_base(database, shop()) as base:
        tops = {
            thing: (await base.retriever.search(Question(text=question, history=talk)))
            .evidence.candidates[0]
            .source
            for thing, talk in talks.items()
        }

    assert tops == {"sofa": "sofa.md", "lamp": "lamp.md"}


async def test_a_withdrawn_document_answers_nothing(database: Database) -> None:
    """From the commit on, though vectors and keywords still have it (nobody refreshed)."""
    question = Question(text="How do I hand a conversation back to the bot?")
    async with open_base(database, shop()) as base:
        source_id = await base.publish("hand.md", HANDOVER["en/hand-back.md"])
        before = await base.librarian.answer(question)
        await base.withdraw(source_id)
        after = await base.librarian.answer(question)

    assert before.decision.action == "answer"
    assert after.decision.action != "answer"
    assert all(one.source != "hand.md" for one in after.citations)
    assert after.knowledge_version > before.knowledge_version


async def test_another_process_publishing_is_noticed(database: Database) -> None:
    """An answer that saw a newer version than the keyword index makes the index follow."""
    async with open_base(database, shop()) as base:
        await base.publish("hand.md", HANDOVER["en/hand-back.md"], refresh=False)
        question = Question(text="How do I hand a conversation back to the bot?")
        first = await base.librarian.answer(question)
        await base.librarian.close()  # waits for what the answer set going
        second = await base.librarian.answer(question)

    assert (first.decision.action, second.decision.action) == ("decline", "answer")


async def test_a_record_says_why(database: Database) -> None:
    """What was asked, found and decided is kept under the answer's record id."""
    async with open_base(database, HANDOVER | shop()) as base:
        answer = await base.librarian.answer(
            Question(text="How do I resolve a conversation?", history=(Turn("bot", "Hello"),))
        )
        await base.librarian.close()
        record = await database.read(lambda s: store.load_record(s, answer.record_id))

    assert record is not None
    assert record.question["text"] == "How do I resolve a conversation?"
    assert record.question["history"] == [{"role": "bot", "text": "Hello"}]
    assert record.decision["p"] == answer.decision.p
    assert record.features["coverage_top"] > 0.9
    assert record.knowledge_version == answer.knowledge_version
    assert len(record.chunk_hashes) >= 1
    assert record.timings_ms["total"] == answer.timings_ms["total"]


async def test_looking_keeps_no_record(database: Database) -> None:
    """Evaluation and previews leave no trace among the answers that were given."""
    async with open_base(database, HANDOVER) as base:
        _, answer = await base.librarian.look(Question(text="How do I resolve a conversation?"))
        await base.librarian.close()
        record = await database.read(lambda s: store.load_record(s, answer.record_id))

    assert record is None


async def test_the_index_being_down_is_said_and_answering_goes_on(database: Database) -> None:
    """Keywords alone still answer; health and the decision name the trouble."""
    async with open_base(database, HANDOVER | shop()) as base:
        base.index.is_down = True
        answer = await base.librarian.answer(Question(text="How do I resolve a conversation?"))
        health = await base.librarian.health()

    assert answer.citations[0].source == "en/hand-back.md"
    assert Reason.KEYWORDS_ONLY in answer.decision.reasons
    assert "down" in health.index


async def test_health_counts_what_is_known(database: Database) -> None:
    """Ready after the first refresh, with the number of passages and the version."""
    async with open_base(database, HANDOVER) as base:
        health = await base.librarian.health()
        cold = Retriever(database, Spaces(Space(MicroBatcher(HashEmbedder()), MemoryIndex())))

    assert health.ready
    assert (health.chunks, health.knowledge_version) == (4, 2)
    assert (health.index, health.embedder) == ("ok", "ok")
    assert cold.version < 0


async def test_the_same_question_again_is_alike(database: Database) -> None:
    """Alike by letters in any language, and more alike than another question."""
    async with open_base(database) as base:
        english = await base.librarian.alike(
            "How do I get a refund?", ["how do i get a refund", "Where is the museum?"]
        )
        chinese = await base.librarian.alike("怎么退款？", ["怎么退款", "营业时间是几点"])
        none = await base.librarian.alike("x", [])

    assert english[0] > 0.9 > 0.5 > english[1]
    assert chinese[0] > 0.9 > 0.5 > chinese[1]
    assert none == []


async def test_publishing_calibrates_in_the_background(database: Database) -> None:
    """A refresh returns at once; the calibration in force changes when the new one is stored."""
    async with open_base(database, shop()) as base:
        calibrator = Calibrator(database, base.retriever, clock=lambda: NOON, settle_s=0.0)
        calibrator.schedule()
        before = calibrator.in_force.id
        await calibrator.settled()
        await calibrator.close()

    assert before == "prior"
    assert calibrator.in_force.knowledge_version == base.retriever.version


def test_suggestions_are_worded_so_that_they_can_be_pressed() -> None:
    """Questions stand as they are and come first; other headings become requests."""
    offered = suggestions(
        "ship?",
        [
            candidate("a", heading="3.2 Shipping **times**"),
            candidate("b", heading="Do you ship abroad?", source="b"),
            candidate("c", heading="配送时间", language="zh", source="c"),
            candidate("d", heading="Far", score=0.1, source="d"),
        ],
        "en",
    )

    assert offered == ("Do you ship abroad?", "Tell me about “Shipping times”")
    assert suggestions("x", [candidate("c", heading="配送时间", language="zh")], "zh") == (
        "请介绍一下“配送时间”",
    )
    assert suggestions("x", [], "en") == ()


def test_the_question_itself_is_not_suggested() -> None:
    """Offering what was just asked would be no help."""
    same = candidate("a", heading="Do you ship abroad?")

    assert suggestions("do you ship abroad", [same], "en") == ()
