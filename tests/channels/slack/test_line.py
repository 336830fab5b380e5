"""Socket Mode: the line we hold, and the ways in which it fails."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator

import pytest

from gateway.errors import BadToken
from gateway.messages import RawEvent
from storage.database import Database, DatabaseLimits
from tests.channels.slack.shop import Shop, open_shop
from tests.conftest import TurnedClock
from tests.fakes.faults import Answer
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, refused
from tests.gateway.conftest import empty_sqlite

assert empty_sqlite


@pytest.fixture
async def busy(database: Database, clock: TurnedClock) -> AsyncIterator[Shop]:
    """A shop on the line whose store does not wait for others."""
    quick = Database(database.url, limits=DatabaseLimits(busy_timeout_s=0.05))
    async with open_shop(quick, clock, "socket") as shop:
        yield shop
    quick.close()


async def test_an_event_is_acknowledged_after_its_commit(busy: Shop):
    """While the store is locked there is no acknowledgement; Slack brings it again."""
    ana = busy.acts.person("Ana")
    path = busy.database.url.removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None)

    def is_committed(event_id: str) -> bool:
        query = "SELECT 1 FROM inbox_event WHERE external_id = ?"
        with sqlite3.connect(path) as looker:
            return looker.execute(query, (event_id,)).fetchone() is not None

    busy.slack.lines.witness = is_committed
    holder.execute("BEGIN IMMEDIATE")
    await busy.acts.say(ana, "How long?")
    await busy.acts.say(ana, "Hello?")
    await _refusals(busy, 2)
    unheard = list(busy.slack.lines.acks)
    holder.execute("ROLLBACK")
    holder.close()
    await busy.slack.events.retry()
    await busy.settle()

    assert unheard == []
    assert [committed for _, committed in busy.slack.lines.acks[:2]] == [True, True]
    assert await busy.heard() == ["How long?", "Hello?"]


async def _refusals(shop: Shop, count: int) -> None:
    """Wait until the channel has tried to store that many events in vain."""
    async with asyncio.timeout(10):
        while shop.channel.line is None or shop.channel.line.untaken < count:  # noqa: ASYNC110 - the line reports by a number
            await asyncio.sleep(0.01)


async def test_slack_asks_for_a_new_connection_and_gets_it(on_line: Shop):
    """The new one is open before the old one closes."""
    ana = on_line.acts.person("Ana")
    await on_line.slack.lines.disconnect()
    await on_line.slack.lines.until(lambda lines: (lines.opened, lines.count) == (2, 1))
    await on_line.say(ana, "How long?")

    assert await on_line.heard() == ["How long?"]


async def test_a_cut_line_is_opened_again_and_the_gap_is_filled(on_line: Shop):
    """What was said in between is read back once, and what comes later is heard."""
    ana = on_line.acts.person("Ana")
    await on_line.say(ana, "How long?")
    on_line.slack.events.is_dropping = True
    await on_line.acts.say(ana, "And for books?")
    on_line.slack.events.is_dropping = False
    await on_line.slack.lines.cut()
    await on_line.slack.lines.until(lambda lines: (lines.opened, lines.count) == (2, 1))
    await _lines(on_line, 2)
    await on_line.say(ana, "Thanks!")

    assert await on_line.heard() == ["How long?", "And for books?", "Thanks!"]


async def _lines(shop: Shop, count: int) -> None:
    async with asyncio.timeout(10):
        while len(await shop.heard()) < count:
            await shop.settle()


async def test_a_deaf_line_is_noticed_and_replaced(on_line: Shop):
    """It is open and answers pings; two canaries miss what the history has."""
    ana = on_line.acts.person("Ana")
    await on_line.say(ana, "How long?")
    on_line.slack.lines.is_deaf = True
    for words in ("And for books?", "Anybody there?"):
        await on_line.acts.say(ana, words)
        on_line.clock.turn(seconds=60)
        await on_line.channel.look_around(on_line.world.ingress)
    await on_line.slack.lines.until(lambda lines: (lines.opened, lines.count) == (2, 1))
    await on_line.settle()
    await on_line.say(ana, "Hello again")

    assert await on_line.heard() == ["How long?", "And for books?", "Anybody there?", "Hello again"]


async def test_our_own_echoes_tell_a_deaf_line_from_a_quiet_one(on_line: Shop):
    """Two posts of ours that never came back; with their echoes the line is left alone."""
    ana = on_line.acts.person("Ana")
    await on_line.say(ana, "How long?")
    for _ in range(3):
        on_line.clock.turn(seconds=60)
        await on_line.channel.look_around(on_line.world.ingress)
    quiet = on_line.slack.lines.opened
    on_line.slack.lines.is_deaf = True
    for text in ("One moment.", "Here I am."):
        await on_line.agent_says(text)
        await on_line.world.worker.settle()
        on_line.clock.turn(seconds=60)
        await on_line.channel.look_around(on_line.world.ingress)
    await on_line.slack.lines.until(lambda lines: (lines.opened, lines.count) == (2, 1))

    assert quiet == 1


async def test_an_echo_that_another_process_heard_is_no_miss(on_line: Shop):
    """Slack tells each event over one of the lines; all of them write into one store."""
    ana = on_line.acts.person("Ana")
    await on_line.say(ana, "How long?")
    on_line.slack.lines.is_deaf = True
    for text in ("One moment.", "Here I am.", "Done."):
        await on_line.agent_says(text)
        await on_line.world.worker.settle()
        for parcel in on_line.slack.events.parcels:
            body = json.dumps(parcel.payload).encode()
            await on_line.world.ingress.store(RawEvent(
                channel="slack", account="main", external_id=parcel.event_id, body=body,
                headers={"content-type": "application/json"},
            ))  # fmt: skip
        on_line.clock.turn(seconds=60)
        await on_line.channel.look_around(on_line.world.ingress)

    assert on_line.slack.lines.opened == 1
    assert on_line.channel.ear.misses == 0


async def test_a_line_that_cannot_be_opened_is_tried_again_and_named(
    database: Database, clock: TurnedClock
):
    """Health says so meanwhile; the waits that Slack asks for are kept."""
    async with open_shop(database, clock, "http") as shop:
        shop.slack.events.events_url = ""
        shop.build(app_token=APP_TOKEN, signing_secret="")
        shop.slack.faults.plan("apps.connections.open", *[Answer(500, "ill")] * 3)
        running = asyncio.create_task(shop.channel.run(shop.world.ingress))
        await shop.slack.lines.until(lambda lines: lines.count == 1)
        running.cancel()
        await asyncio.wait([running])

        assert len(shop.slack.called("apps.connections.open")) == 4


async def test_a_refused_app_token_ends_the_run(database: Database, clock: TurnedClock):
    """Whoever keeps channels running lets it rest, and tries once a minute."""
    async with open_shop(database, clock, "http") as shop:
        shop.build(app_token=APP_TOKEN, signing_secret="")
        shop.slack.faults.plan("apps.connections.open", Answer(200, refused("invalid_auth")))
        with pytest.raises(BadToken):
            await shop.channel.run(shop.world.ingress)

        assert "invalid_auth" in await shop.channel.health()


async def test_no_token_and_no_ticket_is_ever_logged(
    on_line: Shop, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    """Not when all goes well, not when lines break and calls fail, at any level."""
    caplog.set_level(logging.DEBUG)
    ana = on_line.acts.person("Ana")
    await on_line.say(ana, "How long?")
    on_line.slack.faults.plan("chat.postMessage", Answer(500, "<html>"))
    await on_line.say(ana, "And for books?")
    await on_line.slack.lines.cut()
    await on_line.slack.lines.until(lambda lines: (lines.opened, lines.count) == (2, 1))
    on_line.slack.token_error = "token_revoked"
    await on_line.acts.say(ana, "Hello?")
    await on_line.slack.lines.settled()
    await on_line.world.worker.settle()
    logged = caplog.text + "".join(capsys.readouterr())

    for secret in (BOT_TOKEN, APP_TOKEN, "secret-ticket"):
        assert secret not in logged
