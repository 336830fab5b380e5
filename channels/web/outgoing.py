"""The frames that wait for one socket's reader, and what happens to a reader that does not read."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class TooFarBehind(Exception):
    """The reader did not catch up in time. It is let go, and resumes by `seq`."""


class Outgoing:
    """A queue of frames counted in bytes. `put` waits while it is full, but not for ever."""

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], *, bytes_max: int, wait_s: float
    ) -> None:
        self._send = send
        self._bytes_max = bytes_max
        self._wait_s = wait_s
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, frame: bytes) -> None:
        """Queue a frame. Raises TooFarBehind if there is still no room after `wait_s` seconds."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._room.wait()
        except TimeoutError:
            raise TooFarBehind(f"{self._bytes} bytes are waiting") from None
        self._frames.append(frame)
        self._count(len(frame))
        self._some.set()

    async def run(self) -> None:
        """Send what is queued until cancelled, or until `send` raises."""
        while True:
            await self._some.wait()
            while self._frames:
                frame = self._frames.popleft()
                await self._send(frame)
                self._count(-len(frame))
            self._some.clear()

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._bytes_max:
            self._room.clear()
        else:
            self._room.set()
