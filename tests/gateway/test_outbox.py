"""The way out: once, in order, and never a guess."""

import asyncio

import pytest
from sqlmodel import Session, col, select

from gateway.conversations import Draft
from gateway.errors import (
    Ambiguous,
    BadToken,
    ChannelError,
    RateLimited,
    Refused,
    Unavailable,
    Unreachable,
    WindowClosed,
)
from gateway.messages import Rate
from gateway.models import Attempt, Delivery
from tests.gateway.world import ANA, World


async def open_talk(world: World) -> None:
    """A conversation on the memory channel that Ana has; nothing sent is left over."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
    await world.worker.settle()
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.outbox.drain()
    world.memory.sent.clear()


async def say(world: World, *texts: str) -> None:
    for text in texts:
        draft = Draft(text=text, author=ANA)
        await world.act(lambda s, c, d=draft: world.conversations.say(s, c, d), visitor="c1")


async def rows(world: World) -> list[Delivery]:
    """Ana's deliveries, oldest first."""

    def find(session: Session) -> list[Delivery]:
        found = session.exec(select(Delivery).order_by(col(Delivery.ord), col(Delivery.id)))
        return list(found)[3:]

    return await world.store.read(find)


async def test_texts_arrive_once_in_order(world: World) -> None:
    """Five lines leave as they were said, whatever order the rows are found in."""
    await open_talk(world)
    await say(world, "one", "two", "three", "four", "five")
    await world.outbox.drain()

    assert world.memory.texts() == ["one", "two", "three", "four", "five"]
    assert {row.state for row in await rows(world)} == {"delivered"}


@pytest.mark.parametrize("error", [Unreachable("refused"), Unavailable("503")])
async def test_what_was_not_sent_is_sent_again(world: World, error: ChannelError) -> None:
    """A refused connection is tried again, and the lines behind it wait their turn."""
    await open_talk(world)
    await say(world, "one", "two")
    world.memory.fail_next(error)
    await world.outbox.drain()
    before = world.memory.texts()
    world.clock.turn(seconds=90)
    await world.outbox.drain()

    assert before == []
    assert world.memory.texts() == ["one", "two"]


@pytest.mark.parametrize(
    "error", [Refused("blocked by the customer"), WindowClosed("24 h are over")]
)
async def test_what_is_refused_fails_with_its_reason_and_blocks_nobody(
    world: World, error: ChannelError
) -> None:
    """The agent can read why; the next line goes out."""
    await open_talk(world)
    await say(world, "one", "two")
    world.memory.fail_next(error)
    await world.outbox.drain()
    first, second = await rows(world)

    assert (first.state, first.reason) == ("failed", str(error))
    assert second.state == "delivered"
    assert world.memory.texts() == ["two"]


async def test_a_rate_limit_is_obeyed_to_the_second(world: World) -> None:
    """Nothing goes out before the wait is over, and not a second copy after it."""
    await open_talk(world)
    await say(world, "one")
    world.memory.fail_next(RateLimited("429", wait_s=30))
    await world.outbox.drain()
    world.clock.turn(seconds=29)
    await world.outbox.drain()
    early = world.memory.texts()
    world.clock.turn(seconds=2)
    await world.outbox.drain()

    assert early == []
    assert world.memory.texts() == ["one"]


async def test_an_unclear_outcome_is_reconciled_before_anything_is_sent_again(world: World) -> None:
    """The far end proves absence, so the text goes out once more, and exactly once."""
    await open_talk(world)
    world.memory.proof = "absent"
    await say(world, "one")
    world.memory.fail_next(Ambiguous("reset"))
    await world.outbox.drain()
    world.clock.turn(seconds=90)
    await world.outbox.drain()

    assert world.memory.texts() == ["one"]


async def test_an_unclear_outcome_that_nobody_can_settle_is_shown_as_unknown(world: World) -> None:
    """Without proof nothing is sent twice: the agent sees "may not have arrived"."""
    await open_talk(world)
    world.memory.proof = None
    await say(world, "one", "two")
    world.memory.fail_next(Ambiguous("read time-out"))
    await world.outbox.drain()
    first, second = await rows(world)

    assert first.state == "unknown"
    assert "may not have arrived" in (first.reason or "")
    assert second.state == "delivered"


async def test_a_refused_token_pauses_the_account_and_keeps_the_queue(world: World) -> None:
    """One probe a minute; when the token works again everything goes out in order."""
    await open_talk(world)
    await say(world, "one", "two")
    world.memory.fail_next(BadToken("revoked"))
    await world.outbox.drain()
    world.clock.turn(seconds=30)
    await world.outbox.drain()
    paused = world.memory.texts()
    world.clock.turn(seconds=31)
    await world.outbox.drain()

    assert paused == []
    assert world.memory.texts() == ["one", "two"]


