"""How fast deliveries go out, and when an account rests."""

import asyncio
import datetime as dt

import pytest

from gateway.errors import ChannelError, RateLimited, Unreachable
from gateway.messages import Rate
from gateway.pace import Breaker, BreakerLimits
from tests.gateway.world import World

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
LIMITS = BreakerLimits(failures=3, window_s=30, rest_s=5, rest_s_max=20)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


async def asks(world: World, *chats: str) -> None:
    for chat in chats:
        await world.ingress.store(world.memory.event_of(chat=chat, text="How long?"))
    await world.worker.settle()


async def test_an_accounts_rate_serves_all_chats_in_turn(world: World) -> None:
    """At two a second for the account, six chats are answered within three seconds, none early."""
    world.memory.can(rates=(Rate("account", 2.0),))
    await asks(world, *"abcdef")
    counts = [len(world.memory.sent)]
    for _ in range(5):
        world.clock.turn(seconds=0.5)
        await world.outbox.drain()
        counts.append(len(world.memory.sent))

    assert counts == [1, 2, 3, 4, 5, 6]


async def test_a_shared_places_rate_is_its_own(world: World) -> None:
    """A group is written to more slowly than a private chat."""
    world.memory.can(rates=(Rate("shared_chat", 0.25),))
    for chat, thread in (("group", "t1"), ("group", "t2"), ("dm", ""), ("dm2", "")):
        event = world.memory.event_of(chat=chat, thread=thread, text="How long?", sender=thread)
        await world.ingress.store(event)
    await world.worker.settle()
    at_once = sorted(one.address.chat for one in world.memory.sent)
    world.clock.turn(seconds=4)
    await world.outbox.drain()

    assert at_once == ["dm", "dm2", "group"]
    assert len(world.memory.sent) == 4


async def test_a_chat_that_was_told_to_wait_waits_for_all_who_write_to_it(world: World) -> None:
    """Two threads of one chat: what the provider said of one holds for the other."""
    world.memory.can(rates=(Rate("chat", 1_000.0),))
    world.memory.fail_next(RateLimited("429", wait_s=60))
    for thread in ("t1", "t2"):
        event = world.memory.event_of(chat="g", thread=thread, text="How long?")
        await world.ingress.store(event)
        await world.worker.settle()
    early = list(world.memory.sent)
    world.clock.turn(seconds=61)
    await world.outbox.drain()

    assert early == []
    assert len(world.memory.sent) == 2


@pytest.mark.parametrize("error", [Unreachable("refused"), RateLimited("429", wait_s=1)])
async def test_an_account_in_trouble_rests_and_sends_one_probe(
    world: World, error: ChannelError
) -> None:
    """Five chats fail; of the ten that wait then, one asks whether it works again."""
    world.memory.fail_next(*[error] * 5)
    await asks(world, *[f"c{n}" for n in range(5)])
    await asks(world, *[f"d{n}" for n in range(5)])
    resting = list(world.memory.sent)
    world.memory.fail_next(error)
    world.clock.turn(seconds=5)
    await world.outbox.drain()
    probed = world.memory.failed
    world.clock.turn(seconds=11)
    await world.outbox.drain()
    world.clock.turn(seconds=60)
    await world.outbox.drain()

    assert resting == []
    assert probed == 6
    assert len(world.memory.sent) == 10


async def test_a_channel_that_hangs_holds_up_no_other(world: World) -> None:
    """More lines than may be on their way hang on one channel; another channel's goes out."""
    slow, quick = world.memory, world.add_memory("quick")
    hanging = asyncio.Event()
    slow.on_send = lambda _: hanging.wait()  # pyright: ignore[reportAttributeAccessIssue]
    for n in range(60):
        await world.ingress.store(slow.event_of(chat=f"c{n}", text="How long?"))
    await world.ingress.store(quick.event_of(chat="q", text="How long?"))
    delivering = asyncio.create_task(world.outbox.run())
    working = asyncio.create_task(world.worker.run())
    async with asyncio.timeout(20):
        await quick.was_sent.wait()
    hanging.set()
    delivering.cancel()
    working.cancel()
    await world.outbox.close(within_s=5)
    await world.worker.close(within_s=5)

    assert len(quick.sent) == 1


def test_scattered_failures_do_not_make_an_account_rest():
    """Three failures within the window do; the same three over a minute do not."""
    breaker = Breaker(LIMITS)
    for n in range(6):
        breaker.fails(f"d{n}", after(n * 16))

    assert breaker.rests_until is None


def test_one_delivery_that_fails_for_ever_makes_nobody_rest():
    """A poisoned one is its own trouble."""
    breaker = Breaker(LIMITS)
    for n in range(9):
        breaker.fails("d1", after(n))

    assert breaker.rests_until is None


def test_rests_grow_to_a_limit_and_end_with_the_first_success():
    """5, 10, 20, 20 seconds; then all may go."""
    breaker, rests = Breaker(LIMITS), []
    for n in range(3):
        breaker.fails(f"d{n}", NOW)
    now = NOW
    for _ in range(4):
        assert breaker.rests_until is not None
        rests.append((breaker.rests_until - now).total_seconds())
        now = breaker.rests_until
        assert breaker.come_back("probe", now) is None
        breaker.fails("probe", now)
    breaker.works()

    assert rests == [5, 10, 20, 20]
    assert breaker.come_back("d9", now) is None


def test_while_a_probe_is_out_the_others_wait():
    """And if it never comes back, another one may try a minute later."""
    breaker = Breaker(LIMITS)
    breaker.rest(after(60))

    assert breaker.come_back("a", after(59)) == after(60)
    assert breaker.come_back("a", after(60)) is None
    assert breaker.come_back("b", after(60)) == after(61)
    assert breaker.come_back("b", after(81)) is None
