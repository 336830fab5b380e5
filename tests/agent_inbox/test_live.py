"""The live socket: screens hear of changes, and nobody listens who may not."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import WebSocketTestSession

from tests.agent_inbox.bench import Bench
from tests.agent_inbox.browsing import API, Client, sign_in

LIVE = f"{API}/live"


async def heard(socket: WebSocketTestSession) -> dict[str, Any]:
    """The next frame."""
    return json.loads(await asyncio.to_thread(socket.receive_text, timeout=5))


async def watch(bench: Bench, socket: WebSocketTestSession, conversation_id: str) -> None:
    """Watch a conversation, and wait until the server does."""
    socket.send_json({"type": "watch", "conversation": conversation_id})
    while not bench.store.feed.readers(f"conversation:{conversation_id}"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_a_screen_hears_that_the_queue_changed(bench: Bench, client: Client):
    """A hint without content: what changed is read over HTTP, with the rights of then."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    with await client.websocket_connect(LIVE) as socket:
        await bench.waits()

        frame = await heard(socket)

    assert frame == {"type": "changed", "topic": "inbox"}


async def test_colleagues_see_each_other_typing_and_the_customer_sees_the_owner(
    bench: Bench, client: Client
):
    """Typing is passed on while it lasts, and never stored."""
    ana = await bench.agent("Ana")
    conversation = await bench.waits()
    await bench.desk.claim(ana, await bench.view())
    await sign_in(client, "Ana")
    async with bench.store.feed.subscribe(f"contact:{conversation.contact_id}") as customer:
        with await client.websocket_connect(LIVE) as socket:
            await watch(bench, socket, conversation.id)
            socket.send_json({"type": "typing"})

            frame = await heard(socket)
            _, signals = await customer.wait(5)

    assert frame == {"type": "typing", "author": "agent", "agent": "Ana", "agent_id": ana.id}
    assert signals == [{"type": "typing", "author": "agent", "agent": "Ana"}]


async def test_a_colleague_who_does_not_own_types_unseen_by_the_customer(
    bench: Bench, client: Client
):
    """Whoever writes a note next to the owner is nobody the customer talks to."""
    await bench.agent("Ana")
    conversation = await bench.waits()
    await sign_in(client, "Ana")
    async with bench.store.feed.subscribe(f"contact:{conversation.contact_id}") as customer:
        with await client.websocket_connect(LIVE) as socket:
            await watch(bench, socket, conversation.id)
            socket.send_json({"type": "typing"})
            await heard(socket)

            _, signals = await customer.wait(0.05)

    assert signals == []


async def close_code(
    client: Client,
    act: Callable[[WebSocketTestSession], Awaitable[object]],
    headers: dict[str, str] | None = None,
) -> int:
    """What a new socket is closed with after `act` was done on it."""
    try:
        with await client.websocket_connect(LIVE, headers=headers) as socket:
            await act(socket)
            while True:
                await heard(socket)
    except WebSocketDisconnect as ended:
        return ended.code


async def nothing(socket: WebSocketTestSession) -> None:
    """Only listen."""


async def test_nobody_listens_without_signing_in(bench: Bench, client: Client):
    """The socket is refused before it is accepted, like any other route."""
    assert await close_code(client, nothing) >= 4000


async def test_a_foreign_page_opens_no_socket(bench: Bench, client: Client):
    """A cookie alone does not let another site listen."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")

    assert await close_code(client, nothing, {"origin": "https://evil.example"}) >= 4000


@pytest.mark.parametrize("text", ["nonsense", '{"type":"shutdown"}', "[" * 900, "x" * 5_000])
async def test_a_hostile_frame_ends_the_socket(bench: Bench, client: Client, text: str):
    """What cannot be read closes this one screen's socket, with a code that says so."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")

    async def send(socket: WebSocketTestSession) -> None:
        socket.send_text(text)

    assert await close_code(client, send) == 1007


async def test_a_disabled_agents_socket_ends_with_the_next_hint(bench: Bench, client: Client):
    """An open screen does not outlive the sign-in."""
    await bench.agent("Ana", role="admin")
    await bench.agent("Ben")
    ben = await bench.named("Ben")
    await sign_in(client, "Ben")

    async def disable(socket: WebSocketTestSession) -> None:
        client.cookies.clear()
        await sign_in(client, "Ana")
        await client.patch(f"{API}/team/{ben.id}", json={"enabled": False})

    assert await close_code(client, disable) == 1008


async def test_sockets_end_when_the_server_stops(bench: Bench, client: Client):
    """A shutdown does not wait for screens; they come back to the new process."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")

    async def stop(socket: WebSocketTestSession) -> None:
        bench.stopping.set()

    assert await close_code(client, stop) == 1012
