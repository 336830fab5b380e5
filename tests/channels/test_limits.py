"""Every limit of the web chat, at its value and one beyond."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from sqlmodel import Session, select

from channels.web.fields import TEXT_CHARS_MAX
from channels.web.settings import Settings
from gateway.models import Message
from storage.database import Database, DatabaseLimits
from tests.channels.site import Site, signed
from tests.conftest import TurnedClock

JSON = {"Content-Type": "application/json"}


def said(text: str, number: int = 1) -> dict[str, str]:
    return {"client_message_id": f"c-{number}", "text": text}


@pytest.mark.parametrize("character", ["a", "字", "👩", "é"])
async def test_a_text_may_have_40000_characters_in_any_writing(
    client: httpx.AsyncClient, site: Site, token: str, character: str
):
    """40,000 arrive whole, however many bytes they take; one more is refused with the limit."""
    fits = await client.post(
        "/chat/messages", json=said(character * TEXT_CHARS_MAX), headers=signed(token)
    )
    over = await client.post(
        "/chat/messages", json=said(character * (TEXT_CHARS_MAX + 1), 2), headers=signed(token)
    )
    stored = await site.world.store.read(
        lambda session: session.exec(select(Message.text).where(Message.seq == 1)).one()
    )

    assert fits.status_code == 201
    assert stored == character * TEXT_CHARS_MAX
    assert over.status_code == 422
    assert "40000" in over.text


async def test_a_text_that_grows_when_it_is_normalised_is_measured_afterwards(
    client: httpx.AsyncClient, token: str
):
    """What is stored keeps the limit, not only what was sent (U+0958 becomes two characters)."""
    response = await client.post(
        "/chat/messages", json=said("\u0958" * (TEXT_CHARS_MAX - 1)), headers=signed(token)
    )

    assert response.status_code == 422


async def test_escapes_do_not_make_a_text_too_large(client: httpx.AsyncClient, token: str):
    """40,000 characters written as the longest escapes still fit into a body."""
    text = r"\ud83d\udc69" * TEXT_CHARS_MAX
    body = f'{{"client_message_id": "c-1", "text": "{text}"}}'.encode()
    response = await client.post("/chat/messages", content=body, headers=signed(token, **JSON))

    assert response.status_code == 201


async def test_a_body_beyond_its_limit_is_not_read(
    client: httpx.AsyncClient, site: Site, token: str
):
    """One byte too many is 413, announced or not."""
    limit = site.channel.settings.body_bytes_max
    filler = b'{"client_message_id": "c-1", "text": "a"}'
    fits = await client.post(
        "/chat/messages", content=filler.ljust(limit), headers=signed(token, **JSON)
    )
    over = await client.post(
        "/chat/messages", content=filler.ljust(limit + 1), headers=signed(token, **JSON)
    )

    assert fits.status_code == 201
    assert over.status_code == 413
    assert over.json()["type"] == "urn:tandem:too-large"


async def test_the_twenty_first_message_in_a_minute_waits(client: httpx.AsyncClient, token: str):
    """429 with Retry-After and the limit's name; the twenty before it are kept."""
    codes = [
        (await client.post("/chat/messages", json=said("Hi", n), headers=signed(token))).status_code
        for n in range(20)
    ]
    response = await client.post("/chat/messages", json=said("Hi", 99), headers=signed(token))

    assert codes == [201] * 20
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.json()["type"] == "urn:tandem:too-many"
    assert response.json()["extra"] == {"limit": "messages_per_minute"}


async def test_one_visitor_s_haste_does_not_slow_another(client: httpx.AsyncClient, token: str):
    """The limit is per visitor."""
    other = (await client.post("/chat/sessions", json={})).json()["token"]
    for n in range(21):
        await client.post("/chat/messages", json=said("Hi", n), headers=signed(token))
    response = await client.post("/chat/messages", json=said("Hi"), headers=signed(other))

    assert response.status_code == 201


async def test_an_address_starts_thirty_sessions_a_minute(client: httpx.AsyncClient):
    """The next one is refused, whatever X-Forwarded-For says."""
    codes = [(await client.post("/chat/sessions", json={})).status_code for _ in range(30)]
    response = await client.post(
        "/chat/sessions", json={}, headers={"X-Forwarded-For": "203.0.113.9"}
    )

    assert codes == [201] * 30
    assert response.status_code == 429
    assert response.json()["extra"] == {"limit": "sessions_per_minute"}


async def test_reading_in_a_tight_loop_is_slowed(database: Database, clock: TurnedClock):
    """A broken client that never waits gets 429, too."""
    site = Site(database, clock, reads_per_minute=5)
    async with site.client() as client:
        headers = signed((await client.post("/chat/sessions", json={})).json()["token"])
        codes = [
            (await client.get("/chat/messages", headers=headers)).status_code for _ in range(6)
        ]

    assert codes == [200] * 5 + [429]


async def test_a_store_that_cannot_take_it_in_means_503(
    database: Database, clock: TurnedClock, tmp_path: Any
):
    """Locked by somebody else: 503 and Retry-After, and the same message goes in afterwards."""
    site = Site(database, clock)
    async with site.client() as client:
        headers = signed((await client.post("/chat/sessions", json={})).json()["token"])
        thief = Database(database.url, limits=DatabaseLimits(busy_timeout_s=5))
        held, free = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(session: Session) -> None:
            session.connection()  # BEGIN IMMEDIATE
            loop.call_soon_threadsafe(held.set)
            asyncio.run_coroutine_threadsafe(free.wait(), loop).result(30)

        holding = loop.run_in_executor(None, thief.write_now, hold)
        await held.wait()
        refused = await client.post("/chat/messages", json=said("Hi"), headers=headers)
        free.set()
        await holding
        taken = await client.post("/chat/messages", json=said("Hi"), headers=headers)
        thief.close()

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["type"] == "urn:tandem:unavailable"
    assert taken.status_code == 201


@pytest.mark.parametrize("wrong", [
    {"body_bytes_max": 1_000_001}, {"frame_bytes_max": 65_537}, {"poll_wait_s_max": 26},
    {"sockets_per_address": 0}, {"account": ""}, {"hello_wait_s": 0},
])  # fmt: skip
def test_a_setting_beyond_its_own_limit_is_refused(wrong: dict[str, Any]):
    """Limits can be made tighter, not wider than the contract."""
    with pytest.raises(ValidationError):
        Settings(**wrong)
