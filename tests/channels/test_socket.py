"""The socket: who may open it, what it sends, and when it is closed."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from storage.database import Database
from tests.browser.serving import Served
from tests.channels.customers import begin, frame, frames_until, post, socket
from tests.channels.site import FOREIGN, FRIEND, Site
from tests.conftest import TurnedClock


@pytest.fixture
def hasty(database: Database, clock: TurnedClock) -> Iterator[Served]:
    """A chat with small limits, so that reaching them takes no time."""
    served = Served(Site(
        database, clock, hello_wait_s=0.05, body_wait_s=0.05, sockets_per_address=2,
        frames_per_minute=3, behind_bytes_max=65_536, behind_wait_s=0.05,
    ).app)  # fmt: skip
    served.start()
    yield served
    served.stop()


def hello(token: str, after: int = 0) -> str:
    return json.dumps({"token": token, "after": after})


async def closing(connection: Any) -> tuple[list[dict[str, Any]], int]:
    """The frames up to the server's close, and its code."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            found.append(await frame(connection))
        except ConnectionClosed as closed:
            return found, closed.rcvd.code if closed.rcvd else 0


async def test_a_conversation_is_pushed_as_it_happens(served: Served, site: Site):
    """The state; then question, answer, hand-over and agent, each as it comes."""
    token = await begin(served)
    async with socket(served) as connection:
        await connection.send(hello(token))
        assert await frame(connection) == {"type": "state", "state": "bot"}
        await post(served, token, "c-1", text="How do I return it?")
        asked = await frames_until(connection, "item")
        answered = await frames_until(connection, "item")
        await post(served, token, "c-2", action="human")
        waiting = await frames_until(connection, "state")
        served.do(site.claim())
        joined = await frames_until(connection, "state")
        served.do(site.say("Hello from Ana"))
        said = await frames_until(connection, "item")

    assert asked[-1]["item"]["author"] == "customer"
    assert answered[-1]["item"]["author"] == "bot"
    assert waiting[-1] == {"type": "state", "state": "waiting", "place": 1}
    assert joined[-1] == {"type": "state", "state": "agent", "agent": "Ana"}
    assert said[-1]["item"]["agent"] == "Ana"


async def test_a_socket_resumes_where_the_reader_stopped(served: Served, site: Site):
    """`after` skips what was seen; an edit made meanwhile comes as an update."""
    token = await begin(served)
    await post(served, token, "c-1", text="a person, please")
    served.do(site.claim())
    served.do(site.say("one"))
    served.do(site.say("two"))
    served.do(site.edit("one", "one, corrected"))
    async with socket(served) as connection:
        await connection.send(hello(token, after=4))
        found = await frames_until(connection, "state")

    kinds = [(one["type"], one.get("item", {}).get("text")) for one in found]
    assert kinds == [("item", "two"), ("update", "one, corrected"), ("state", None)]


async def test_an_edit_is_shown_once_to_an_open_socket(served: Served, site: Site):
    """What follows an edit does not bring it again."""
    token = await begin(served)
    await post(served, token, "c-1", text="a person, please")
    served.do(site.claim())
    served.do(site.say("one"))
    async with socket(served) as connection:
        await connection.send(hello(token))
        await frames_until(connection, "state")
        served.do(site.edit("one", "one, corrected"))
        edited = await frames_until(connection, "update")
        served.do(site.say("two"))
        after = await frames_until(connection, "item")

    assert edited[-1]["item"]["edited_at"]
    assert [one["type"] for one in after] == ["item"]


async def test_typing_goes_both_ways(served: Served, site: Site):
    """The bot's typing is shown here; the customer's is told to the agents' screens only."""
    token = await begin(served)
    site.world.answerer.gate.clear()
    async with socket(served) as connection:
        await connection.send(hello(token))
        await post(served, token, "c-1", text="How?")
        bot = await frames_until(connection, "typing")
        served.do(site.let_answer())
        await frames_until(connection, "item")
        told = served.do(site.first_signal())
        await connection.send('{"type":"typing"}')

    assert bot[-1] == {"type": "typing", "author": "bot"}
    assert await asyncio.wrap_future(told) == {"type": "typing", "author": "customer"}


async def test_signals_that_are_not_for_customers_are_not_passed_on(served: Served, site: Site):
    """An unknown signal on the contact's topic never leaves; a partial text does."""
    token = await begin(served)
    await post(served, token, "c-1", text="How?")
    async with socket(served) as connection:
        await connection.send(hello(token))
        await frames_until(connection, "item")
        await frames_until(connection, "item")  # the bot has answered: it types no more
        served.do(site.signal({"type": "score", "p": 0.4}))
        served.do(site.signal({"type": "typing", "author": "customer"}))
        served.do(site.signal({"type": "partial", "text": "Within"}))
        found = await frames_until(connection, "partial")

    assert {"type": "partial", "text": "Within"} in found
    assert {one["type"] for one in found} <= {"state", "partial"}


async def test_a_ping_is_answered(served: Served):
    """So a browser can find out that its socket is dead."""
    token = await begin(served)
    async with socket(served) as connection:
        await connection.send(hello(token))
        await frames_until(connection, "state")
        await connection.send('{"type":"ping"}')
        found = await frame(connection)

    assert found == {"type": "pong"}


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://127.0.0.1:1"])
async def test_a_foreign_page_gets_no_socket(served: Served, origin: str):
    """The handshake itself is refused with 403."""
    with pytest.raises(InvalidStatus) as caught:
        async with socket(served, additional_headers={"Origin": origin}):
            pass

    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("origin", [FRIEND, None])
