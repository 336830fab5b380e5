"""What a customer sees while the bot writes, and what becomes of it when somebody else speaks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from channels.memory import MemoryChannel
from gateway.errors import Unreachable
from gateway.feed import Signal
from gateway.messages import Address
from gateway.showing import TYPING_AT_ONCE_MAX, Typing
from rag.errors import ModelUnavailable
from rag.types import Answer, Question
from storage.database import Database
from tests.conftest import TurnedClock
from tests.gateway.world import ANA, PulledChannel, ScriptedAnswerer, World


class AloudAnswerer(ScriptedAnswerer):
    """Shows these texts, then waits for its gate. `stopped` is set when nobody reads on."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.texts = texts
        self.stopped = asyncio.Event()
        self.fails: Exception | None = None

    async def answer_aloud(self, question: Question, show: Callable[[str], None]) -> Answer:
        for text in self.texts:
            show(text)
        try:
            answer = await self.answer(question)
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        if self.fails:
            raise self.fails
        return answer


class Screen:
    """What reaches one customer's screen of the signals."""

    def __init__(self) -> None:
        self.seen: list[Signal] = []
        self._news = asyncio.Event()

    async def until(self, text: str) -> None:
        async with asyncio.timeout(10):
            while {"type": "partial", "text": text} not in self.seen:
                self._news.clear()
                await self._news.wait()

    def take(self, signals: list[Signal]) -> None:
        self.seen += signals
        self._news.set()

    @property
    def partials(self) -> list[str]:
        return [str(one["text"]) for one in self.seen if one["type"] == "partial"]


@pytest.fixture
def aloud() -> AloudAnswerer:
    """A bot whose words can be watched as it writes them; it waits after the last of them."""
    answerer = AloudAnswerer("Within", "Within 30 days [1].")
    answerer.gate.clear()
    return answerer


@pytest.fixture
def world(database: Database, clock: TurnedClock, aloud: AloudAnswerer) -> World:
    return World(database, clock, aloud)


@asynccontextmanager
async def watched(world: World) -> AsyncIterator[Screen]:
    """The screen of the one customer, from their first message on."""
    screen = Screen()
    contact = (await world.conversation()).contact_id

    async def look() -> None:
        async with world.store.feed.subscribe(f"contact:{contact}") as hints:
            while True:
                screen.take((await hints.wait(60))[1])

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    yield screen
    looking.cancel()


async def test_the_text_is_shown_as_it_is_written(world: World, aloud: AloudAnswerer) -> None:
    """Then the answer is stored, once, and only that is history."""
    await world.write_in("How long?")
    async with watched(world) as screen:
        settling = asyncio.create_task(world.worker.settle())
        await screen.until("Within 30 days [1].")
        aloud.gate.set()
        await settling

    assert screen.partials[:2] == ["Within", "Within 30 days [1]."]
    assert [item.text for item in await world.seen() if item.author == "bot"] == [
        "Within 30 days [1]."
    ]


async def test_who_pays_for_the_words_is_the_customer(world: World, aloud: AloudAnswerer) -> None:
    """The librarian is told for whom it works, by a name that means nothing outside."""
    aloud.gate.set()
    await world.ask("How long?")

    assert [one.asker for one in aloud.asked] == [(await world.conversation()).contact_id]


async def test_a_person_who_takes_over_stops_the_writing(
    world: World, aloud: AloudAnswerer
) -> None:
    """The half text goes, the model is stopped, and nothing of it is ever said."""
    await world.write_in("How long?")
    async with watched(world) as screen:
        settling = asyncio.create_task(world.worker.settle())
        await screen.until("Within 30 days [1].")
        await world.act(lambda session, one: world.conversations.claim(session, one, ANA))
        await screen.until("")
        await settling

    assert aloud.stopped.is_set()
    assert screen.partials[-1] == ""
    assert [item.author for item in await world.seen()] == ["customer", "system"]


