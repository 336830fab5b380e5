"""Hints that something changed. Nothing is promised by a push: readers catch up by `seq`.

Topics: `contact:ID` (a customer's screens), `conversation:ID` and `inbox` (agents' screens),
`turns`, `deliveries`, `events` (the workers). One process's hub; over several processes the same
hints travel by a broker (later), and a slow poll is the net below both.
"""

import asyncio
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

Signal = Mapping[str, Any]
"""Something that only matters now and is never stored: typing, a partial text."""

SIGNALS_MAX = 64  # waiting for one slow reader; the oldest go first, they are courtesy
RECENT_MAX = 2_000  # topics whose last change is remembered; who asks for older ones looks again


class Subscription:
    """One reader's view of some topics: "something changed" as a flag, signals as a short queue."""

    def __init__(self, *, signals: bool = True) -> None:
        self._takes_signals = signals
        self._wake = asyncio.Event()
        self._changed = False
        self._signals: deque[Signal] = deque(maxlen=SIGNALS_MAX)

    def notify(self, signal: Signal | None = None) -> None:
        if signal is None:
            self._changed = True
        elif self._takes_signals:
            self._signals.append(signal)
        else:
            return
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
        self._moment = 0
        self._changed_at: OrderedDict[str, int] = OrderedDict()
        self._forgotten_until = 0

    @property
    def moment(self) -> int:
        """Now, to `subscribe` since: asked for before reading, nothing can fall between."""
        return self._moment

    def publish(self, topics: Iterable[str], signal: Signal | None = None) -> None:
        for topic in topics:
            if signal is None:
                self._remember(topic)
            for reader in self._readers.get(topic, ()):
                reader.notify(signal)

    @asynccontextmanager
    async def subscribe(
        self, *topics: str, since: int | None = None, signals: bool = True
    ) -> AsyncGenerator[Subscription]:
        """Subscribe before reading what is there, or `since` a moment before it was read: what
        changed after that moment is told at once. Who wants no `signals` is not woken by them."""
        subscription = Subscription(signals=signals)
        if since is not None and self._has_changed(topics, since):
            subscription.notify()
        for topic in topics:
            self._readers[topic].add(subscription)
        try:
            yield subscription
        finally:
            for topic in topics:
                self._readers[topic].discard(subscription)
                if not self._readers[topic]:
                    del self._readers[topic]

    def _remember(self, topic: str) -> None:
        self._moment += 1
        self._changed_at[topic] = self._moment
        self._changed_at.move_to_end(topic)
        if len(self._changed_at) > RECENT_MAX:
            _, self._forgotten_until = self._changed_at.popitem(last=False)

    def _has_changed(self, topics: Iterable[str], since: int) -> bool:
        """Whether one of them changed after `since`, as far as that is still known."""
        forgotten = since < self._forgotten_until
        return forgotten or any(self._changed_at.get(topic, 0) > since for topic in topics)

    def readers(self, topic: str) -> int:
        return len(self._readers.get(topic, ()))
