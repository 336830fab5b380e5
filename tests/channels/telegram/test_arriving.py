"""Updates that come twice, late, in the wrong order, or while we are down."""

import datetime as dt
import json

from gateway.messages import RawEvent
from storage.database import Unavailable
from tests.channels.telegram.conftest import Opened
from tests.channels.telegram.site import Site
from tests.conftest import TurnedClock
from tests.fakes.faults import Answer, Cut, Garbled
from tests.fakes.telegram import Customer, Telegram


async def test_the_same_update_five_times_is_one_message_with_one_answer(
    site: Site, telegram: Telegram, mia: Customer
):
    """However often Telegram brings it."""
    telegram.mail.on_hold = True
    mia.write("How long?")
    telegram.mail.again(telegram.mail.newest(), 4)
    telegram.mail.release()
    await site.settle()

    assert await site.said_by_customers() == ["How long?"]
    assert len(mia.heard()) == 1


async def test_an_edit_changes_what_agents_read(site: Site, mia: Customer):
    """The transcript shows the new words; the message stays where it was."""
    asked = mia.write("How long for a lamp?")
    await site.settle()
    mia.edit(asked, "How long for a chair?")
    await site.settle()

    assert await site.said_by_customers() == ["How long for a chair?"]


async def test_an_edit_before_its_original_ends_the_same(
    site: Site, telegram: Telegram, mia: Customer
):
    """It waits for what it changes."""
    telegram.mail.on_hold = True
    asked = mia.write("How long for a lamp?")
    mia.edit(asked, "How long for a chair?")
    telegram.mail.swap()
    telegram.mail.release()
    await site.settle()
    site.clock.turn(seconds=3)
    await site.answer()

    assert await site.said_by_customers() == ["How long for a chair?"]


async def test_a_live_place_that_moves_changes_nothing(site: Site, mia: Customer):
    """Telegram tells each step as an edit without words."""
    shown = mia.location()
    await site.settle()
    before = await site.said_by_customers()
    mia.move(shown)
    await site.settle()

    assert await site.said_by_customers() == before


class Flaky:
    """A store that is down for the first calls."""

    def __init__(self, site: Site, failures: int) -> None:
        self._site = site
        self.failures = failures
        self.tried: list[str] = []

    async def store(self, event: RawEvent) -> None:
        self.tried.append(event.external_id)
        if len(self.tried) <= self.failures:
            raise Unavailable("the store is down")
        await self._site.world.ingress.store(event)


async def test_what_was_not_stored_is_fetched_again(
    opened: Opened, telegram: Telegram, mia: Customer
):
    """The store is down for a while: nothing is confirmed to Telegram, and nothing is lost."""
    site = await opened(online=False)
    flaky = Flaky(site, failures=3)
    mia.write("How long?")
    mia.write("And a lamp?")
    async with site.online(flaky):
        await site.settle()

    assert flaky.tried == [flaky.tried[0]] * 4 + [flaky.tried[-1]]
    assert await site.said_by_customers() == ["How long?", "And a lamp?"]


async def test_a_crash_before_telegram_heard_of_it_doubles_nothing(
    opened: Opened, telegram: Telegram, mia: Customer
):
    """Stored, and the process ends before it can confirm: it comes again and is known."""
    site = await opened(online=False)
    mia.write("How long?")
    update = telegram.mail.newest()
    await site.channel.take(str(update["update_id"]), json.dumps(update).encode())
    async with site.online():
        await site.settle()

    assert await site.said_by_customers() == ["How long?"]
    assert len(mia.heard()) == 1


async def test_a_message_from_the_time_we_were_down_goes_to_a_person(
    opened: Opened, telegram: Telegram, mia: Customer, clock: TurnedClock
):
    """Nobody wants a bot's answer a day late: it keeps its own time, and a person is called."""
    mia.write("How long?")
    written = clock.now
    clock.turn(hours=23)
    site = await opened()
    await site.settle()
    [line] = [one for one in await site.lines() if one.author == "customer"]

    assert line.sent_at == written
    assert (await site.conversation()).state == "waiting"
    assert not telegram.dropped_pending


async def test_fetching_survives_whatever_telegram_answers(
    site: Site, telegram: Telegram, mia: Customer
):
    """Errors, error pages, half answers and cut connections: it goes on fetching."""
    telegram.faults.plan(
        "getUpdates", Answer(502, "<html>", content_type="text/html"), Garbled(),
        Cut(processed=False), Cut(processed=True, after_bytes=9), Answer(429, "{}"),
        Answer(200, '{"ok": true}'), Answer(400, '{"ok":false,"description":"Bad Request: x"}'),
    )  # fmt: skip
    mia.write("How long?")
    await site.settle()

    assert await site.said_by_customers() == ["How long?"]


async def test_an_update_that_nobody_knows_is_kept_and_holds_up_nothing(
    site: Site, telegram: Telegram, mia: Customer
):
    """A shape that the library cannot read is set aside; a new kind is nothing to us."""
    telegram.mail.kinds = [*telegram.mail.kinds, "hologram"]
    telegram.mail.add("message", {"message_id": "odd", "chat": 7})
    telegram.mail.add("hologram", {"id": 1})
    mia.write("How long?")
    await site.settle()

    assert [one.state for one in await site.events()] == ["quarantined", "ignored", "done"]


async def test_another_bot_is_not_answered(site: Site, telegram: Telegram):
    """Two bots would talk for ever."""
    robot = telegram.customer("R2")
    robot.is_bot = True
    robot.write("Beep?")
    await site.settle()

    assert await site.lines() == []


async def test_a_second_program_on_the_same_bot_is_named(site: Site, telegram: Telegram):
    """Two programs that fetch send each other away: health says which mistake that is."""
    telegram.faults.plan("getUpdates", Answer(
        409, '{"ok":false,"error_code":409,"description":"Conflict: terminated by other '
        'getUpdates request; make sure that only one bot instance is running"}'))  # fmt: skip
    said = await site.health_says("another program")
    telegram.mail.release()
    await site.health_says("ok")

    assert "stop it, or make a bot for each" in said


async def test_a_wrong_clock_is_named(site: Site, telegram: Telegram, clock: TurnedClock):
    """Ten minutes off: Telegram's own date tells."""
    ahead = clock.now + dt.timedelta(minutes=10)
    telegram.clock = lambda: ahead
    telegram.mail.release()

    assert "10 minutes behind Telegram's" in await site.health_says("clock")
