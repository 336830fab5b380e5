"""What a person does about a text that failed, or may not have arrived."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from gateway import deliveries
from gateway.conversations import Draft
from gateway.errors import Ambiguous, Blocked, NoSuchMessage, Refused
from gateway.history import transcript
from gateway.messages import Line
from gateway.models import Audit, Conversation, Delivery
from gateway.store import lock_conversation
from storage.database import DatabaseError
from tests.gateway.world import ANA, BEN, World


async def open_talk(world: World) -> None:
    """A conversation on the memory channel that Ana has; nothing sent is left over."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
    await world.worker.settle()
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.outbox.drain()
    world.memory.sent.clear()


async def say(world: World, text: str) -> str:
    """Ana writes, and it is tried; the message's id."""
    draft = Draft(text=text, author=ANA)
    written = await world.act(lambda s, c: world.conversations.say(s, c, draft), visitor="c1")
    await world.outbox.drain()
    return written.id


async def resend(world: World, message_id: str, visitor: str = "c1") -> list[str]:
    """Ana presses, as the desk does it: on the locked conversation."""
    found = await world.conversation(visitor)

    def work(session: Session) -> list[str]:
        conversation = lock_conversation(session, found.id)
        assert conversation is not None
        return world.conversations.resend(session, conversation, message_id, ANA)

    return await world.store.write(work)


async def last_line(world: World, visitor: str = "c1") -> Line:
    conversation = await world.conversation(visitor)
    lines = await world.store.read(lambda s: transcript(s, conversation.id))
    return lines[-1]


async def rows_of(world: World, message_id: str) -> Sequence[Delivery]:
    return await world.store.read(
        lambda s: s.exec(
            select(Delivery).where(Delivery.message_id == message_id).order_by(col(Delivery.ord))
        ).all()
    )


async def test_a_text_that_may_not_have_arrived_is_shown_and_sent_again(world: World) -> None:
    """The line says so; Resend sends one more copy, and the line says that it arrived."""
    await open_talk(world)
    world.memory.fail_next(Ambiguous("read timed out"))
    message_id = await say(world, "Your refund is on its way.")
    unsure = await last_line(world)
    again = await resend(world, message_id)
    waiting = await last_line(world)
    await world.outbox.drain()

    assert (unsure.delivery, len(again), waiting.delivery) == ("unknown", 1, "pending")
    assert (await last_line(world)).delivery == "delivered"
    assert world.memory.texts() == ["Your refund is on its way."]


async def test_pressing_twice_makes_one_copy(world: World) -> None:
    """Before it went out, and after: there is nothing lost any more."""
    await open_talk(world)
    world.memory.fail_next(Ambiguous("read timed out"))
    message_id = await say(world, "Hello")
    pressed = [await resend(world, message_id) for _ in range(2)]
    await world.outbox.drain()
    pressed.append(await resend(world, message_id))
    await world.outbox.drain()

    assert [len(one) for one in pressed] == [1, 0, 0]
    assert world.memory.texts() == ["Hello"]


async def test_two_who_press_at_once_make_one_copy(world: World) -> None:
    """Their transactions come one after the other on the locked conversation."""
    await open_talk(world)
    world.memory.fail_next(Ambiguous("read timed out"))
    message_id = await say(world, "Hello")
    pressed = await asyncio.gather(resend(world, message_id), resend(world, message_id))
    await world.outbox.drain()

    assert sorted(len(one) for one in pressed) == [0, 1]
    assert world.memory.texts() == ["Hello"]


async def test_the_database_knows_no_second_stand_in(world: World) -> None:
    """Whatever the code believes, a delivery is sent again once."""
    await open_talk(world)
    world.memory.fail_next(Refused("no"))
    message_id = await say(world, "Hello")
    await resend(world, message_id)

    def copy(session: Session) -> None:
        row = session.exec(select(Delivery).where(col(Delivery.resends).is_not(None))).one()
        fields = row.model_dump() | {"id": "another", "external_id": None}
        session.add(Delivery(**fields))
        session.flush()

    with pytest.raises((IntegrityError, DatabaseError)):
        await world.store.write(copy)


async def test_what_failed_is_shown_with_its_reason(world: World) -> None:
    """An agent reads why, and may try again; the second failure has its own reason."""
    await open_talk(world)
    world.memory.fail_next(Refused("the chat was deleted"), Refused("still deleted"))
    message_id = await say(world, "Hello")
    first = await last_line(world)
    await resend(world, message_id)
    await world.outbox.drain()
    second = await last_line(world)
    await resend(world, message_id)
    await world.outbox.drain()

    assert (first.delivery, first.reason) == ("failed", "the chat was deleted")
    assert (second.delivery, second.reason) == ("failed", "still deleted")
    assert (await last_line(world)).delivery == "delivered"
    assert world.memory.texts() == ["Hello"]


async def test_a_customer_who_blocked_us_is_named_as_the_reason(world: World) -> None:
    """Not delivered, and what waited behind it was withdrawn for the same reason."""
    await open_talk(world)
    world.memory.fail_next(Blocked("the customer blocked the bot"))
    await say(world, "Hello")
    line = await last_line(world)

    assert (line.delivery, line.reason) == ("failed", "the customer blocked the bot")


