"""Where nobody can prove that a text arrived, the bot's is edited into a placeholder."""

import asyncio

import pytest
from sqlmodel import Session, col, select

from gateway.conversations import Draft
from gateway.errors import Ambiguous, Missing, Unreachable
from gateway.messages import OutboundMessage, Rate
from gateway.models import Delivery
from gateway.outbox import TIDIED_MAX
from tests.gateway.world import ANA, World

ANSWER = "Within 30 days [1].\n\n[1] Returns"
MOMENT = "One moment, I am looking this up …"


@pytest.fixture(autouse=True)
def unprovable(world: World) -> None:
    """A network without history that can edit: like Telegram."""
    world.memory.can(placeholders=True)
    world.memory.proof = None


async def ask(world: World, chat: str = "c1") -> None:
    await world.ingress.store(world.memory.event_of(chat=chat, text="How long?"))
    await world.worker.settle()


async def states(world: World) -> list[str]:
    def find(session: Session) -> list[str]:
        rows = session.exec(select(Delivery).order_by(col(Delivery.ord), col(Delivery.id)))
        return [row.state for row in rows]

    return await world.store.read(find)


async def test_the_answer_takes_the_placeholders_place(world: World) -> None:
    """One line: first it says that the bot is looking, then it is the answer."""
    await ask(world)

    assert [one.verb for one in world.memory.sent] == ["send", "edit"]
    assert world.memory.texts() == [MOMENT]
    assert world.memory.screen("c1") == [ANSWER]


async def test_an_unconfirmed_edit_is_repeated_and_doubles_nothing(world: World) -> None:
    """The connection is lost after the edit: it is made again, into the same line."""
    world.memory.fail_edits(Ambiguous("reset"))
    await ask(world)
    before = await states(world)
    world.clock.turn(seconds=90)
    await world.outbox.drain()

    assert before[-1] == "pending"
    assert world.memory.screen("c1") == [ANSWER]
    assert (await states(world))[-1] == "delivered"


async def test_an_unconfirmed_placeholder_leaves_at_worst_one_that_says_nothing(
    world: World,
) -> None:
    """It may stand there twice; the answer stands there once."""
    world.memory.fail_next(Ambiguous("read time-out"))
    await ask(world)
    world.clock.turn(seconds=90)
    await world.outbox.drain()

    assert world.memory.screen("c1").count(ANSWER) == 1
    assert world.memory.texts().count(ANSWER) == 0


async def test_a_crash_while_sending_ends_in_one_answer(world: World) -> None:
    """The row is found in `sending`: the bot's text is edited in, not left unknown."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    await world.worker._admit_events()
    for task in list(world.worker._tasks):
        await task
    await world.running.admit()
    await asyncio.wait(world.running.tasks)
    [(claim, _)] = await world.store.write(world.outbox._claim)
    parcel = await world.store.write(lambda s: world.outbox._start(s, claim))
    assert parcel is not None
    await world.outbox._sending._hold_place(parcel)
    await world.outbox.reclaim(everything=True)
    world.clock.turn(seconds=90)
    await world.outbox.drain()

    assert world.memory.screen("c1") == [ANSWER]


async def test_a_deleted_placeholder_is_no_obstacle(world: World) -> None:
    """Somebody removed it: the answer comes as a line of its own."""
    world.memory.fail_edits(Missing("not found"))
    await ask(world)

    assert world.memory.screen("c1") == [MOMENT, ANSWER]


async def test_a_persons_text_needs_no_placeholder(world: World) -> None:
    """What Ana writes is sent as it is: a push notification shows her words."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
    await world.worker.settle()
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    draft = Draft(text="I am Ana.", author=ANA)
    await world.act(lambda s, c: world.conversations.say(s, c, draft), visitor="c1")
    await world.outbox.drain()

    assert MOMENT not in world.memory.texts()
    assert world.memory.texts()[-1] == "I am Ana."


async def test_a_person_who_takes_over_between_the_two_calls_stops_the_bots_text(
    world: World,
) -> None:
    """The placeholder is there, Ana claims: the placeholder goes, the answer never comes."""

    async def claims(_: OutboundMessage) -> None:
        world.memory.on_send = None
        await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")

    world.memory.on_send = claims
    await ask(world)

    assert world.memory.screen("c1") == ["Ana has joined."]
    assert "cancelled" in await states(world)


async def test_a_placeholder_whose_text_was_withdrawn_is_taken_back(world: World) -> None:
    """The edit was waiting for a better line when Ana took over: the sweep removes the line."""
    world.memory.fail_edits(Unreachable("refused"))
    await ask(world)
    shown = world.memory.screen("c1")
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.outbox.reclaim()
    await world.outbox.drain()

    assert shown == [MOMENT]
    assert world.memory.screen("c1") == ["Ana has joined."]


async def test_a_sweep_takes_back_so_many_placeholders_and_the_next_one_the_rest(
    world: World,
) -> None:
    """One more than the limit: it is gone after the second sweep."""
    chats = [f"c{n}" for n in range(TIDIED_MAX + 1)]
    world.memory.can(placeholders=True)
    for chat in chats:
        world.memory.fail_edits(Unreachable("refused"))
        await ask(world, chat)
        await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor=chat)
    await world.outbox.reclaim()
    once = [chat for chat in chats if MOMENT in world.memory.screen(chat)]
    await world.outbox.reclaim()

    assert len(once) == 1
    assert [chat for chat in chats if MOMENT in world.memory.screen(chat)] == []


async def test_both_calls_count_against_the_rate(world: World) -> None:
    """At one call a second, a second answer in the chat waits two seconds."""
    world.memory.can(rates=(Rate("account", 1.0),))
    await ask(world, "c1")
    await ask(world, "c2")
    world.clock.turn(seconds=1)
    await world.outbox.drain()
    early = world.memory.screen("c2")
    world.clock.turn(seconds=1)
    await world.outbox.drain()

    assert early == []
    assert world.memory.screen("c2") == [ANSWER]
