"""Three lines by a model on a case's brief, and why the bot said a line: behind the hand-over."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from agent_inbox.console import ConsoleSettings
from agent_inbox.summaries import Summaries, SummaryLimits
from rag.errors import ModelUnavailable, SourceUnknown
from rag.types import Explanation, Language, NumberedLine, Point, Summary
from storage.database import Database
from tests.agent_inbox.bench import Bench
from tests.agent_inbox.browsing import API, Client, sign_in, thread
from tests.conftest import TurnedClock
from tests.rag.test_service import EXPLANATION


class ScriptedLibrarian:
    """Sums every talk up in the words of its last line, unless it is told to fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[NumberedLine], Language, str]] = []
        self.fails: Exception | None = None
        self.says: Summary | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Summary:
        self.asked.append((lines, language, asker))
        await self.gate.wait()
        if self.fails:
            raise self.fails
        return self.says or Summary(wants=Point(lines[-1].text, (lines[-1].seq,)))

    async def explain(self, record_id: str, *, replay: bool = False) -> Explanation:
        if record_id != EXPLANATION.record_id:
            raise SourceUnknown("no record has that id")
        return replace(EXPLANATION, replayed=replay, differences=("p: 0.90 → 0.40",) * replay)


@pytest.fixture
def librarian() -> ScriptedLibrarian:
    return ScriptedLibrarian()


@pytest.fixture
def bench(database: Database, clock: TurnedClock, librarian: ScriptedLibrarian) -> Bench:
    return Bench(database, clock, settings=ConsoleSettings(), librarian=librarian)


@pytest.fixture
def summaries(bench: Bench, librarian: ScriptedLibrarian) -> Summaries:
    return Summaries(bench.store, librarian, limits=SummaryLimits(cases_max=3))


async def brief(bench: Bench) -> dict[str, Any]:
    case = await bench.case()
    assert case is not None
    return case.brief


async def test_the_hand_over_does_not_wait_for_the_summary(
    bench: Bench, summaries: Summaries, librarian: ScriptedLibrarian
):
    """The brief by rules is there at once; the three lines are added behind it."""
    await bench.waits("My parcel is late.")
    at_once = await brief(bench)
    written = await summaries.catch_up()
    later = await brief(bench)

    assert "summary" not in at_once
    assert at_once["wants"]
    assert written == 1
    assert later["summary"]["wants"] == {"text": "My parcel is late.", "seqs": [1]}
    assert {**later, "summary": None} == {**at_once, "summary": None}
    [(_, language, asker)] = librarian.asked
    assert (language, asker) == ("en", (await bench.world.conversation()).contact_id)


async def test_a_summary_is_asked_for_once_and_again_when_the_customer_writes_on(
    bench: Bench, summaries: Summaries, librarian: ScriptedLibrarian
):
    """What was written of an older talk does not stay on the card."""
    await bench.waits("My parcel is late.")
    await summaries.catch_up()
    idle = await summaries.catch_up()
    await bench.says("It is order 4711.")
    stale = await brief(bench)
    await summaries.catch_up()

    assert idle == 0
    assert len(librarian.asked) == 2
    assert "summary" not in stale
    assert (await brief(bench))["summary"]["wants"]["text"] == "It is order 4711."


async def test_a_customer_who_writes_meanwhile_gets_no_stale_summary(
    bench: Bench, summaries: Summaries, librarian: ScriptedLibrarian
):
    """It is thrown away, and made of the whole talk at the next look."""
    await bench.waits("My parcel is late.")
    librarian.gate.clear()
    working = asyncio.create_task(summaries.catch_up())
    while not librarian.asked:  # noqa: ASYNC110 - the twin offers nothing to wait for
        await asyncio.sleep(0.01)
    await bench.says("It is order 4711.")
    librarian.gate.set()

    assert await working == 0
    assert "summary" not in await brief(bench)


async def test_a_librarian_in_trouble_is_asked_again_later(
    bench: Bench, summaries: Summaries, librarian: ScriptedLibrarian
):
    """The case is worked on without; nothing else is held up."""
    await bench.waits("My parcel is late.")
    librarian.fails = ModelUnavailable("down")
    failed = await summaries.catch_up()
    librarian.fails = None
    written = await summaries.catch_up()

    assert (failed, written) == (0, 1)


async def test_no_more_cases_than_allowed_are_looked_at(
    bench: Bench, summaries: Summaries, librarian: ScriptedLibrarian
):
    """Three at once, the newest; the fourth keeps the brief by rules."""
    for visitor in ("v1", "v2", "v3", "v4"):
        await bench.waits("My parcel is late.", visitor)

    assert await summaries.catch_up() == 3
    assert "summary" not in await brief(bench)


async def test_a_new_case_is_summed_up_by_itself(
    bench: Bench, summaries: Summaries, librarian: ScriptedLibrarian
):
    """The work runs behind, woken by the hint that a case is new."""
    running = asyncio.create_task(summaries.run())
    await asyncio.sleep(0)
    await bench.waits("My parcel is late.")
    async with asyncio.timeout(10):
        while "summary" not in await brief(bench):  # noqa: ASYNC110 - as a screen would look
            await asyncio.sleep(0.01)
    running.cancel()

    assert len(librarian.asked) == 1


async def test_an_agent_reads_why_the_bot_said_it(bench: Bench, client: Client):
    """The record in full; with `replay` what today's documents would change."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    told = (await client.get(f"{API}/records/{EXPLANATION.record_id}")).json()
    again = await client.get(f"{API}/records/{EXPLANATION.record_id}", params={"replay": "true"})
    unknown = await client.get(f"{API}/records/0b")
    odd = await client.get(f"{API}/records/..%2Fsources")

    assert told["decision"]["p"] == 0.9
    assert told["writing"]["calls"][0]["prompt"] == "answer/zh/1"
    assert told["candidates"][0]["source"] == "a.md"
    assert again.json()["differences"] == ["p: 0.90 → 0.40"]
    assert (unknown.status_code, odd.status_code) == (404, 404)


async def test_nobody_else_reads_it(bench: Bench, client: Client):
    """Without a sign-in there is no answer, whoever asks."""
    answer = await client.get(f"{API}/records/{EXPLANATION.record_id}")

    assert answer.status_code == 401


async def test_a_line_of_the_bot_names_its_record(bench: Bench, client: Client):
    """What the button under it asks for."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    await bench.world.ask("How long?")
    shown = await thread(client, bench)

    assert [line["record_id"] for line in shown["lines"]] == [None, "r1"]