async def test_a_broken_answer_leaves_no_half_text(world: World, aloud: AloudAnswerer) -> None:
    """A person is called, and the notice stands where the half text was."""
    aloud.fails = ModelUnavailable("gone")
    aloud.gate.set()
    items = await world.ask("How long?")

    assert [item.author for item in items] == ["system"]
    assert len(world.inbox.opened) == 1


async def test_who_writes_on_gets_one_answer_to_all(world: World, aloud: AloudAnswerer) -> None:
    """The half text of the overtaken answer is taken away before the bot begins anew."""
    await world.write_in("How long?")
    async with watched(world) as screen:
        settling = asyncio.create_task(world.worker.settle())
        await screen.until("Within 30 days [1].")
        await world.write_in("And where?")
        aloud.gate.set()
        await screen.until("")
        await settling

    bots = [item for item in await world.seen() if item.author == "bot"]
    assert len(bots) == 1
    assert aloud.asked[-1].text == "How long?\nAnd where?"


async def test_a_turn_that_died_says_that_it_starts_again(
    world: World, aloud: AloudAnswerer
) -> None:
    """A second attempt takes the place of the half text of the first, in words."""
    await world.write_in("How long?")
    first = asyncio.create_task(world.worker.settle())
    async with asyncio.timeout(10):
        while not aloud.asked:  # noqa: ASYNC110 - the worker offers nothing to wait for
            await asyncio.sleep(0.01)
    first.cancel()
    await world.worker.close(within_s=0)
    await world.worker.reclaim(everything=True)
    async with watched(world) as screen:
        settling = asyncio.create_task(world.worker.settle())
        await screen.until("Within 30 days [1].")
        aloud.gate.set()
        await settling

    assert "starting again" in screen.partials[0]


async def test_a_channel_that_cannot_stream_gets_the_answer_alone(
    world: World, aloud: AloudAnswerer
) -> None:
    """Nothing is written aloud for a screen that cannot show it."""
    plain = replace(PulledChannel.capabilities, streaming=False)
    world.conversations.capabilities = {**world.conversations.capabilities, "web": plain}
    aloud.gate.set()
    await world.write_in("How long?")
    async with watched(world) as screen:
        await world.worker.settle()

    assert screen.partials == []
    assert [item.author for item in await world.seen()] == ["customer", "bot"]


async def test_a_network_of_others_shows_that_the_bot_is_at_work(world: World) -> None:
    """Somebody who waits on another network sees typing before the answer."""
    world.shows_typing["memory"] = world.memory
    world.answerer.gate.clear()
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    working = asyncio.create_task(world.worker.run())
    async with asyncio.timeout(20):
        while not world.memory.sent:  # noqa: ASYNC110 - nobody tells that it was typed
            await asyncio.sleep(0.01)
    world.answerer.gate.set()
    working.cancel()
    await world.worker.close(within_s=5)
    await world.worker.settle()

    assert [(one.verb, one.address.chat) for one in world.memory.sent] == [
        ("typing", "c1"), ("send", "c1"),
    ]  # fmt: skip


async def test_a_network_that_cannot_show_typing_spoils_nothing(world: World) -> None:
    """The courtesy fails: the answer comes."""
    world.shows_typing["memory"] = broken = MemoryChannel()
    broken.fail_next(Unreachable("down"))
    world.answerer.gate.set()
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    await world.worker.settle()

    assert "30 days" in world.memory.texts()[0]
    assert broken.failed == 1


async def test_typing_beyond_the_limit_is_left_out() -> None:
    """So many at once are shown; the next one is not."""
    slow = SlowToType()
    typing = Typing({"memory": slow})
    for n in range(TYPING_AT_ONCE_MAX + 1):
        typing.show(Address(channel="memory", account="main", chat=f"c{n}"))
    await asyncio.sleep(0)
    slow.go_on.set()

    assert slow.asked == TYPING_AT_ONCE_MAX


class SlowToType(MemoryChannel):
    """A network that does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.go_on = asyncio.Event()

    async def typing(self, address: Address) -> None:
        self.asked += 1
        await self.go_on.wait()
