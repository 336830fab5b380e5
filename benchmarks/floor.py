"""The floor: the least that could do the same, on the same web server and as durably.

Litestar, plain `sqlite3`, one thread that commits what waits together. No conversation, no owner,
no order between workers, no second chance: what Tandem adds is what the ratio shows.
"""

import asyncio
import hashlib
import json
import queue
import secrets
import sqlite3
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
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
KEEP_EVENT = """INSERT INTO inbox_event
  (id, channel, account, external_id, headers, body, state, attempts, crashes, received_at)
  VALUES (?, ?, ?, ?, ?, ?, 'new', 0, 0, ?) ON CONFLICT DO NOTHING"""
VISITORS = "CREATE TABLE visitor (id VARCHAR NOT NULL PRIMARY KEY, token_hash BLOB NOT NULL UNIQUE)"
KEEP_VISITOR = "INSERT INTO visitor VALUES (?, ?)"
VISITOR = "SELECT id FROM visitor WHERE token_hash = ?"
MESSAGES = """CREATE TABLE message (
  id VARCHAR NOT NULL PRIMARY KEY, visitor VARCHAR NOT NULL, seq INTEGER NOT NULL,
  author VARCHAR NOT NULL, client_message_id VARCHAR, text VARCHAR NOT NULL,
  created_at DATETIME NOT NULL, UNIQUE (visitor, seq), UNIQUE (visitor, client_message_id))"""
KEEP_MESSAGE = """INSERT INTO message
  SELECT ?, ?, coalesce(max(seq), 0) + 1, ?, ?, ?, ? FROM message WHERE visitor = ?
  RETURNING seq"""
ITEMS = """SELECT seq, id, author, text, created_at FROM message
  WHERE visitor = ? AND seq > ? ORDER BY seq"""

Row = Sequence[Any]


class Writer:
    """One thread, one connection, one commit for all that waits."""

    def __init__(self, path: Path, *tables: str) -> None:
        self.path = path
        made = connect(path)
        for table in tables:
            made.execute(table.replace("TABLE", "TABLE IF NOT EXISTS"))
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


def chat_app(folder: Path) -> Litestar:
    """The two commits of a turn: the customer's message, then the reply, which is told at once."""
    writer = Writer(folder / "floor.db", VISITORS, MESSAGES)
    reader = connect(folder / "floor.db")
    bells: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
    replying: set[asyncio.Task[None]] = set()

    def visitor_of(request: Request[Any, Any, Any]) -> str:
        token = request.headers["authorization"].removeprefix("Bearer ")
        [visitor] = reader.execute(VISITOR, (hashlib.sha256(token.encode()).digest(),)).fetchone()
        return visitor

    async def keep(visitor: str, author: str, text: str, client_id: str | None) -> tuple[str, int]:
        message_id, now = new_id(), utc_now().isoformat()
        row = (message_id, visitor, author, client_id, text, now, visitor)
        [seq] = await writer.write(KEEP_MESSAGE, row)
        bells.pop(visitor, asyncio.Event()).set()
        return message_id, seq

    async def reply(visitor: str) -> None:
        await keep(visitor, "bot", REPLY, None)

    @post("/chat/sessions")
    async def start_session() -> dict[str, Any]:
        token = secrets.token_urlsafe(32)
        await writer.write(KEEP_VISITOR, (new_id(), hashlib.sha256(token.encode()).digest()))
        return {"token": token, "after": 0}

    @post("/chat/messages")
    async def post_message(
        request: Request[Any, Any, Any], data: JSONBody[Posted]
    ) -> dict[str, Any]:
        visitor = visitor_of(request)
        message_id, seq = await keep(visitor, "customer", data.text, data.client_message_id)
        task = asyncio.create_task(reply(visitor))
        replying.add(task)
        task.add_done_callback(replying.discard)
        return {"id": message_id, "seq": seq}

    def items(visitor: str, after: int) -> list[dict[str, Any]]:
        names = ("seq", "id", "author", "text", "created_at")
        rows = reader.execute(ITEMS, (visitor, after))
        return [dict(zip(names, row, strict=True)) for row in rows]

    @get("/chat/messages")
    async def read_messages(
        request: Request[Any, Any, Any], after: int, wait: float
    ) -> dict[str, Any]:
        visitor = visitor_of(request)
        bell = bells[visitor]
        found = items(visitor, after)
        if not found and wait:
            async with asyncio.timeout(min(wait, POLL_S_MAX)):
                await bell.wait()
            found = items(visitor, after)
        return {"items": found, "next": found[-1]["seq"] if found else after}

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
