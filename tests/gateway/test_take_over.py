"""M21: no bot text after a person took over, in every order of commit, generate and send."""

import contextlib
import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from gateway.conversations import Draft
from gateway.errors import IllegalMove
from gateway.history import transcript
from gateway.messages import InboundMessage
from gateway.models import Conversation, Delivery, Turn
from gateway.sending import Claim, End, Parcel
from gateway.showing import Showing
from gateway.turns import Snapshot
from storage.database import Database, DatabaseLimits
from tests.conftest import TurnedClock
from tests.gateway.world import ANA, World

# What the bot and the outbox do, one database or network step at a time, in their own order.
BOT_STEPS = ("start", "think", "finish", "claim", "mark_sending", "send", "record")


class Interleaving:
    """Drives the production steps one by one, so that a person's step can fall between any two."""

    def __init__(self, world: World, *, at_once: bool = False) -> None:
        self.world = world
        self._at_once = at_once  # the turn starts with the message, as on the web
        self.snapshot: Snapshot | None = None
        self.claims: list[Claim] = []
        self.parcels: list[Parcel] = []

    async def open(self) -> None:
        event = self.world.memory.event_of(chat="c1", text="How long?")
        if self._at_once:
            message, begin = self.world.memory.parse(event), self.world.turns.begin
            assert isinstance(message, InboundMessage)
            self.snapshot = await self.world.store.write(
                lambda s: self.world.router.receive(s, message, begin=begin).begun
            )
            assert self.snapshot is not None
            return
        await self.world.ingress.store(event)
        await self.world.worker._admit_events()
        for task in list(self.world.worker._tasks):
            await task

    async def step(self, name: str) -> None:
        await getattr(self, f"_{name}")()

    async def _start(self) -> None:
        if self._at_once:
            return
        [*_, turn_id] = await self.world.store.read(
            lambda s: list(s.exec(select(Turn.id).order_by(col(Turn.id))))
        )
        self.snapshot = await self.world.store.write(lambda s: self.world.turns._start(s, turn_id))

    async def _think(self) -> None:
        if self.snapshot:
            showing = Showing(self.world.store, self.snapshot.contact_id)
            self.thought = await self.world.turns._think(self.snapshot, showing)

    async def _finish(self) -> None:
        if snapshot := self.snapshot:
            await self.world.store.write(
                lambda s: self.world.turns._finish(s, snapshot, *self.thought)
            )

    async def _claim(self) -> None:
        claimed = await self.world.store.write(self.world.outbox._claim)
        self.claims = [claim for claim, _ in claimed]

    async def _mark_sending(self) -> None:
        for claim in self.claims:
            parcel = await self.world.store.write(lambda s, c=claim: self.world.outbox._start(s, c))
            self.parcels += [parcel] if parcel else []

    async def _send(self) -> None:
        self.receipts = [
            (parcel, await self.world.memory.send(parcel.address, parcel.message))
            for parcel in self.parcels
        ]

    async def _record(self) -> None:
        for parcel, receipt in self.receipts:
            end = End(state="delivered", outcome="D", external_id=receipt.external_ids[0])
            await self.world.outbox._end(parcel, end)

    async def take_over(self, text: str) -> None:
        talk = self.world.conversations
        await self.world.act(lambda s, c: talk.claim(s, c, ANA), visitor="c1")
        draft = Draft(text=text, author=ANA)
        await self.world.act(lambda s, c: talk.say(s, c, draft), visitor="c1")


async def play(world: World, at: int, *, at_once: bool) -> list[str]:
    """All bot steps with the take-over before step `at`; what the customer then got, in order."""
    run = Interleaving(world, at_once=at_once)
    await run.open()
    for n, name in enumerate((*BOT_STEPS, "end")):
        if n == at:
            await run.take_over("Ana here.")
        if name != "end":
            await run.step(name)
    await world.worker.settle()
    return world.memory.texts()


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("at", range(len(BOT_STEPS) + 1))
async def test_nothing_of_the_bot_follows_a_person(world: World, at: int, at_once: bool) -> None:
    """Up to the first byte the text is withdrawn; once on the wire it shows before the person's."""
    texts = await play(world, at, at_once=at_once)

    ana = texts.index("Ana has joined.")
    assert all("30 days" not in text for text in texts[ana:])
    assert texts[-1] == "Ana here."
    on_the_wire = at > BOT_STEPS.index("mark_sending")
    assert ("30 days" in " ".join(texts)) == on_the_wire


PEOPLE = ("claim", "say", "hand_back", "release", "resolve", "write")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
async def test_whatever_people_do_meanwhile_the_epoch_guards_every_bot_text(
    empty_sqlite: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random moves of agents and customers between the bot's steps: a bot's text is delivered only
    under the epoch it was made in, and seq has no gap."""
    path = shutil.copy(empty_sqlite, tmp_path_factory.mktemp("run") / "g.sqlite")
    database = Database(f"sqlite:///{path}", limits=DatabaseLimits(commit_wait_s=30))
    try:
        world = World(database, TurnedClock())
        run = Interleaving(world, at_once=data.draw(st.booleans()))
        await run.open()
        for name in BOT_STEPS:
            for act in data.draw(st.lists(st.sampled_from(PEOPLE), max_size=2)):
                await _person(world, act)
            if name in ("think", "finish") or name != "record" or hasattr(run, "receipts"):
                await run.step(name)
        await world.worker.settle()
        await _check(world)
    finally:
        database.close()


async def _person(world: World, act: str) -> None:
    talk = world.conversations
    verbs = {
        "claim": lambda s, c: talk.claim(s, c, ANA),
        "say": lambda s, c: (talk.claim(s, c, ANA), talk.say(s, c, Draft(text="Ana", author=ANA))),
        "hand_back": lambda s, c: talk.hand_back(s, c, ANA),
        "release": lambda s, c: talk.release(s, c, ANA, 1),
        "resolve": lambda s, c: talk.resolve(s, c, ANA),
    }
    if act == "write":
        await world.ingress.store(world.memory.event_of(chat="c1", text="And?"))
        await world.worker._admit_events()
        for task in list(world.worker._tasks):
            await task
        return
    with contextlib.suppress(IllegalMove):
        await world.act(verbs[act], visitor="c1")


async def _check(world: World) -> None:
    conversations = await world.store.read(lambda s: list(s.exec(select(Conversation))))
    for conversation in conversations:
        lines = await world.store.read(lambda s, c=conversation: transcript(s, c.id))
        assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
        people_have_it = False
        for line in lines:
            if line.mark in ("claimed", "handed_over", "released"):
                people_have_it = True
            elif line.mark in ("handed_back", "resolved", "reopened"):
                people_have_it = False
            assert not (line.author == "bot" and people_have_it)
    rows = await world.store.read(lambda s: list(s.exec(select(Delivery))))
    assert not [row for row in rows if row.state in ("leased", "sending", "pending")]
    for earlier, later in itertools.pairwise(world.memory.texts()):
        assert not (earlier == "Ana" and "30 days" in later and not _handed_back(world))


def _handed_back(world: World) -> bool:
    return any("handed" in text or "closed" in text for text in world.memory.texts())
