"""The live socket of a console screen: hints that something changed, and who is typing.

Nothing is promised here. A screen that hears "changed" asks for what it lacks by `seq`, and asks
by itself every so often in case a hint was lost.
"""

import asyncio
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import SkipValidation
from msgspec import Meta, Struct

from agent_inbox.console.guard import Policy, SignedIn
from agent_inbox.console.parts import ConsoleParts
from gateway.feed import Signal
from gateway.models import Conversation
from gateway.states import State

Parts = NamedDependency[SkipValidation[ConsoleParts]]
Who = NamedDependency[SkipValidation[SignedIn]]
Socket = WebSocket[Any, Any, Any]

PING_S = 25.0  # proxies cut what is silent for a minute
FRAME_CHARS_MAX = 1_000
GONE, POLICY, BAD_DATA = 1012, 1008, 1007  # close codes: restarting, not allowed, unreadable


class Watch(Struct, tag="watch", forbid_unknown_fields=True):
    """Which conversation is on the screen; "" for none."""

    conversation: Annotated[str, Meta(max_length=64)]


class Typing(Struct, tag="typing", forbid_unknown_fields=True):
    """The agent is writing to the customer of the watched conversation."""


class Screen:
    """One socket. Hints of the lists and of one conversation go out, two small frames come in."""

    def __init__(self, socket: Socket, parts: ConsoleParts, who: SignedIn) -> None:
        self._socket = socket
        self._parts = parts
        self._who = who
        self._watched = ""
        self._watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the screen goes, the server stops, or the sign-in ends."""
        tasks = [
            asyncio.create_task(one)
            for one in (self._listen(), self._hints("inbox"), self._stopped())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(tasks)
        codes = [task.result() for task in done if task.exception() is None]
        if codes:
            with suppress(Exception):  # it may be gone already
                await self._socket.close(code=codes[0])

    async def _end(self, tasks: list[asyncio.Task[int]]) -> None:
        for task in (*tasks, self._watching):
            if task is not None:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stopped(self) -> int:
        await self._parts.stopping.wait()
        return GONE

    async def _hints(self, topic: str) -> int:
        """Pass hints of a topic on, until the sign-in is no more."""
        async with self._parts.store.feed.subscribe(topic) as subscription:
            while True:
                changed, signals = await subscription.wait(PING_S)
                if await self._parts.guard.signed_in(self._socket) is None:
                    return POLICY
                for signal in signals:
                    await self._send(signal)
                if changed:
                    await self._send({"type": "changed", "topic": topic})
                elif not signals:
                    await self._send({"type": "ping"})

    async def _send(self, frame: Signal) -> None:
        await self._socket.send_text(msgspec.json.encode(frame).decode())

    async def _listen(self) -> int:
        while True:
            try:
                text = await self._socket.receive_text()
            except WebSocketDisconnect:
                return GONE
            try:
                frame = msgspec.json.decode(text[: FRAME_CHARS_MAX + 1], type=Watch | Typing)
            except (msgspec.DecodeError, RecursionError):
                return BAD_DATA
            if await self._parts.guard.signed_in(self._socket) is None:
                return POLICY
            if isinstance(frame, Watch):
                await self._watch(frame.conversation)
            else:
                await self._typing()

    async def _watch(self, conversation_id: str) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        self._watched = conversation_id
        if conversation_id:
            topic = f"conversation:{conversation_id}"
            self._watching = asyncio.create_task(self._pass_on(topic))

    async def _pass_on(self, topic: str) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # the socket closed: `run` ends, too
            await self._hints(topic)

    async def _typing(self) -> None:
        """Tell colleagues who look at it; and the customer, if it is the owner who types."""
        watched = await self._parts.store.read(
            lambda session: session.get(Conversation, self._watched)
        )
        if watched is None:
            return
        kind: Literal["agent"] = "agent"
        who = {"type": "typing", "author": kind, "agent": self._who.name}
        topics = (f"conversation:{watched.id}",)
        self._parts.store.feed.publish(topics, {**who, "agent_id": self._who.agent_id})
        if watched.state == State.AGENT and watched.owner == self._who.agent_id:
            self._parts.store.feed.publish((f"contact:{watched.contact_id}",), who)


@websocket("/live", policy=Policy.AGENT)
async def live(socket: Socket, parts: Parts, who: Who) -> None:
    """A console screen's live socket. Its origin was checked by the guard."""
    await socket.accept()
    await Screen(socket, parts, who).run()


HANDLERS = (live,)
