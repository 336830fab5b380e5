"""Cut connections and a killed server: a customer's screens show every item once, in order."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.process.server import PATIENCE_S, Deployment

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

MESSAGES = 60
CUTS = 50
SEED = 7
GONE = (OSError, WebSocketException, httpx.TransportError, TimeoutError)


class Screen:
    """What one of the customer's screens has shown: each item once, or the test fails at once."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []
        self.cuts = 0

    @property
    def after(self) -> int:
        return self.seen[-1][0] if self.seen else 0

    def show(self, item: dict[str, Any]) -> None:
        assert item["seq"] > self.after, f"{item['seq']} came after {self.after}"
        self.seen.append((item["seq"], item["id"]))


class Customer:
    """One visitor of the web chat, who writes on however often the server is away."""

    def __init__(self, shop: Deployment) -> None:
        self._shop = shop
        self._dice = random.Random(SEED)
        self.token = ""

    async def begin(self) -> None:
        async with self._http() as http:
            self.token = (await http.post("/chat/sessions", json={})).json()["token"]

    async def write(self, number: int) -> None:
        """Post one message until it is taken. The same id each time: it is one message."""
        body = {"client_message_id": f"m-{number}", "text": f"Line {number}, about my lamp."}

        async def post() -> bool:
            async with self._http() as http:
                response = await http.post("/chat/messages", json=body, headers=self._signed)
                return response.status_code == 201

        await again_until(post)

    async def watch(self, screen: Screen, *, upto: Callable[[], int]) -> None:
        """Read by sockets that are cut without a goodbye, then by one that is not."""

        async def read() -> bool:
            address = self._shop.url.replace("http", "ws") + "/chat/socket"
            async with connect(address, proxy=None) as socket:
                await socket.send(json.dumps({"token": self.token, "after": screen.after}))
                last = screen.cuts >= CUTS
                frames = 10_000 if last else self._dice.randrange(4)
                while frames and screen.after < upto():
                    async with asyncio.timeout(1):
                        frame = json.loads(await socket.recv())
                    if frame["type"] == "item":
                        screen.show(frame["item"])
                    frames -= 1
                screen.cuts += not last
                socket.transport.abort()
                return last and screen.after >= upto()

        await again_until(read)

    async def poll(self, screen: Screen, *, upto: Callable[[], int]) -> None:
        """Read by long polls of which half are cut while they wait, or while they are read."""

        async def read() -> bool:
            params = {"after": screen.after, "wait": 2}
            cut_after_s = self._dice.choice([0.05, 0.2, 10])
            async with self._http() as http, asyncio.timeout(cut_after_s):
                response = await http.get("/chat/messages", params=params, headers=self._signed)
            if response.status_code != 200:
                return False
            for item in response.json()["items"]:
                if item["seq"] > screen.after:
                    screen.show(item)
            return screen.after >= upto()

        await again_until(read, lost=lambda: setattr(screen, "cuts", screen.cuts + 1))

    @property
    def _signed(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._shop.url, trust_env=False, timeout=10)


async def test_two_screens_show_the_same_through_cuts_and_a_kill(shop: Deployment) -> None:
    """Fifty cut sockets, cut polls, and one kill -9, while messages keep coming."""
    gateway = shop.gateway()
    customer, socket, poll = Customer(shop), Screen(), Screen()
    await customer.begin()
    written = asyncio.Event()

    def newest() -> int:
        """The last item there will be; far away while the customer still writes."""
        return items(shop)[-1][0] if written.is_set() and is_quiet(shop) else 1_000_000

    async def write_all() -> None:
        nonlocal gateway
        for number in range(MESSAGES):
            if number == MESSAGES // 2:
                await asyncio.to_thread(gateway.kill)
                starting = asyncio.create_task(asyncio.to_thread(shop.gateway))
                await customer.write(number)  # into the dark
                gateway = await starting
            await customer.write(number)
        written.set()

    async with asyncio.timeout(4 * PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(write_all())
        group.create_task(customer.watch(socket, upto=newest))
        group.create_task(customer.poll(poll, upto=newest))
    gateway.kill()
    lines = [row["text"] for row in shop.rows("SELECT text FROM message WHERE author = 'customer'"
                                              " AND channel = 'web' ORDER BY seq")]  # fmt: skip

    assert socket.seen == poll.seen == items(shop)
    assert [seq for seq, _ in socket.seen] == list(range(1, len(socket.seen) + 1))
    assert lines == [f"Line {number}, about my lamp." for number in range(MESSAGES)]
    assert socket.cuts >= CUTS


async def again_until(
    done: Callable[[], Awaitable[bool]], *, lost: Callable[[], None] = lambda: None
) -> None:
    """Try on, whatever becomes of a connection."""
    while True:
        try:
            if await done():
                return
        except GONE:
            lost()
        await asyncio.sleep(0.02)


def items(shop: Deployment) -> list[tuple[int, str]]:
    """What the store holds for the customer's eyes, in order."""
    rows = shop.rows("SELECT seq, id FROM message WHERE channel = 'web' AND note = 0 ORDER BY seq")
    return [(row["seq"], row["id"]) for row in rows]


def is_quiet(shop: Deployment) -> bool:
    """Whether no turn is open that could still say something."""
    return not shop.rows("SELECT id FROM turn WHERE state IN ('scheduled', 'running')")
