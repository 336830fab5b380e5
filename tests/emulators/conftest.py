"""Each test has an emulator of its own, so that none sees what another one did."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.channels.conftest import database
from tests.emulators.program import free_ports, served
from tests.fakes.serving import served as served_here
from tests.gateway.conftest import empty_sqlite

__all__ = ["database", "empty_sqlite"]

SEED = "slack-seed.json"
WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Hooked:
    """A request that an emulator made to our webhook: raw, as a signature needs it."""

    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


class Hook:
    """A webhook that takes everything."""

    def __init__(self) -> None:
        self.url = ""
        self._came: asyncio.Queue[Hooked] = asyncio.Queue()
        self.app = web.Application()
        self.app.router.add_post("/hook", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self._came.put_nowait(Hooked(headers, await request.read()))
        return web.Response()

    async def next(self) -> Hooked:
        """The next request. Fails when none comes."""
        async with asyncio.timeout(WAIT_S):
            return await self._came.get()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    async with served_here(hook.app) as url:
        hook.url = f"{url}/hook"
        yield hook


@dataclass(frozen=True, slots=True)
class TelegramServer:
    """The Bot API at `url`, and a customer who writes to the bot."""

    url: str
    token: str = "1234567:emulated_token_that_opens_nothing"

    async def write(self, text: str) -> None:
        """The customer writes."""
        await self._act("sendMessage", self._customer() | {"text": text})

    async def press(self, data: str, message: dict[str, Any]) -> None:
        """The customer presses a button under `message`."""
        pressed = {"from": self._customer()["from"], "message": message, "data": data}
        await self._act("sendCallback", pressed)

    async def said(self) -> list[dict[str, Any]]:
        """What the bot has said, as it reads by now."""
        answer = await self._act("getUpdatesHistory", {"token": self.token})
        return [
            update["message"] | {"message_id": update["messageId"]}
            for update in answer["result"]
            if "chat_id" in update.get("message", {})
        ]

    async def hooked(self) -> bool:
        """Whether updates go to a webhook. What came before stays with the server for ever."""
        answer = await self._act(f"bot{self.token}/getWebhookInfo", {})
        return bool(answer["result"]["url"])

    def _customer(self) -> dict[str, Any]:
        person = {"id": 7, "first_name": "Ana", "is_bot": False, "language_code": "en"}
        return {
            "from": person,
            "chat": {"id": 7, "first_name": "Ana", "type": "private"},
            "date": int(time.time()),
        }

    async def _act(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.url}/{verb}", json={"botToken": self.token} | body)
            return answer.raise_for_status().json()


@pytest.fixture
def telegram(tmp_path: Path) -> Iterator[TelegramServer]:
    port = free_ports()
    with served(["telegram.mjs"], ready="ready", log=tmp_path / "telegram.txt", PORT=str(port)):
        yield TelegramServer(f"http://127.0.0.1:{port}")


@dataclass(frozen=True, slots=True)
class SlackServer:
    """The Web API at `url`; its events go to the hook, signed with `signing_secret`."""

    url: str
    signing_secret: str
    bot_token: str
    customer_token: str


def slack_of(port: int) -> SlackServer:
    """The workspace that `slack_served` will serve at `port`."""
    seed = json.loads(Path(__file__).with_name(SEED).read_text("utf-8"))
    bot, customer = (token["token"] for token in seed["tokens"])
    return SlackServer(f"http://127.0.0.1:{port}/api/", seed["signing_secret"], bot, customer)


@contextmanager
def slack_served(port: int, *, hook: str, log: Path) -> Generator[SlackServer]:
    """The workspace, until the block ends."""
    with served(
        ["slack.mjs"], ready="ready", log=log, PORT=str(port), HOOK=hook, SEED=SEED,
    ):  # fmt: skip
        yield slack_of(port)


@pytest.fixture
def slack(tmp_path: Path, hook: Hook) -> Iterator[SlackServer]:
    with slack_served(free_ports(), hook=hook.url, log=tmp_path / "slack.txt") as server:
        yield server


@pytest.fixture
def model(tmp_path: Path) -> Iterator[str]:
    """The base address of an OpenAI-compatible model that knows `aimock/fixtures.json`."""
    port = free_ports()
    words = ["node_modules/@copilotkit/aimock/dist/cli.js", "-p", str(port), "-f", "aimock"]
    words += ["--latency", "1", "--chunk-size", "6"]
    with served(words, ready="listening", log=tmp_path / "model.txt"):
        yield f"http://127.0.0.1:{port}/v1"
