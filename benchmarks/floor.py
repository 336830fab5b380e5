"""The floor: the least that could do the same, on the same web server and as durably.

Litestar, plain `sqlite3`, one thread that commits what waits together. No conversation, no owner,
no order between workers, no second chance: what Tandem adds is what the ratio shows.
"""

import asyncio
import json
import queue
import secrets
import sqlite3
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from benchmarks.figures import figures_route
from benchmarks.hook import Event, kept_headers, verified
from benchmarks.product import REPLY
from storage.ids import new_id, utc_now

GROUP_MAX = 200
POLL_S_MAX = 25.0

EVENTS = """CREATE TABLE inbox_event (
  id VARCHAR NOT NULL PRIMARY KEY, channel VARCHAR NOT NULL, account VARCHAR NOT NULL,
  external_id VARCHAR NOT NULL, headers JSON NOT NULL, body BLOB NOT NULL, state VARCHAR NOT NULL,
  attempts INTEGER NOT NULL, crashes INTEGER NOT NULL, reason VARCHAR, due DATETIME,
  received_at DATETIME NOT NULL, UNIQUE (channel, account, external_id))"""
KEEP_EVENT = """INSERT INTO inbox_event (id, channel, account, external_id, headers, body, state,
  attempts, crashes, received_at) VALUES (?, ?, ?, ?, ?, ?, 'new', 0, 0, ?) ON CONFLICT DO NOTHING"""
MESSAGES = """CREATE TABLE message (
  id VARCHAR NOT NULL PRIMARY KEY, visitor VARCHAR NOT NULL, seq INTEGER NOT NULL,
  author VARCHAR NOT NULL, client_message_id VARCHAR, text VARCHAR NOT NULL,
  created_at DATETIME NOT NULL, UNIQUE (visitor, seq), UNIQUE (visitor, client_message_id))"""
KEEP_MESSAGE = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)"
ITEMS = "SELECT seq, id, author, text, created_at FROM message WHERE visitor = ? AND seq > ?"

Row = Sequence[Any]


class Writer:
    """One thread, one connection, one commit for all that waits."""

    def __init__(self, path: Path, table: str) -> None:
        self.path = path
        made = connect(path)
        made.execute(table)
        made.close()
        self._rows: queue.SimpleQueue[tuple[str, Row, asyncio.Future[Any]] | None]
        self._rows = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    async def write(self, sql: str, row: Row = ()) -> Any:
        """The statement's first row if it has one, committed."""
        future = asyncio.get_running_loop().create_future()
        self._rows.put((sql, row, future))
        return await future

    def close(self) -> None:
        self._rows.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection = connect(self.path)
        while (first := self._rows.get()) is not None:
            group = [first]
            while len(group) < GROUP_MAX and not self._rows.empty():
                if (following := self._rows.get()) is None:
                    self._rows.put(None)
                    break
                group.append(following)
            connection.execute("BEGIN IMMEDIATE")
            done = [(f, connection.execute(sql, row).fetchone()) for sql, row, f in group]
            connection.execute("COMMIT")
            group[0][2].get_loop().call_soon_threadsafe(_resolve, done)
        connection.close()


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _resolve(done: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, value in done:
        if not future.done():
            future.set_result(value)


def hook_app(folder: Path) -> Litestar:
    """Verify, insert, commit, answer."""
    writer = Writer(folder / "floor.db", EVENTS)

    @post("/hook", status_code=200, media_type=MediaType.TEXT)
    async def hook(request: Request[Any, Any, Any]) -> str:
        body = await verified(request)
        await writer.write(KEEP_EVENT, (
            new_id(), "hook", "main", msgspec.json.decode(body, type=Event).event_id,
            json.dumps(kept_headers(request)), body, utc_now().isoformat(),
        ))  # fmt: skip
        return "ok"

    return _app(writer, [hook], counted="inbox_event")


class Posted(msgspec.Struct):
    client_message_id: str
    text: str


@dataclass
class Visitor:
    """What the floor knows of a customer: how far the counting is, and a bell."""

    seq: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


def chat_app(folder: Path) -> Litestar:
    """The two commits of a turn: the customer's message, then the reply, which is told at once."""
    writer = Writer(folder / "floor.db", MESSAGES)
    reader = connect(folder / "floor.db")
    visitors: defaultdict[str, Visitor] = defaultdict(Visitor)
    replying: set[asyncio.Task[None]] = set()

    async def keep(token: str, author: str, text: str, client_id: str | None) -> tuple[str, int]:
        visitor, message_id = visitors[token], new_id()
        visitor.seq += 1
        row = (message_id, token, visitor.seq, author, client_id, text, utc_now().isoformat())
        await writer.write(KEEP_MESSAGE, row)
        visitor.changed.set()
        visitor.changed = asyncio.Event()
        return message_id, row[2]

    async def reply(token: str) -> None:
        await keep(token, "bot", REPLY, None)

    @post("/chat/sessions")
    async def start_session() -> dict[str, Any]:
        return {"token": secrets.token_urlsafe(32), "after": 0}

    @post("/chat/messages")
    async def post_message(
        request: Request[Any, Any, Any], data: JSONBody[Posted]
    ) -> dict[str, Any]:
        token = request.headers["authorization"]
        message_id, seq = await keep(token, "customer", data.text, data.client_message_id)
        task = asyncio.create_task(reply(token))
        replying.add(task)
        task.add_done_callback(replying.discard)
        return {"id": message_id, "seq": seq}

    def items(token: str, after: int) -> list[dict[str, Any]]:
        names = ("seq", "id", "author", "text", "created_at")
        return [dict(zip(names, row, strict=True)) for row in reader.execute(ITEMS, (token, after))]

    @get("/chat/messages")
    async def read_messages(
        request: Request[Any, Any, Any], after: int, wait: float
    ) -> dict[str, Any]:
        token = request.headers["authorization"]
        changed = visitors[token].changed
        found = items(token, after)
        if not found:
            async with asyncio.timeout(min(wait, POLL_S_MAX)):
                await changed.wait()
            found = items(token, after)
        return {"items": found, "next": found[-1]["seq"]}

    return _app(writer, [start_session, post_message, read_messages], counted="message")


def _app(writer: Writer, routes: list[HTTPRouteHandler], *, counted: str) -> Litestar:
    async def look() -> tuple[int, str, int]:
        [synchronous] = await writer.write("PRAGMA synchronous")
        [journal] = await writer.write("PRAGMA journal_mode")
        [stored] = await writer.write(f"SELECT count(*) FROM {counted}")
        return synchronous, journal, stored

    @asynccontextmanager
    async def stored(_app: Litestar) -> AsyncGenerator[None]:
        yield
        writer.close()

    return Litestar(
        [*routes, figures_route(look)], lifespan=[stored], logging_config=None, openapi_config=None
    )
