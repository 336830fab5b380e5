"""What Slack's calls, and others', meet at our door."""

import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.slack.door import BODY_BYTES_MAX, RETRY_S, Seal
from storage.database import Database, DatabaseLimits
from tests.channels.slack.shop import Shop, open_shop
from tests.conftest import TurnedClock
from tests.fakes.slack import SIGNING_SECRET
from tests.gateway.conftest import empty_sqlite

assert empty_sqlite
JSON = {"Content-Type": "application/json"}
SECRET_WORDS = "the parcel is under the stone"


def body_of(**event: Any) -> bytes:
    whole = {"type": "event_callback", "event_id": "EvX", "team_id": "T0TANDEM0",
             "event": {"type": "message", "text": SECRET_WORDS, **event}}  # fmt: skip
    return json.dumps(whole).encode()


async def send(shop: Shop, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    return await shop.slack.events.request(shop.slack.events.events_url, body, headers)


def forged(shop: Shop) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Requests that Slack did not send, each with its body."""
    body, sign = body_of(), shop.slack.events.signed
    now = shop.slack.workspace.now_s()
    good = sign(body)
    at, seal = "X-Slack-Request-Timestamp", "X-Slack-Signature"
    return {
        "nothing": (body, {}),
        "no signature": (body, {at: good[at]}),
        "no time": (body, {seal: good[seal]}),
        "another body": (body + b" ", good),
        "another secret": (body, good | {seal: "v0=" + "0" * 64}),
        "an empty signature": (body, good | {seal: ""}),
        "a short signature": (body, good | {seal: good[seal][:-1]}),
        "a signature in other letters": (body, good | {seal: "v0=ключ"}),
        "an empty time": (body, good | {at: ""}),
        "a time in words": (body, good | {at: "yesterday"}),
        "an endless time": (body, good | {at: "9" * 5_000}),
        "a time with a fraction": (body, good | {at: good[at] + ".5"}),
        "301 s ago": (body, sign(body, now - 301)),
        "301 s ahead": (body, sign(body, now + 301)),
        "no UTF-8": (b"\xff\xfe{}", sign(b"\xff\xfe{}")),
    }


async def test_what_slack_did_not_sign_is_turned_away(
    shop: Shop, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    """401 for each; nothing is stored, and not a word of it is written into the log."""
    caplog.set_level(logging.DEBUG)
    corpus = forged(shop)
    got = {
        name: (await send(shop, body, JSON | headers))[0]
        for name, (body, headers) in corpus.items()
    }
    logged = caplog.text + "".join(capsys.readouterr())

    assert got == dict.fromkeys(corpus, 401)
    assert await shop.events() == []
    assert SECRET_WORDS not in logged
    assert SIGNING_SECRET not in logged


async def test_a_wrong_secret_is_named_and_does_not_flood_the_log(
    shop: Shop, capsys: pytest.CaptureFixture[str]
):
    """A hundred refusals are seven lines; health says what to compare, until Slack is heard."""
    for _ in range(100):
        await send(shop, body_of(), JSON)
    ill = await shop.channel.health()
    logged = capsys.readouterr().out.count("not_signed_by_slack")
    await shop.say(shop.acts.person("Ana"), "How long?")

    assert logged == 7
    assert "not signed with this signing secret" in ill
    assert await shop.channel.health() == "ok"


@pytest.mark.parametrize("seconds", [-299, 0, 299])
async def test_a_signature_is_good_for_five_minutes(shop: Shop, seconds: int):
    """Clocks differ, and networks are slow."""
    body = body_of()
    at = shop.slack.workspace.now_s() + seconds

    assert await send(shop, body, JSON | shop.slack.events.signed(body, at)) == (200, "")
    assert len(await shop.events()) == 1


def test_the_seal_never_raises(clock: TurnedClock):
    """Whatever stands in the headers, the answer is no."""
    seal = Seal(SIGNING_SECRET, clock)
    names = ("x-slack-request-timestamp", "x-slack-signature")

    for one in ("", "\x00", "v0=", "é", "９９", "1" * 10_000, "nan", "-1"):
        for other in ("", "\x00", "v0=", "é", "９９", "1" * 10_000, "nan", "-1"):
            assert not seal.is_on(b"{}", list(zip(names, (one, other), strict=True)))


async def test_the_address_is_confirmed(shop: Shop):
    """Slack sends a challenge when somebody saves our address in the app's settings."""
    body = json.dumps({"type": "url_verification", "challenge": "c-1"}).encode()
    status, text = await send(shop, body, JSON | shop.slack.events.signed(body))
    unsigned, _ = await send(shop, body, JSON)

    assert (status, json.loads(text)) == (200, {"challenge": "c-1"})
    assert unsigned == 401
    assert await shop.events() == []


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""],
)
async def test_only_the_exact_content_type_is_taken(shop: Shop, content_type: str):
    """A form of a foreign page cannot even ask."""
    body = body_of()
    headers = {"Content-Type": content_type} | shop.slack.events.signed(body)

    assert (await send(shop, body, headers))[0] == 415
    assert await shop.events() == []


