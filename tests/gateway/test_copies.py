"""Providers repeat themselves: any number of copies of an event is one message and one turn."""

import asyncio
import random
from typing import Any

import pytest
from sqlmodel import Session, col, func, select, text

from gateway.messages import RawEvent
from gateway.models import Delivery, GatewayTable, Message, Turn
from storage.database import Database
from tests.conftest import TurnedClock
from tests.gateway.world import World
from tests.needs import COPIED_EVENTS

COPIES = 5


@pytest.fixture
def worlds(database: Database, clock: TurnedClock) -> tuple[World, World]:
    """Two gateways on one store."""
    return World(database, clock), World(Database(database.url), clock)


async def both(worlds: tuple[World, World], work: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for world in worlds:
            group.create_task(work(world))


async def test_copies_on_two_workers_at_once_are_one_message_each(
    worlds: tuple[World, World],
) -> None:
    """Five copies of each event, shuffled over two workers that read meanwhile: each is stored
    once, answered once, and the answers leave once."""
    one, other = worlds
    events = [
        one.memory.event_of(chat=f"c{n % 25}", id=f"m{n}", text=f"How long is {n}?")
        for n in range(COPIED_EVENTS)
    ]
    dice = random.Random(7)
    copies = dice.sample(events * COPIES, len(events) * COPIES)

    async def take(world: World, own: list[RawEvent]) -> None:
        for event in own:
            await world.ingress.store(event)

    async with asyncio.TaskGroup() as group:
        working = [asyncio.create_task(world.worker.run()) for world in worlds]
        for lane in range(20):
            group.create_task(take(worlds[lane % 2], copies[lane::20]))
    for task in working:
        task.cancel()
    for _ in range(3):
        await both(worlds, lambda world: world.worker.settle())

    def counts(session: Session) -> tuple[int, int, int, int]:
        said = session.exec(
            select(func.count()).select_from(Message).where(Message.author == "customer")
        ).one()
        ids = session.exec(
            select(func.count(func.distinct(Delivery.external_id)))
            .join(Message, col(Message.id) == col(Delivery.message_id))
            .where(Message.author == "customer")
        ).one()
        open_turns = session.exec(
            select(func.count()).select_from(Turn).where(
                col(Turn.state).in_(("scheduled", "running"))
            )
        ).one()  # fmt: skip
        delivered = session.exec(
            select(func.count())
            .select_from(Delivery)
            .join(Message, col(Message.id) == col(Delivery.message_id))
            .where(Message.author != "customer", Delivery.state == "delivered")
        ).one()
        return said, ids, open_turns, delivered

    said, ids, open_turns, delivered = await one.store.read(counts)
    sent = sum(len(world.memory.sent) for world in worlds)

    assert (said, ids, open_turns) == (COPIED_EVENTS, COPIED_EVENTS, 0)
    assert sent == delivered > 0
    other.store.database.close()


async def test_a_day_that_is_replayed_changes_no_row(world: World) -> None:
    """Messages, buttons, edits, deletions, albums, moves: the same day again leaves every table as
    it was."""
    day = _a_day(world, random.Random(11))
    for event in day:
        await world.ingress.store(event)
        await world.worker.settle()
        world.clock.turn(seconds=30)
    before = await world.store.read(_everything)
    for event in day:
        await world.ingress.store(event)
        await world.worker.settle()

    assert await world.store.read(_everything) == before


def _a_day(world: World, dice: random.Random) -> list[RawEvent]:
    said: list[tuple[str, str]] = []
    day: list[RawEvent] = []
    for n in range(120):
        chat = f"c{dice.randrange(8)}"
        fields: dict[str, Any] = {"chat": chat, "id": f"m{n}", "text": f"How long is {n}?"}
        kind = dice.choice(("text", "text", "text", "button", "edit", "delete", "album", "reach"))
        mine = [one for where, one in said if where == chat]
        if kind == "button":
            fields |= {"text": "", "action": dice.choice(("human", "bot", "helpful"))}
        elif kind == "edit" and mine:
            fields |= {"edits": dice.choice(mine), "text": f"How long is {n}, really?"}
        elif kind == "delete" and mine:
            fields |= {"deletes": dice.choice(mine)}
        elif kind == "album":
            fields |= {"album": f"a{n // 3}", "attachments": [{"kind": "image"}]}
        elif kind == "reach":
            fields |= {"type": "reachable", "reachable": dice.random() < 0.5}
        if kind in ("text", "album"):
            said.append((chat, f"m{n}"))
        day.append(world.memory.event_of(**fields))
    return day


def _everything(session: Session) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the gateway."""
    return {
        name: sorted(map(tuple, session.connection().execute(text(f"SELECT * FROM {name}"))),
                     key=repr)
        for name in GatewayTable.metadata.tables
        if name != "case"  # a word of SQL, and the desk's
    }  # fmt: skip
