"""The way in: accepted means kept, once, and a failure to read loses nothing."""

import asyncio

import pytest
from sqlmodel import col, select

from gateway.models import Conversation, InboxEvent, Message
from storage.database import Database, DatabaseLimits, Overloaded, Unavailable
from tests.conftest import TurnedClock
from tests.gateway.world import World


async def events(world: World) -> list[InboxEvent]:
    return await world.store.read(
        lambda s: list(s.exec(select(InboxEvent).order_by(col(InboxEvent.id))))
    )


async def test_five_copies_of_an_event_are_one_message_and_one_answer(world: World) -> None:
    """Concurrent repeats are absorbed by the unique key."""
    event = world.memory.event_of(chat="c1", text="How long?")
    await asyncio.gather(*(world.ingress.store(event) for _ in range(5)))
    await world.worker.settle()

    assert len(await events(world)) == 1
    assert len(world.memory.texts()) == 1


async def test_fifty_first_messages_at_once_open_one_conversation(world: World) -> None:
    """However many lines a new visitor sends at the same time, there is one conversation."""
    await asyncio.gather(*(world.write_in(f"line {n}") for n in range(50)))
    conversations = await world.store.read(lambda s: list(s.exec(select(Conversation))))
    seqs = await world.store.read(
        lambda s: list(s.exec(select(Message.seq).order_by(col(Message.seq))))
    )

    assert len(conversations) == 1
    assert seqs == list(range(1, 51))


async def test_lines_of_one_chat_keep_their_order(world: World) -> None:
    """Twenty events that arrive together are read in the order they were committed."""
    for n in range(20):
        await world.ingress.store(world.memory.event_of(chat="c1", text=f"{n}"))
    await world.worker.settle()
    texts = await world.store.read(
        lambda s: list(
            s.exec(
                select(Message.text).where(Message.author == "customer").order_by(col(Message.seq))
            )
        )
    )

    assert texts == [str(n) for n in range(20)]


async def test_an_event_that_cannot_be_read_is_set_aside_with_its_reason(world: World) -> None:
    """It is kept raw, marked, and holds nobody up."""
    broken = world.memory.event_of(chat="c1", text="x")
    broken = type(broken)(
        channel="memory", account="main", external_id="bad", body=b"{not json", headers={}
    )
    await world.ingress.store(broken)
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    await world.worker.settle()
    bad, good = await events(world)

    assert (bad.state, bad.body) == ("quarantined", b"{not json")
    assert "unreadable" in (bad.reason or "")
    assert good.state == "done"


async def test_events_that_say_nothing_are_ignored_and_counted(world: World) -> None:
    """Our own echo is kept as an event and becomes no message."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="x", echo=True))
    await world.worker.settle()

    assert [event.state for event in await events(world)] == ["ignored"]
    assert world.answerer.asked == []


async def test_an_edit_before_its_original_ends_in_the_same_state(world: World) -> None:
    """The edit is tried again until its original is there; the old text is kept."""
    edit = world.memory.event_of(chat="c1", id="m1", event_id="e2", edits="m1", text="after")
    await world.ingress.store(edit)
    await world.worker.settle()
    await world.ingress.store(world.memory.event_of(chat="c1", id="m1", text="before"))
    await world.worker.settle()
    world.clock.turn(seconds=2)
    await world.worker.settle()
    [message] = await world.store.read(
        lambda s: list(s.exec(select(Message).where(Message.author == "customer")))
    )

    assert message.text == "after"
    assert message.edited_at is not None


async def test_an_edit_whose_original_never_comes_holds_nobody_up(world: World) -> None:
    """It waits a minute, then it counts as the message; why it waited is kept."""
    await world.ingress.store(
        world.memory.event_of(chat="c1", id="m9", event_id="e9", edits="gone", text="x")
    )
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    for _ in range(4):
        await world.worker.settle()
        world.clock.turn(seconds=30)
    bad, good = await events(world)

    assert (bad.state, good.state) == ("done", "done")
    assert "not here yet" in (bad.reason or "")


async def test_an_event_that_keeps_failing_is_quarantined_and_the_rest_goes_on(
    world: World,
) -> None:
    """After eight failures it is set aside with its reason; other chats never waited."""
    receive = world.router.receive
    world.router.receive = lambda session, message: (  # pyright: ignore[reportAttributeAccessIssue]
        _failing() if message.text == "poison" else receive(session, message)
    )
    await world.ingress.store(world.memory.event_of(chat="c1", text="poison"))
    await world.ingress.store(world.memory.event_of(chat="c2", text="How long?"))
    for _ in range(10):
        await world.worker.settle()
    bad, good = await events(world)

    assert (bad.state, bad.attempts, good.state) == ("quarantined", 9, "done")
    assert "nobody foresaw this" in (bad.reason or "")


async def test_what_ends_the_process_three_times_is_set_aside(world: World) -> None:
    """Attempts are counted before the work, so a crash leaves its mark."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    [event] = await events(world)

    def crashed(session: object) -> None:
        row = session.get_one(InboxEvent, event.id)  # pyright: ignore[reportAttributeAccessIssue]
        row.crashes = 3
        session.add(row)  # pyright: ignore[reportAttributeAccessIssue]

    await world.store.write(crashed)
    await world.worker.settle()
    [event] = await events(world)

    assert event.state == "quarantined"
    assert world.answerer.asked == []


async def test_what_cannot_be_read_now_is_kept_and_read_later(world: World) -> None:
    """The raw event is committed even if reading it fails; the sender is told to come back."""
    receive = world.router.receive
    world.router.receive = _failing  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(Unavailable):
        await world.write_in("How long?")
    world.router.receive = receive
    await world.worker.settle()

    assert [event.state for event in await events(world)] == ["done"]
    assert len(world.answerer.asked) == 1


def _failing(*_: object) -> None:
    raise RuntimeError("nobody foresaw this")


async def test_more_than_may_wait_is_refused_at_once(tmp_path: object, clock: TurnedClock) -> None:
    """Admission has a limit: one more write than may wait raises Overloaded, and nothing of it is
    kept."""
    database = Database(f"sqlite:///{tmp_path}/q.sqlite", limits=DatabaseLimits(queue_max=2))
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_: object) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

    first = asyncio.create_task(database.write(hold))
    second = asyncio.create_task(database.write(lambda _: None))
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded, match="2 writes are waiting"):
        await database.write(lambda _: None)
    gate.set()
    await asyncio.gather(first, second)
    database.close()

    assert first.done()
    assert second.done()