async def test_a_body_has_a_limit(shop: Shop):
    """One byte more than a million is refused."""
    body = b"{" + b" " * BODY_BYTES_MAX

    assert (await send(shop, body, JSON | shop.slack.events.signed(body)))[0] == 413


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b"{", b'{"type": "event_callback"}', b'{"event": []}', b"[" * 100_000,
     b'{"type": "event_callback", "event_id": 7, "event": {"type": "message", "channel": 1}}'],
)  # fmt: skip
async def test_signed_nonsense_is_kept_and_harms_nobody(shop: Shop, body: bytes):
    """It is Slack's: stored, answered, set aside by the worker, and the next message is read."""
    status, _ = await send(shop, body, JSON | shop.slack.events.signed(body))
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long?")
    first = (await shop.events())[0]

    assert status == 200
    assert first.state in ("ignored", "quarantined")
    assert await shop.heard() == ["How long?"]


async def test_five_copies_are_one_message(either: Shop):
    """Each is acknowledged, one is stored."""
    ana = either.acts.person("Ana")
    either.slack.events.copies = 5
    await either.say(ana, "How long?")

    assert await either.heard() == ["How long?"]
    assert len(either.world.answerer.asked) == 1


async def test_a_retry_is_read_when_nothing_else_came(shop: Shop):
    """The first try found nobody; its retry header is no reason to skip it."""
    ana = shop.acts.person("Ana")
    right = shop.slack.events.events_url
    shop.slack.events.events_url = right.replace("/events", "/nowhere")
    await shop.acts.say(ana, "How long?")
    shop.slack.events.events_url = right
    await shop.slack.events.retry()
    await shop.settle()

    assert await shop.heard() == ["How long?"]


async def test_an_event_of_another_workspace_is_thrown_away(shop: Shop):
    """Signed by our own app, and yet not for us: counted, not kept."""
    await shop.channel.look_around(shop.world.ingress)
    body = body_of().replace(b"T0TANDEM0", b"T0ELSE000")

    assert (await send(shop, body, JSON | shop.slack.events.signed(body)))[0] == 200
    assert await shop.events() == []
    assert shop.channel.wellness.strangers == 1


@pytest.fixture
async def busy(database: Database, clock: TurnedClock) -> AsyncIterator[Shop]:
    """A shop whose store does not wait for others."""
    quick = Database(database.url, limits=DatabaseLimits(busy_timeout_s=0.05))
    async with open_shop(quick, clock, "http") as shop:
        yield shop
    quick.close()


async def test_what_cannot_be_stored_is_not_acknowledged(busy: Shop):
    """503 and Retry-After while another process holds the file; Slack's retry brings it."""
    ana = busy.acts.person("Ana")
    holder = sqlite3.connect(busy.database.url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    await busy.acts.say(ana, "How long?")
    refused = (busy.slack.events.parcels[0].status, busy.slack.events.retry_after)
    holder.execute("ROLLBACK")
    holder.close()
    await busy.slack.events.retry()
    await busy.settle()

    assert refused == (503, str(RETRY_S))
    assert await busy.heard() == ["How long?"]
