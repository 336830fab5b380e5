"""Telegram calls us: only Telegram is let in, and nothing is confirmed before it is stored."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from storage.database import Overloaded
from tests.channels.telegram.conftest import Opened
from tests.channels.telegram.site import Site, brought_to
from tests.fakes.telegram import Customer, Telegram
from tests.fakes.telegram.mail import SECRET_HEADER, Webhook

ODD = (b"no json", b"[" * 100_000, b'{"update_id": %s}' % (b"9" * 5_000), b"\xff", b"{}", b"[]")
SECRET = "s" * 20 + "-EcReT_" * 4


@pytest.fixture
async def hooked(opened: Opened, telegram: Telegram) -> AsyncIterator[Site]:
    """A gateway whose webhook is set and can be reached."""
    site = await opened(online=False, mode="webhook", webhook_secret=SECRET, check_wait_s=0.02)
    async with brought_to(site) as address:
        site.move_to(address)
        async with site.online():

            async def is_set() -> bool:
                return telegram.mail.webhook is not None

            await site.until(is_set)
            yield site


def update(number: int = 1) -> dict[str, object]:
    person = {"id": 7, "is_bot": False, "first_name": "Mia"}
    chat = {"id": 7, "type": "private"}
    return {"update_id": number, "message": {
        "message_id": 1, "from": person, "chat": chat, "date": 1_772_442_000, "text": "How long?",
    }}  # fmt: skip


async def post(
    site: Site, body: bytes | None = None, headers: Mapping[str, object] | None = None
) -> httpx.Response:
    """A call of the webhook as a stranger, or Telegram, makes it."""
    given = {"Content-Type": "application/json", SECRET_HEADER: SECRET} | dict(headers or {})
    raw = [
        (name.encode(), value if isinstance(value, bytes) else str(value).encode())
        for name, value in given.items()
        if value is not None
    ]
    content = json.dumps(update()).encode() if body is None else body
    async with httpx.AsyncClient() as client:
        return await client.post(site.webhook_url, content=content, headers=raw)


async def test_messages_that_are_brought_are_answered(
    hooked: Site, telegram: Telegram, mia: Customer
):
    """The same talk as by fetching; Telegram hears 200 for each."""
    mia.write("How long?")
    statuses = await telegram.deliver()
    await hooked.settle()
    mia.press("Talk to a person")
    statuses += await telegram.deliver()
    await hooked.settle()

    assert statuses == [200, 200]
    assert (await hooked.conversation()).state == "waiting"
    assert not telegram.dropped_pending


@pytest.mark.parametrize(
    "shown", [None, "", "wrong", SECRET[:-1], SECRET + "x", "é" * 43, "\xff".encode("latin-1")]
)
async def test_without_the_secret_nobody_gets_in(hooked: Site, shown: object):
    """Missing, wrong, too short, too long, of any bytes: 401, and nothing is kept of it."""
    response = await post(hooked, headers={SECRET_HEADER: shown})

    assert response.status_code == 401
    assert await hooked.events() == []


async def test_other_forms_and_places_are_refused(hooked: Site):
    """A form of a web page, another account, another method: none of it is Telegram."""
    form = await post(hooked, headers={"Content-Type": "text/plain"})
    async with httpx.AsyncClient() as client:
        elsewhere = await client.post(
            f"{hooked.webhook_url}2", json={}, headers={SECRET_HEADER: SECRET}
        )
        read = await client.get(hooked.webhook_url, headers={SECRET_HEADER: SECRET})

    assert [form.status_code, elsewhere.status_code, read.status_code] == [415, 404, 405]
    assert await hooked.events() == []


async def test_a_body_of_a_megabyte_is_taken_and_one_byte_more_is_not(hooked: Site):
    """The limit is the limit."""
    body = json.dumps(update()).encode()
    fits = await post(hooked, body + b" " * (1_000_000 - len(body)))
    more = await post(hooked, body + b" " * (1_000_001 - len(body)))

    assert [fits.status_code, more.status_code] == [200, 413]
    assert len(await hooked.events()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[" * 100_000,
        b'{"update_id": ' + b"9" * 5_000 + b"}",
        b"\xff\xfe",
        b"{}",
        b"[]",
    ],
)
async def test_what_telegram_never_sends_is_kept_aside_and_blocks_nobody(hooked: Site, body: bytes):
    """With the right secret it is ours to keep: 200, and quarantined with its reason."""
    response = await post(hooked, body)
    await hooked.answer()
    [event] = await hooked.events()

    assert response.status_code == 200
    assert event.state in ("quarantined", "ignored")
    assert event.body == body


async def test_five_copies_at_once_are_one_message(hooked: Site):
    """Telegram may bring an update again while the first copy is still being stored."""
    responses = await asyncio.gather(*(post(hooked) for _ in range(5)))
    await hooked.answer()

    assert [one.status_code for one in responses] == [200] * 5
    assert await hooked.said_by_customers() == ["How long?"]


async def test_what_cannot_be_stored_is_brought_again(
    hooked: Site, telegram: Telegram, mia: Customer
):
    """503 and when to come back; then it is taken, once."""
    hooked.refuse_next(Overloaded("the queue is full"))
    mia.write("How long?")
    first = await telegram.deliver()
    too_early = await telegram.deliver()
    hooked.clock.turn(seconds=2)
    second = await telegram.deliver()
    await hooked.settle()

    assert (first, too_early, second) == ([503], [], [200])
    assert await hooked.said_by_customers() == ["How long?"]


async def test_a_webhook_that_was_taken_off_is_set_again(hooked: Site, telegram: Telegram):
    """Somebody tried a script with the token: ten minutes later nobody would have noticed."""
    telegram.mail.webhook = None

    async def is_back() -> bool:
        return telegram.mail.webhook is not None

    await hooked.until(is_back)
    await hooked.health_says("ok")
    found = telegram.mail.webhook or Webhook("")

    assert (found.url, found.secret) == (hooked.webhook_url, SECRET)


async def test_a_webhook_that_somebody_else_took_is_named(hooked: Site, telegram: Telegram):
    """It is left alone: two programs would take it from each other for ever."""
    assert telegram.mail.webhook is not None
    telegram.mail.webhook.url = "https://elsewhere.example/hook"
    said = await hooked.health_says("another program")

    assert "stop it, or make a bot for each" in said
    assert telegram.mail.webhook.url == "https://elsewhere.example/hook"


async def test_a_webhook_that_telegram_cannot_reach_is_named(hooked: Site, telegram: Telegram):
    """An expired certificate, a closed port: Telegram's own words are shown."""
    assert telegram.mail.webhook is not None
    telegram.mail.webhook.error_at = hooked.clock.now
    telegram.mail.webhook.error = "SSL error {certificate has expired}"
    said = await hooked.health_says("cannot deliver")
    hooked.clock.turn(minutes=11)
    await hooked.health_says("ok")

    assert "certificate has expired" in said


async def test_a_webhook_needs_an_address_that_telegram_can_call(opened: Opened):
    """Without https nothing is asked of Telegram; health says which setting is missing."""
    site = await opened(
        mode="webhook", api_url="https://api.telegram.org", public_url="http://127.0.0.1:8080"
    )
    said = await site.health_says("https://")

    assert "server.public_url" in said


async def test_the_secret_is_made_from_the_token_unless_one_is_set(opened: Opened):
    """Long enough, the same after a restart, another one for another account, and not the token."""
    site = await opened(online=False)
    again = await opened(online=False)
    other = await opened(online=False, account="second")

    assert site.settings.secret == again.settings.secret != other.settings.secret
    assert len(site.settings.secret) == 43
    assert site.settings.token.partition(":")[2] not in site.settings.secret
