"""Socket Mode: lines that an app holds open, and what can go wrong with them."""

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.slack.events import Parcel


@dataclass
class Lines:
    """Every open line. `is_deaf`: they stay open and answer pings, and no event goes out.

    `witness` is asked, at each acknowledgement, whether the event is committed by then; `acks`
    keeps what it said.
    """

    is_deaf: bool = False
    witness: Callable[[str], bool] = lambda _: True
    acks: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    opened: int = 0
    _open: list[web.WebSocketResponse] = field(default_factory=list[web.WebSocketResponse])
    _wires: dict[web.WebSocketResponse, Any] = field(default_factory=dict[Any, Any])
    _sent: dict[str, Parcel] = field(default_factory=dict[str, Parcel])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        line = web.WebSocketResponse()
        await line.prepare(request)
        self.opened += 1
        self.is_deaf = False  # a new line hears
        await line.send_json({
            "type": "hello", "num_connections": len(self._open) + 1,
            "connection_info": {"app_id": "A0TANDEM0"}, "debug_info": {"host": "applink"},
        })  # fmt: skip
        self._open.append(line)
        self._wires[line] = request.transport
        self._changed.set()
        try:
            async for frame in line:
                if frame.type == WSMsgType.TEXT:
                    self._acknowledged(json.loads(frame.data))
        finally:
            self._open.remove(line)
            del self._wires[line]
            self._changed.set()
        return line

    async def send(self, parcel: Parcel) -> None:
        """One of the lines gets it, as Slack gives each event to one connection only."""
        if self.is_deaf or not self._open:
            return
        envelope = str(uuid.uuid4())
        self._sent[envelope] = parcel
        await self._open[-1].send_json({
            "type": parcel.kind, "envelope_id": envelope, "payload": parcel.payload,
            "accepts_response_payload": parcel.kind != "events_api",
            "retry_attempt": parcel.tries - 1, "retry_reason": "",
        })  # fmt: skip

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Slack wants a new connection in the place of this one."""
        for line in list(self._open):
            await line.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})

    async def cut(self) -> None:
        """The network fails: no goodbye."""
        for wire in self._wires.values():
            wire.abort()

    async def until(self, condition: Callable[["Lines"], bool]) -> None:
        """Wait for lines to come and go, or to acknowledge."""
        while not condition(self):
            self._changed.clear()
            async with asyncio.timeout(10):
                await self._changed.wait()

    async def settled(self) -> None:
        """Wait until all that went out is acknowledged."""
        await self.until(lambda lines: all(parcel.is_done for parcel in lines._sent.values()))

    @property
    def count(self) -> int:
        return len(self._open)

    def _acknowledged(self, said: dict[str, str]) -> None:
        parcel = self._sent.get(said.get("envelope_id", ""))
        if parcel is not None:
            parcel.status = 200
            self.acks.append((parcel.event_id, self.witness(parcel.event_id)))
            self._changed.set()