async def test_an_allowed_page_and_a_program_get_a_socket(served: Served, origin: str | None):
    """No Origin means no browser page: the token decides."""
    token = await begin(served)
    headers = {"Origin": origin} if origin else {}
    async with socket(served, additional_headers=headers) as connection:
        await connection.send(hello(token))
        found = await frame(connection)

    assert found["type"] == "state"


@pytest.mark.parametrize(
    ("first", "code", "name"),
    [
        (hello("not a token"), 4401, "unauthorised"),
        ("{}", 4400, "invalid"),
        ('{"token": ""}', 4400, "invalid"),
        ('{"token": "a", "after": -1}', 4400, "invalid"),
        ('{"token": "a", "visitor": "b"}', 4400, "invalid"),
        ('{"token": "\\ud800"}', 4400, "unstorable-text"),
        ('{"type": "ping"}', 4400, "invalid"),
        ("[" * 10_000, 4400, "bad-json"),
        ("not json", 4400, "bad-json"),
        (b"\x00\x01", 4400, "bad-json"),
    ],
)
async def test_a_wrong_first_frame_ends_it(
    served: Served, first: str | bytes, code: int, name: str
):
    """One error frame that says why, then the close."""
    async with socket(served) as connection:
        await connection.send(first)
        found, closed = await closing(connection)

    assert closed == code
    assert [one["error"]["type"] for one in found] == [f"urn:tandem:{name}"]


async def test_silence_ends_it(hasty: Served):
    """A socket whose first frame does not come is closed."""
    async with socket(hasty) as connection:
        found, closed = await closing(connection)

    assert closed == 4408
    assert len(found) == 1


@pytest.mark.parametrize("text", [
    '{"type":"message","text":"hi"}', '{"type":"typing","text":"hi"}', '{"type":"item"}', "[]",
    '{"type":"ping","type":"ping"}',
])  # fmt: skip
async def test_a_client_may_only_type_and_ping(served: Served, text: str):
    """Messages go over HTTP, where they are answered; anything else is a mistake."""
    token = await begin(served)
    async with socket(served) as connection:
        await connection.send(hello(token))
        await frames_until(connection, "state")
        await connection.send(text)
        _, closed = await closing(connection)

    assert closed == 4400


async def test_a_frame_over_64_kb_ends_it(served: Served):
    """65,536 bytes are the most; one more closes with 1009."""
    token = await begin(served)
    async with socket(served) as connection:
        await connection.send(hello(token))
        await frames_until(connection, "state")
        await connection.send('{"type":"ping"}'.ljust(65_536))
        fits = await frame(connection)
        await connection.send('{"type":"ping"}'.ljust(65_537))
        _, closed = await closing(connection)

    assert fits == {"type": "pong"}
    assert closed == 1009


async def test_a_revoked_token_ends_an_open_socket(served: Served, site: Site):
    """The token is checked again on every frame of the client."""
    token = await begin(served)
    async with socket(served) as connection:
        await connection.send(hello(token))
        await frames_until(connection, "state")
        served.do(site.revoke())
        await connection.send('{"type":"ping"}')
        found, closed = await closing(connection)

    assert closed == 4401
    assert found[-1]["error"]["type"] == "urn:tandem:unauthorised"


async def test_an_address_has_so_many_sockets(hasty: Served):
    """The next one is closed with the reason; a seat that is left is free."""
    token = await begin(hasty)
    async with socket(hasty) as one, socket(hasty) as two:
        await one.send(hello(token))
        await two.send(hello(token))
        await frames_until(one, "state")
        async with socket(hasty) as three:
            found, closed = await closing(three)
        await two.close()
        await two.wait_closed()
        reopened = await _opened(hasty, token)

    assert closed == 4429
    assert found[0]["error"]["extra"] == {"limit": "sockets_per_address"}
    assert reopened["type"] == "state"


async def _opened(served: Served, token: str) -> dict[str, Any]:
    """The first frame of a new socket, once the server has noticed that a seat is free."""
    while True:
        async with socket(served) as connection:
            await connection.send(hello(token))
            found = await frame(connection)
            if found["type"] != "error":
                return found


async def test_a_chattering_client_is_ended(hasty: Served):
    """So many frames a minute, then the close."""
    token = await begin(hasty)
    async with socket(hasty) as connection:
        await connection.send(hello(token))
        for _ in range(4):
            await connection.send('{"type":"ping"}')
        found, closed = await closing(connection)

    assert closed == 4429
    assert [one["type"] for one in found].count("pong") <= 3


async def test_a_stopping_server_ends_sockets_and_polls_at_once(served: Served, site: Site):
    """1012 tells clients to come back; a long poll is answered with nothing."""
    token = await begin(served)

    async def stop() -> None:
        site.stopping.set()

    async with socket(served) as connection:
        await connection.send(hello(token))
        await frames_until(connection, "state")
        polling = asyncio.create_task(_poll(served, token))
        while served.do(site.readers()) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)  # the reader announces itself to nobody
        served.do(stop())
        _, closed = await closing(connection)
        body = await polling

    assert closed == 1012
    assert body == {"items": [], "next": 0, "numbering": 0}


async def _poll(served: Served, token: str) -> dict[str, Any]:
    from tests.channels.customers import http
    from tests.channels.site import signed

    async with http(served) as client:
        response = await client.get("/chat/messages?wait=25", headers=signed(token))
    return response.json()


async def test_a_body_that_does_not_come_is_given_up(hasty: Served):
    """408 for a client that sends one byte and then waits."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
    writer.write(
        b"POST /chat/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{"
    )
    status = await reader.readline()
    writer.close()

    assert b" 408 " in status
