"""The chat over a socket: the first frame says who, then news is pushed as it happens.

Nothing rests on a push. What is shown is read from the store by `seq`, after every hint and now
and then without one, so a reader that comes back gets each item once, in order.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect

from channels.web.admission import Rate
from channels.web.chat import MINUTE_S, NET_S, Chat, Page, Position, new_changes
from channels.web.door import address_of, as_problem
from channels.web.fields import (
    AnewFrame,
    ClientFrame,
    CustomerTyping,
    ErrorFrame,
    Hello,
    ItemFrame,
    Ping,
    Pong,
    ServerFrame,
    Signal,
    StateFrame,
    UpdateFrame,
    shown,
)
from channels.web.outgoing import Outgoing, TooFarBehind
from channels.web.problems import Problem, preferred
from channels.web.strict_json import BadJson, read_json
from gateway.errors import Unauthorised
from gateway.feed import Signal as Hint
from gateway.feed import Subscription
from storage.text import UnstorableText

log = structlog.get_logger()

AnySocket = WebSocket[Any, Any, Any]

# Why the server closes: docs/web-channel.md says what a client does about each.
STOPPING = 1012
FAILED = 1011
FRAME_TOO_LARGE = 1009
BAD_FRAME = 4400
NOT_AUTHORISED = 4401
NO_FIRST_FRAME = 4408
TOO_FAR_BEHIND = 4413
TOO_MANY = 4429
GONE = 0  # the client left: there is nobody to tell


@dataclass
class Ended(Exception):
    """The socket is over: the close code, and what to say before."""

    code: int
    problem: Problem | None = None


@websocket("/socket")
async def chat_socket(socket: AnySocket, chat: NamedDependency[Chat]) -> None:
    """First frame {token, after}; then frames as docs/web-channel.md describes them."""
    address = address_of(socket, chat.parts.trusted_proxies)
    await socket.accept()
    seated = chat.seats.enter(address)
    try:
        if not seated:
            raise Ended(TOO_MANY, Problem("too-many", extra={"limit": "sockets_per_address"},
                                          wait_s=MINUTE_S))  # fmt: skip
        await Link(socket, chat).run()
    except Ended as ended:
        with suppress(TimeoutError):  # whoever does not read does not get the farewell either
            async with asyncio.timeout(chat.settings.behind_wait_s):
                await _say_goodbye(socket, ended)
    finally:
        if seated:
            chat.seats.leave(address)


async def _say_goodbye(socket: AnySocket, ended: Ended) -> None:
    if ended.code == GONE:
        return
    language = preferred(socket.headers.get("accept-language", "")) or "en"
    try:
        if ended.problem is not None:
            body = (ended.problem).body(ended.problem.language or language)
            await socket.send_text(msgspec.json.encode(ErrorFrame(error=body)).decode())
        await socket.close(ended.code)
    except (WebSocketDisconnect, OSError, RuntimeError):
        return  # it left first


class Link:
    """One open socket, from its first frame to its end."""

    def __init__(self, socket: AnySocket, chat: Chat) -> None:
        self._socket = socket
        self._chat = chat
        self._outgoing = Outgoing(
            self._send,
            bytes_max=chat.settings.behind_bytes_max,
            wait_s=chat.settings.behind_wait_s,
        )
        self._frames = Rate(
            chat.settings.frames_per_minute, window_s=MINUTE_S, monotonic=time.monotonic
        )
        self._typing = Rate(1, window_s=1.0, monotonic=time.monotonic)
        self._token = ""
        self._after = 0
        self._numbering: int | None = None
        self._state: StateFrame | None = None
        self._conversation_id: str | None = None
        self._changes: set[Any] = set()

    async def run(self) -> None:
        """Serve the socket. Raises Ended, always."""
        hello = await self._hello()
        self._token, self._after, self._numbering = hello.token, hello.after, hello.numbering
        page = await self._read()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._outgoing.run())
                group.create_task(self._listen())
                group.create_task(self._push(page))
        except* Exception as group_error:
            raise _first(group_error) from None

    # In

    async def _hello(self) -> Hello:
        try:
            async with asyncio.timeout(self._chat.settings.hello_wait_s):
                return _decoded(await self._receive(), Hello)
        except TimeoutError:
            raise Ended(NO_FIRST_FRAME, Problem("unauthorised")) from None

    async def _listen(self) -> None:
        while True:
            frame: CustomerTyping | Ping = _decoded(await self._receive(), ClientFrame)
            if self._frames.take(""):
                raise Ended(TOO_MANY, Problem("too-many", extra={"limit": "frames_per_minute"},
                                              wait_s=MINUTE_S))  # fmt: skip
            await self._authorise()
            if isinstance(frame, Ping):
                await self._put(Pong())
            else:
                self._pass_on_typing()

    async def _receive(self) -> str:
        event: Any = await self._socket.receive()
        if event["type"] == "websocket.disconnect":
            raise Ended(GONE)
        text = event.get("text")
        if not isinstance(text, str):
            raise Ended(BAD_FRAME, Problem("bad-json", {"why": "a frame is text, not bytes"}))
        if len(text.encode("utf-8", "surrogatepass")) > self._chat.settings.frame_bytes_max:
            raise Ended(FRAME_TOO_LARGE, Problem("too-large"))
        return text

    async def _authorise(self) -> None:
        try:
            await self._chat.visitor(self._token)
        except Unauthorised:
            raise Ended(NOT_AUTHORISED, Problem("unauthorised")) from None

    def _pass_on_typing(self) -> None:
        if self._conversation_id is not None and not self._typing.take(""):
            self._chat.parts.store.feed.publish(
                (f"conversation:{self._conversation_id}",), {"type": "typing", "author": "customer"}
            )

    # Out

    async def _push(self, page: Page) -> None:
        while True:
            async with self._chat.parts.store.feed.subscribe(*page.topics) as hints:
                topics = page.topics
                page = await self._catch_up()  # what came before we subscribed
                while page.topics == topics:
                    await self._pass_on_signals(hints)
                    page = await self._catch_up()

    async def _pass_on_signals(self, hints: Subscription) -> None:
        """Forward what only matters now, until something changed or it is time to look anyway."""
        while True:
            changed, signals = await self._chat.hint(hints, NET_S)
            if self._chat.is_stopping:
                raise Ended(STOPPING)
            for signal in signals:
                if frame := _courtesy(signal):
                    await self._put(frame)
            if changed or not signals:
                return

    async def _catch_up(self) -> Page:
        """Show all that the reader has not seen; the page that found nothing more."""
        while True:
            page = await self._read()
            await self._begin_anew(page.visitor.numbering)
            for item in page.items:
                await self._put(ItemFrame(shown(item)))
                self._after = item.seq
            for item in new_changes(page, self._changes):
                await self._put(UpdateFrame(shown(item)))
            self._changes = page.changes
            self._conversation_id = page.conversation_id
            if not page.items:
                await self._show_state(page)
                return page

    async def _begin_anew(self, numbering: int) -> None:
        """Tell a reader whose numbers are of another numbering; `_read` began at the first item."""
        if self._numbering not in (None, numbering):
            await self._put(AnewFrame(numbering))
            self._after, self._changes = 0, set()
        self._numbering = numbering

    async def _show_state(self, page: Page) -> None:
        if page.state != self._state:
            self._state = page.state
            await self._put(page.state)

    async def _read(self) -> Page:
        try:
            at = Position(self._after, self._numbering)
            return await self._chat.page(self._token, at)
        except Unauthorised:
            raise Ended(NOT_AUTHORISED, Problem("unauthorised")) from None

    async def _put(self, frame: ServerFrame) -> None:
        await self._outgoing.put(msgspec.json.encode(frame))

    async def _send(self, frame: bytes) -> None:
        try:
            await self._socket.send_text(frame.decode())
        except (WebSocketDisconnect, OSError) as error:
            raise Ended(GONE) from error


def _decoded(text: str, form: Any) -> Any:
    """A client's frame as `form`. Raises Ended."""
    try:
        return msgspec.convert(read_json(text.encode("utf-8", "surrogatepass")), form)
    except BadJson as error:
        raise Ended(BAD_FRAME, Problem("bad-json", {"why": str(error)})) from None
    except UnstorableText:
        raise Ended(BAD_FRAME, Problem("unstorable-text")) from None
    except msgspec.ValidationError as error:
        fields = [{"field": "", "why": str(error)[:300]}]
        raise Ended(BAD_FRAME, Problem("invalid", extra={"fields": fields})) from None


def _courtesy(hint: Hint) -> ServerFrame | None:
    """A typing or partial frame from a signal of the feed; None for signals not meant for here."""
    try:
        return msgspec.convert(dict(hint), Signal)
    except msgspec.ValidationError:
        return None


def _first(group: BaseExceptionGroup[Exception]) -> Ended:
    """How a socket ended, from all that went wrong at once: its own end before anything else."""
    errors = _flat(group)
    for error in errors:
        if isinstance(error, Ended):
            return error
    if any(isinstance(error, TooFarBehind) for error in errors):
        return Ended(TOO_FAR_BEHIND)
    log.warning("socket_failed", errors=[type(error).__name__ for error in errors])
    return Ended(FAILED, as_problem(errors[0]))


def _flat(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
