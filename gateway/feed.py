"""Hints that something changed. Nothing is promised by a push: readers catch up by `seq`.

Topics: `contact:ID` (a customer's screens), `conversation:ID` and `inbox` (agents' screens),
`turns`, `deliveries`, `events` (the workers). One process's hub; over several processes the same
hints travel by a broker (later), and a slow poll is the net below both.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

Signal = Mapping[str, Any]
"""Something that only matters now and is never stored: typing, a partial text."""

SIGNALS_MAX = 64  # waiting for one slow reader; the oldest go first, they are courtesy


class Subscription:
    """One reader's view of some topics: "something changed" as a flag, signals as a short queue."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._changed = False
        self._signals: deque[Signal] = deque(maxlen=SIGNALS_MAX)

    def notify(self, signal: Signal | None = None) -> None:
        if signal is None:
            self._changed = True
        else:
            self._signals.append(signal)
        self._wake.set()

    async def wait(self, timeout_s: float) -> tuple[bool, list[Signal]]:
        """Whether something changed since the last call, and the signals; (False, []) after
        `timeout_s` of silence. Many changes are one."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return False, []
        self._wake.clear()
        changed, self._changed = self._changed, False
        signals = list(self._signals)
        self._signals.clear()
        return changed, signals


class Feed:
    """The hub. Publishing never waits and never fails."""

    def __init__(self) -> None:
        self._readers: dict[str, set[Subscription]] = defaultdict(set)

    def publish(self, topics: Iterable[str], signal: Signal | None = None) -> None:
        for topic in topics:
            for reader in self._readers.get(topic, ()):
                reader.notify(signal)

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncGenerator[Subscription]:
        """Subscribe before reading what is there: nothing can fall between the two."""
        subscription = Subscription()
        for topic in topics:
            self._readers[topic].add(subscription)
        try:
            yield subscription
        finally:
            for topic in topics:
                self._readers[topic].discard(subscription)
                if not self._readers[topic]:
                    del self._readers[topic]

    def readers(self, topic: str) -> int:
        return len(self._readers.get(topic, ()))