async def test_only_the_lost_part_of_a_long_text_goes_out_again(world: World) -> None:
    """Three parts, the second one lost: the line says unknown, and one part is sent again."""
    world.memory.can(text_units_max=20)
    world.conversations.capabilities = {
        name: channel.capabilities for name, channel in world.channels.items()
    }
    await open_talk(world)
    draft = Draft(text="one two three four, five six seven eight, nine ten", author=ANA)
    written = await world.act(lambda s, c: world.conversations.say(s, c, draft), visitor="c1")
    sends = 0

    async def lose_the_second(_: object) -> None:
        nonlocal sends
        sends += 1
        if sends == 2:
            raise Ambiguous("cut")

    world.memory.on_send = lose_the_second
    await world.outbox.drain()
    parts = world.memory.texts()
    unsure = await last_line(world)
    await resend(world, written.id)
    await world.outbox.drain()

    assert len(parts) >= 3
    assert unsure.delivery == "unknown"
    assert world.memory.texts() == [*parts, parts[1]]
    assert (await last_line(world)).delivery == "delivered"


async def test_a_bots_text_that_a_person_sends_again_is_not_held_back(world: World) -> None:
    """Ana has taken over since: as the bot's it would be refused, as her decision it goes out."""
    world.memory.fail_next(Ambiguous("read timed out"))
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    await world.worker.settle()
    unsure = await last_line(world, "c1")
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.outbox.drain()
    await resend(world, unsure.id)
    await world.outbox.drain()

    assert (unsure.author, unsure.delivery) == ("bot", "unknown")
    assert [one for one in world.memory.texts() if "30 days" in one] == world.memory.texts()[-1:]
    assert {row.epoch for row in await rows_of(world, unsure.id)} >= {None}


async def test_it_goes_to_where_the_customer_writes_now(world: World) -> None:
    """The customer has moved to another channel meanwhile: all of it goes there, once."""
    other = world.add_memory("other")
    await open_talk(world)
    world.memory.fail_next(Ambiguous("read timed out"))
    message_id = await say(world, "Hello")

    def move(session: Session, conversation: Conversation) -> None:
        conversation.reply_channel, conversation.reply_chat = "other", "o1"
        session.add(conversation)

    await world.act(move, visitor="c1")
    pressed = [await resend(world, message_id, "o1") for _ in range(2)]
    await world.outbox.drain()

    assert [len(one) for one in pressed] == [1, 0]
    assert (world.memory.texts(), other.texts()) == ([], ["Hello"])
    assert (await last_line(world, "o1")).delivery == "delivered"


async def test_a_part_that_fails_after_the_press_can_be_sent_again_too(world: World) -> None:
    """Only what is named is stood in for: a later failure is not hidden by an earlier press."""
    await open_talk(world)
    world.memory.fail_next(Refused("no"))
    message_id = await say(world, "Hello")
    await resend(world, message_id)
    await world.outbox.drain()

    def lose_another(session: Session) -> None:
        row = session.exec(
            select(Delivery).where(Delivery.message_id == message_id, Delivery.state == "failed")
        ).one()
        fields = row.model_dump() | {"id": "late", "part": 1, "ord": row.ord + 1}
        session.add(Delivery(**fields))

    await world.store.write(lose_another)

    assert (await last_line(world)).delivery == "failed"


async def test_who_sent_it_again_is_in_the_audit(world: World) -> None:
    """Who, which message, and which delivery it stands in for."""
    await open_talk(world)
    world.memory.fail_next(Ambiguous("read timed out"))
    message_id = await say(world, "Hello")
    [old] = await resend(world, message_id)
    entries = await world.store.read(
        lambda s: s.exec(select(Audit).where(Audit.action == "resend")).all()
    )

    assert [(one.actor, one.detail["message"], one.detail["deliveries"]) for one in entries] == [
        ("agent:ana", message_id, [old])
    ]


async def test_what_arrived_or_was_taken_back_is_not_sent_again(world: World) -> None:
    """A delivered line, a note and a foreign message: nothing goes out."""
    await open_talk(world)
    message_id = await say(world, "Hello")
    note = await world.act(
        lambda s, c: world.conversations.append(s, c, Draft(text="hm", author=BEN, note=True)),
        visitor="c1",
    )

    assert await resend(world, message_id) == []
    assert await resend(world, note.id) == []
    with pytest.raises(NoSuchMessage):
        await resend(world, "nothing")
    assert world.memory.texts() == ["Hello"]


def test_a_line_tells_its_worst_part() -> None:
    """Unknown before failed, both before what is on its way; what was stood in for is silent."""

    def row(row_id: str, state: str, **more: object) -> Delivery:
        fields = {"surface": "a", "ord": 1, **more}
        return Delivery(id=row_id, state=state, **fields)  # pyright: ignore[reportArgumentType]

    worst = deliveries.fate_of([row("1", "delivered"), row("2", "failed"), row("3", "unknown")])
    leased = deliveries.fate_of([row("1", "delivered"), row("2", "leased")])
    healed = deliveries.fate_of([row("1", "unknown"), row("2", "delivered", resends="1", ord=2)])

    assert (worst.state, leased.state, healed.state) == ("unknown", "pending", "delivered")
