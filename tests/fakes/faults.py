"""What can go wrong between us and a provider, on demand and in order.

A fake asks its `Faults` at each API call; a test says what the next calls of a method meet.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

Call = Callable[[], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The call is not processed: this is answered instead."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Garbled:
    """The call is processed, and answered with something else than its result."""

    body: str = "<html>502 Bad Gateway</html>"
    status: int = 200
    content_type: str = "text/html"


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is reset: before the call is processed, or after it ("processed"), without
    an answer in both cases. `after_bytes` of the answer go out first where it is processed."""

    processed: bool
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """The call is processed, and its answer waits until `released`."""

    released: asyncio.Event


Fault = Answer | Garbled | Cut | Held
EVERY = "*"


class Faults:
    """The faults that are still to come, for each API method; `EVERY` meets any of them."""

    def __init__(self) -> None:
        self._next: dict[str, deque[Fault]] = defaultdict(deque)

    def plan(self, method: str, *faults: Fault) -> None:
        """Let the next calls of `method` meet `faults`, one each."""
        self._next[method].extend(faults)

    def forget(self) -> None:
        """From now on everything works."""
        self._next.clear()

    async def around(self, request: web.Request, method: str, call: Call) -> web.StreamResponse:
        """Answer a call of `method`, or do to it what is planned."""
        match self._take(method):
            case None:
                return await call()
            case Answer() as said:
                return web.Response(
                    status=said.status, text=said.body, headers=said.headers,
                    content_type=said.content_type,
                )  # fmt: skip
            case Garbled() as said:
                await call()
                return web.Response(
                    status=said.status, text=said.body, content_type=said.content_type
                )
            case Cut(processed=False):
                return _reset(request)
            case Cut() as cut:
                return await _cut(request, await call(), cut.after_bytes)
            case Held() as held:
                answer = await call()
                await held.released.wait()
                return answer

    def _take(self, method: str) -> Fault | None:
        for key in (method, EVERY):
            if self._next[key]:
                return self._next[key].popleft()
        return None


async def _cut(
    request: web.Request, answer: web.StreamResponse, after_bytes: int
) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) else None
    if after_bytes and isinstance(body, bytes):
        partial = web.StreamResponse(status=answer.status, headers=answer.headers)
        partial.content_length = len(body)
        await partial.prepare(request)
        await partial.write(body[:after_bytes])
    return _reset(request)


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
