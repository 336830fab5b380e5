"""Scripted customers of a served web chat: one on the socket, one who polls."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.browser.serving import Served
from tests.channels.site import signed

PATIENCE_S = 20


def http(served: Served) -> httpx.AsyncClient:
    # No certificates: reading them takes longer than everything that is tested here.
    return httpx.AsyncClient(base_url=served.url, timeout=PATIENCE_S, verify=False)


async def begin(served: Served, **fields: Any) -> str:
    """A new visitor's token."""
    async with http(served) as client:
        return (await client.post("/chat/sessions", json=fields)).json()["token"]


async def post(served: Served, token: str, message_id: str, **fields: str) -> httpx.Response:
    async with http(served) as client:
        return await client.post(
            "/chat/messages", json={"client_message_id": message_id, **fields},
            headers=signed(token),
        )  # fmt: skip


@asynccontextmanager
async def socket(served: Served, **options: Any) -> AsyncIterator[ClientConnection]:
    """An open socket that has not said anything yet."""
    url = served.url.replace("http", "ws") + "/chat/socket"
    async with connect(url, proxy=None, **options) as connection:
        yield connection


async def frame(connection: ClientConnection) -> dict[str, Any]:
    return json.loads(await connection.recv())


async def frames_until(connection: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Every frame up to the first of `kind`."""
    found = [await frame(connection)]
    while found[-1]["type"] != kind:
        found.append(await frame(connection))
    return found


class Reader:
    """What a customer has seen: each item once, or the test fails at once."""

    def __init__(self, served: Served, token: str) -> None:
        self.served = served
        self.token = token
        self.after = 0
        self.seen: list[tuple[int, str]] = []

    def take(self, item: dict[str, Any]) -> None:
        assert item["seq"] > self.after, f"{item['seq']} came after {self.after}"
        self.after = item["seq"]
        self.seen.append((item["seq"], item["text"]))


class SocketReader(Reader):
    """Reads over sockets that are cut without a goodbye."""

    async def read(self, *, items: int) -> None:
        """Open a socket, take that many items, and cut it."""
        async with socket(self.served) as connection:
            await connection.send(json.dumps({"token": self.token, "after": self.after}))
            while items:
                found = await frame(connection)
                if found["type"] == "item":
                    self.take(found["item"])
                    items -= 1
            connection.transport.abort()


class PollReader(Reader):
    """Reads by long polls."""

    async def read(self, wait_s: float) -> None:
        async with http(self.served) as client:
            response = await client.get(
                "/chat/messages", params={"after": self.after, "wait": wait_s},
                headers=signed(self.token),
            )  # fmt: skip
        body = response.json()
        for item in body["items"]:
            if item["seq"] > self.after:
                self.take(item)
        assert body["next"] == self.after
