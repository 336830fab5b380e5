"""Telegram, as far as one bot and its customers see it: places, people, and an HTTP server."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.faults import Faults
from tests.fakes.serving import served
from tests.fakes.telegram.failures import Fail
from tests.fakes.telegram.floods import Floods
from tests.fakes.telegram.mail import Mail
from tests.fakes.telegram.methods import Fields, Methods, Upload
from tests.fakes.telegram.people import Customer
from tests.fakes.telegram.places import Chat, Shown

TOKEN = "700100200:AAFakeFakeFakeTokenOfAFakeNetwork_12"
UNAUTHORIZED = {"ok": False, "error_code": 401, "description": "Unauthorized"}
NOT_FOUND = {"ok": False, "error_code": 404, "description": "Not Found"}


class Telegram:
    """`calls` are the bot's, in order: name and parameters. `faults` meet them as planned; `mail`
    is what it is told; `floods` counts how fast it writes."""

    def __init__(self, clock: Callable[[], datetime], *, username: str = "tandem_bot") -> None:
        self.clock = clock
        self.token = TOKEN
        self.bot = {"id": int(TOKEN.partition(":")[0]), "is_bot": True, "first_name": "Tandem",
                    "username": username}  # fmt: skip
        self.faults = Faults()
        self.floods = Floods(clock)
        self.mail = Mail(clock)
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, bytes] = {}
        self.presses: dict[str, datetime] = {}
        self.answered: list[str] = []
        self.commands: dict[str, dict[str, str]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.history: list[tuple[int, int]] = []  # of edits: chat and message
        self.dropped_pending = False
        self._methods = Methods(self)
        self._numbers = 1_000
        self.app = web.Application(client_max_size=60_000_000)
        self.app.add_routes([
            web.route("*", "/bot{token}/{method}", self._call),
            web.get("/file/bot{token}/files/{file_id}", self._download),
        ])  # fmt: skip
        self.app.on_response_prepare.append(self._date)
        self.app.on_shutdown.append(self._close)

    @asynccontextmanager
    async def served(self, *, port: int = 0) -> AsyncGenerator[str]:
        """Its address, while it is served in this very loop."""
        async with served(self.app, port=port) as url:
            yield url

    # People and places

    def customer(self, name: str = "Mia", *, language: str = "en") -> Customer:
        """Somebody new, who has not written to the bot yet."""
        return Customer(self, self.new_number() + 5_000_000, name, language)

    def group(self, title: str = "Friends", *, topics: tuple[int, ...] = ()) -> int:
        """A group that the bot is in; with `topics` a forum."""
        chat_id = -self.new_number() - (1_000_000_000_000 if topics else 0)
        self.chats[chat_id] = Chat(chat_id, "supergroup" if topics else "group", title,
                                   forum=bool(topics), topics=set(topics))  # fmt: skip
        return chat_id

    def migrate(self, group: int, by: Customer, *, new_first: bool = False) -> int:
        """Make a supergroup of a group: both are told, in one order or the other."""
        old = self.chats[group]
        new = Chat(group - 1_000_000_000_000, "supergroup", old.name)
        self.chats[new.id] = new
        old.moved_to = new.id
        told = [
            old.add(by.signed() | {"migrate_to_chat_id": new.id}),
            new.add(by.signed() | {"migrate_from_chat_id": old.id}),
        ]
        for message in reversed(told) if new_first else told:
            self.mail.add("message", message)
        return new.id

    def screen(self, chat: int) -> list[Shown]:
        """What everybody in a chat sees, oldest first."""
        return self.chats[chat].screen()

    # Numbers, times and files

    def new_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def now(self) -> int:
        return int(self.clock().timestamp())

    def keep(self, content: bytes) -> dict[str, Any]:
        """A file that the network keeps."""
        file_id = f"BQACAgIAAxkBAAI{self.new_number()}"
        self.files[file_id] = content
        return {"file_id": file_id, "file_unique_id": file_id[-8:], "file_size": len(content)}

    # What was called

    def called(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every call of a method."""
        return [fields for name, fields in self.calls if name.lower() == method.lower()]

    async def deliver(self) -> list[int]:
        """Bring what is due to the webhook; what it answered."""
        async with aiohttp.ClientSession() as session:
            return await self.mail.deliver(session)

    # The server

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != self.token:
            return web.json_response(UNAUTHORIZED, status=401)
        handler = self._methods.find(method)
        if handler is None:
            return web.json_response(NOT_FOUND, status=404)
        fields = await _fields(request)
        self.calls.append((handler.__name__, fields.shown()))

        async def answer() -> web.StreamResponse:
            try:
                return web.json_response({"ok": True, "result": await handler(fields)})
            except Fail as refusal:
                return web.json_response(refusal.body(), status=refusal.code)

        return await self.faults.around(request, handler.__name__, answer)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        content = self.files.get(request.match_info["file_id"])
        if request.match_info["token"] != self.token or content is None:
            return web.json_response(NOT_FOUND, status=404)

        async def answer() -> web.StreamResponse:
            return web.Response(body=content)

        return await self.faults.around(request, "download", answer)

    async def _date(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(self.clock().astimezone(UTC), usegmt=True)

    async def _close(self, _app: web.Application) -> None:
        self.mail.close()
        await asyncio.sleep(0)


async def _fields(request: web.Request) -> Fields:
    raw: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        return Fields(raw | json.loads(await request.read() or b"{}"))
    for name, value in (await request.post()).items():
        raw[name] = (
            Upload(value.filename, value.file.read()) if isinstance(value, web.FileField) else value
        )
    return Fields(raw)