async def test_a_channels_rate_spreads_what_is_sent(world: World) -> None:
    """At one a second for each chat, five lines take four seconds."""
    await open_talk(world)
    world.memory.can(rates=(Rate("chat", 1.0),))
    await say(world, "1", "2", "3", "4", "5")
    await world.outbox.drain()
    counts = [len(world.memory.texts())]
    for _ in range(4):
        world.clock.turn(seconds=1)
        await world.outbox.drain()
        counts.append(len(world.memory.texts()))

    assert counts == [1, 2, 3, 4, 5]


async def test_one_conversations_trouble_delays_no_other(world: World) -> None:
    """While one chat waits, another's line goes out."""
    await open_talk(world)
    await say(world, "for c1")
    world.memory.fail_next(RateLimited("429", wait_s=600))
    await world.outbox.drain()
    await world.ingress.store(world.memory.event_of(chat="c2", text="How long?"))
    await world.worker.settle()

    assert world.memory.texts() == ["Within 30 days [1].\n\n[1] Returns"]


async def test_a_worker_that_died_while_sending_leaves_no_second_copy(world: World) -> None:
    """A row found in `sending` is never simply sent again; one found `leased` is."""
    await open_talk(world)
    await say(world, "one", "two")
    world.memory.proof = None
    [(claim, _)] = await world.store.write(world.outbox._claim)
    await world.store.write(lambda session: world.outbox._start(session, claim))
    await world.outbox.reclaim(everything=True)
    [(leased, _)] = await world.store.write(world.outbox._claim)
    await world.outbox.reclaim(everything=True)
    await world.outbox.drain()
    first, second = await rows(world)

    assert (first.state, first.id) == ("unknown", claim.id)
    assert (second.state, second.id) == ("delivered", leased.id)
    assert world.memory.texts() == ["two"]


async def test_a_late_result_changes_nothing(world: World) -> None:
    """A worker that slept through its lease may note what it did, but decides nothing."""
    await open_talk(world)
    await say(world, "one")
    [(old, _)] = await world.store.write(world.outbox._claim)
    await world.outbox.reclaim(everything=True)
    await world.outbox.drain()
    await world.outbox._deliver(old)

    assert world.memory.texts() == ["one"]
    assert [row.state for row in await rows(world)] == ["delivered"]


async def test_a_bots_text_too_old_to_help_is_not_sent(world: World) -> None:
    """After ten minutes of failing, a bot's answer is given up, and a person called instead."""
    world.memory.fail_next(*[Unreachable("down")] * 20)
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    await world.worker.settle()
    for _ in range(30):
        world.clock.turn(seconds=61)
        await world.outbox.drain()
    [_, row, _] = await world.store.read(
        lambda s: list(s.exec(select(Delivery).order_by(col(Delivery.ord))))
    )

    assert row.state == "failed"
    assert "not delivered in time" in (row.reason or "")
    assert len(world.memory.texts()) == 1
    assert "a person will follow up" in world.memory.texts()[0]


async def test_every_try_is_noted(world: World) -> None:
    """An attempt row for each try says what happened: A, then D."""
    await open_talk(world)
    await say(world, "one")
    world.memory.fail_next(Unreachable("refused"))
    await world.outbox.drain()
    world.clock.turn(seconds=90)
    await world.outbox.drain()
    outcomes = await world.store.read(
        lambda s: [one.outcome for one in s.exec(select(Attempt).order_by(col(Attempt.id)))]
    )

    assert outcomes[-2:] == ["A", "D"]


async def test_two_workers_send_each_text_once(world: World) -> None:
    """Claims do not overlap, and order holds across workers."""
    await open_talk(world)
    await say(world, *[str(n) for n in range(12)])
    await asyncio.gather(*(world.outbox.drain() for _ in range(4)))

    assert world.memory.texts() == [str(n) for n in range(12)]


async def test_a_long_text_arrives_whole_in_numbered_parts(world: World) -> None:
    """Nothing is cut: every word of 3,000 arrives, in order."""
    world.memory.can(text_units_max=200)
    world.conversations.capabilities = {
        name: channel.capabilities for name, channel in world.channels.items()
    }
    await open_talk(world)
    text = " ".join(f"word{n}" for n in range(300))
    await say(world, text)
    await world.outbox.drain()

    assert len(world.memory.texts()) > 10
    assert " ".join(world.memory.texts()) == text
