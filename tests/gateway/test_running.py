"""Turns that start with their message, and how many run at once."""

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from gateway.conversations import Draft
from gateway.ingress import Ingress
from gateway.models import Turn
from gateway.running import RunningTurns
from storage.database import Database, DatabaseLimits, Overloaded
from tests.conftest import TurnedClock
from tests.gateway.world import ANA, World


async def turns(world: World) -> list[tuple[str, int, int]]:
    """State, attempts and the newest line read, of every turn."""

    def read(session: Session) -> list[tuple[str, int, int]]:
        rows = session.exec(select(Turn).order_by(col(Turn.id)))
        return [(row.state, row.attempts, row.upto_seq) for row in rows]

    return await world.store.read(read)


async def asked(world: World, count: int) -> list[str]:
    """What the bot was asked, once it was asked so often."""
    while len(world.answerer.asked) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    return [question.text for question in world.answerer.asked]


async def test_the_bot_thinks_as_soon_as_a_message_is_committed(world: World) -> None:
    """The turn starts with its message: nobody has to find it in the database first."""
    world.answerer.gate.clear()
    await world.begin("How long?")
    thinking = await turns(world)
    questions = await asked(world, 1)
    world.answerer.gate.set()
    await world.worker.settle()

    assert thinking == [("running", 1, 1)]
    assert questions == ["How long?"]
    assert await turns(world) == [("done", 1, 1)]


async def test_a_line_written_while_the_bot_thinks_is_answered_with_the_first(
    world: World,
) -> None:
    """No second turn beside the first: it runs again and reads both."""
    world.answerer.gate.clear()
    await world.begin("How long?")
    await asked(world, 1)
    await world.begin("For a lamp.")
    world.answerer.gate.set()
    await world.worker.settle()
    seen = await world.seen()

    assert await asked(world, 2) == ["How long?", "How long?\nFor a lamp."]
    assert [item.author for item in seen] == ["customer", "customer", "bot"]


async def test_a_person_who_takes_over_silences_a_turn_that_started_with_its_message(
    world: World,
) -> None:
    """The claim comes while the bot thinks; the customer sees the person's words alone."""
    world.answerer.gate.clear()
    await world.begin("How long?")
    await asked(world, 1)
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA))
    await world.act(lambda s, c: world.conversations.say(s, c, Draft(text="Ana", author=ANA)))
    world.answerer.gate.set()
    await world.worker.settle()

    assert [item.text for item in await world.seen()] == ["How long?", "Ana has joined.", "Ana"]


async def test_a_turn_whose_process_died_is_run_by_the_next(world: World) -> None:
    """It is found in the database, as one that was started from there."""
    world.answerer.gate.clear()
    await world.begin("How long?")
    await asked(world, 1)
    await world.worker.close(within_s=0)
    left = await turns(world)
    world.answerer.gate.set()
    await world.worker.reclaim(everything=True)
    await world.worker.settle()

    assert left == [("running", 1, 1)]
    assert await turns(world) == [("done", 2, 1)]
    assert [item.author for item in await world.seen()] == ["customer", "bot"]


async def test_above_the_limit_turns_wait_in_the_database_in_order(world: World) -> None:
    """Two think at once; the third and fourth wait, and nobody who comes later overtakes them."""
    world.running = RunningTurns(world.store, world.turns, at_once_max=2)
    world.worker._running = world.running  # pyright: ignore[reportPrivateUsage]
    world.ingress = Ingress(world.store, world.router, world.running)
    world.answerer.gate.clear()
    for number in range(4):
        await world.begin(f"question {number}", visitor=f"v{number}")
    await asked(world, 2)
    started = await turns(world)
    world.answerer.gate.set()
    await asyncio.wait(world.running.tasks)
    await world.begin("question 4", visitor="v4")
    waiting = await turns(world)
    await world.worker.settle()
    questions = await asked(world, 5)

    assert [state for state, *_ in started] == ["running", "running", "scheduled", "scheduled"]
    assert [state for state, *_ in waiting] == ["done", "done", *["scheduled"] * 3]
    pairs = [set(questions[:2]), set(questions[2:4]), set(questions[4:])]
    assert pairs == [
        {"question 0", "question 1"}, {"question 2", "question 3"}, {"question 4"}
    ]  # fmt: skip


async def test_a_turn_starts_even_when_its_message_is_committed_late(
    empty_sqlite: Path, tmp_path: Path, clock: TurnedClock
) -> None:
    """The customer was told to come back; what was taken in after all is answered at once."""
    url = f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'g.sqlite')}"
    database = Database(url, limits=DatabaseLimits(commit_wait_s=0.05))
    world = World(database, clock)
    loop, gate = asyncio.get_running_loop(), asyncio.Event()

    def hold_up(_: Session) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

    held = asyncio.create_task(database.write(hold_up, patient=True))
    await asyncio.sleep(0)  # it is first in the queue
    with pytest.raises(Overloaded):
        await world.begin("How long?")
    gate.set()
    await held
    questions = await asked(world, 1)
    await world.worker.settle()
    seen = await world.seen()
    await asyncio.to_thread(database.close)

    assert questions == ["How long?"]
    assert [item.author for item in seen] == ["customer", "bot"]
