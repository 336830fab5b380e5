"""What a customer notices while the bot has the conversation."""

import pytest

from gateway.errors import Conflict
from gateway.messages import Button
from rag.types import Reason
from tests.gateway.world import World, declined, unsure


async def test_a_question_is_answered_with_its_source(world: World) -> None:
    """The answer comes next, by the bot, with its citation and the three buttons."""
    [answer] = await world.ask("How long can I return it?")

    assert (answer.author, answer.text, answer.seq) == ("bot", "Within 30 days [1].", 2)
    assert answer.citations[0].source == "returns.md"
    assert [button.action for button in answer.buttons] == ["helpful", "not_helpful", "human"]


async def test_what_is_not_known_is_said_plainly_and_a_person_is_offered(world: World) -> None:
    """A first refusal offers a person; nobody is called yet."""
    world.answerer.reply = lambda _: declined(Reason.FAR_OUT_OF_SCOPE)
    [answer] = await world.ask("What is the capital of Peru?")

    assert "outside what I know" in answer.text
    assert answer.buttons == (Button("Talk to a person", "human"),)
    assert world.inbox.opened == []


async def test_a_second_refusal_in_a_row_calls_a_person(world: World) -> None:
    """Nobody has to argue with a bot that does not know."""
    world.answerer.reply = lambda _: declined()
    await world.ask("Where is my parcel?")
    [notice] = await world.ask("My parcel, where is it?")

    assert notice.author == "system"
    assert "number 1 in line" in notice.text
    [(_, why)] = world.inbox.opened
    assert why.signals[0].name == "low_confidence"
    assert "p 0.10, needed 0.70" in why.signals[0].evidence


async def test_pressing_a_suggestion_asks_it(world: World) -> None:
    """A chosen candidate is the customer's next question, word for word."""
    world.answerer.reply = lambda _: unsure("How do I return a parcel?")
    [offer] = await world.ask("parcel")
    await world.ask("", action="choose-1")

    assert offer.buttons[0] == Button("How do I return a parcel?", "choose-1")
    assert world.answerer.asked[-1].text == "How do I return a parcel?"


async def test_thanks_are_answered_kindly_and_never_declined(world: World) -> None:
    """Small talk is not a failed question, in either language."""
    world.answerer.reply = lambda _: declined(Reason.NOT_A_QUESTION)
    [english] = await world.ask("thank you!")
    [chinese] = await world.ask("谢谢", visitor="v2")

    assert english.text.startswith("You're welcome")
    assert chinese.text.startswith("不客气")


@pytest.mark.parametrize(
    "words",
    ["a person, please", "转人工", "我要找真人客服", "I want to TALK TO A HUMAN now", "/human"],
)
async def test_asking_for_a_person_works_in_words(world: World, words: str) -> None:
    """It is never argued with, in either language, and the bot is not even asked."""
    [notice] = await world.ask(words)

    assert notice.author == "system"
    assert world.answerer.asked == []
    assert len(world.inbox.opened) == 1
    assert (await world.conversation()).state == "waiting"


@pytest.mark.parametrize("question", ["如何转人工?", "How can I talk to a person?"])
async def test_asking_how_to_reach_a_person_is_answered_then_meant(
    world: World, question: str
) -> None:
    """The question is answered from the documents; asked again it is a request."""
    [answer] = await world.ask(question)
    again = await world.ask(question)

    assert answer.author == "bot"
    assert [item.author for item in again] == ["system"]


async def test_however_often_a_person_is_asked_for_there_is_one_case(world: World) -> None:
    """Ten triggers make one case and one notice."""
    for n in range(10):
        await world.ask("talk to a person", action="human" if n % 2 else None)

    notices = [item for item in await world.seen() if item.author == "system"]
    assert len(notices) == 1
    assert len(world.inbox.opened) == 1


async def test_the_same_question_a_third_time_calls_a_person(world: World) -> None:
    """Repeating oneself is a signal; the bot does not answer a third time."""
    for _ in range(2):
        await world.ask("Where is my order?")
    [notice] = await world.ask("Where is my order?")

    assert notice.author == "system"
    assert world.inbox.opened[0][1].signals[0].name == "repeated"


async def test_a_broken_bot_calls_a_person_and_says_so(world: World) -> None:
    """Whatever breaks, the customer is told and a person is called."""

    def broken(_: object) -> None:
        raise RuntimeError("no librarian")

    world.answerer.reply = broken  # pyright: ignore[reportAttributeAccessIssue]
    [notice] = await world.ask("Anything?")

    assert "a person will follow up" in notice.text
    assert world.inbox.opened[0][1].signals[0].name == "failed"


async def test_the_same_message_twice_is_one_message_with_one_answer(world: World) -> None:
    """A repeat after a lost response gets the same id and seq; other content is refused."""
    first = await world.write_in("Hello?")
    world._count -= 1
    again = await world.write_in("Hello?")
    await world.worker.settle()

    assert (again.id, again.seq, again.repeated) == (first.id, first.seq, True)
    assert len(world.answerer.asked) == 1
    world._count -= 1
    with pytest.raises(Conflict):
        await world.write_in("Something else")


async def test_lines_that_come_while_the_bot_thinks_get_one_answer(world: World) -> None:
    """Five lines in a row are read together; the answer to fewer is discarded."""
    world.answerer.gate.clear()
    await world.write_in("My order")
    await world.worker.admit()
    await world.answerer.was_asked.wait()
    for line in ("number 17", "is late", "where", "is it?"):
        await world.write_in(line)
    world.answerer.gate.set()
    await world.worker.settle()

    answers = [item for item in await world.seen() if item.author == "bot"]
    assert len(answers) == 1
    assert world.answerer.asked[-1].text.splitlines()[0] == "My order"
    assert len(world.answerer.asked) == 2


async def test_answers_come_in_the_customers_language(world: World) -> None:
    """Phrases follow the words, and a bare "ok" does not switch the language."""
    world.answerer.reply = lambda _: declined()
    [chinese] = await world.ask("怎么退货？")
    conversation = await world.conversation()
    await world.ask("ok")

    assert chinese.text.startswith("我在现有文档中没有找到")
    assert conversation.language == "zh"
    assert (await world.conversation()).language == "zh"
