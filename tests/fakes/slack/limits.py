"""Slack's rate limits, enforced by the clock: whoever is too fast waits, and is remembered."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

PER_MINUTE = {"tier1": 1, "tier2": 20, "tier3": 50, "tier4": 100}
POST_EVERY_S = 1.0  # per channel
Key = tuple[str, str]


@dataclass
class Limits:
    """`early`: calls that came before the end of a wait that had been asked for. `too_fast`:
    calls that broke a published limit."""

    now_s: Callable[[], float]
    early: list[Key] = field(default_factory=list[Key])
    too_fast: list[Key] = field(default_factory=list[Key])
    _calls: dict[Key, deque[float]] = field(default_factory=lambda: defaultdict(deque[float]))
    _until: dict[Key, float] = field(default_factory=dict[Key, float])

    def wait_s(self, method: str, tier: str, channel: str) -> float:
        """How long this call has to wait; 0 lets it through, and counts it."""
        key = (method, channel if tier == "post" else "")
        now = self.now_s()
        if now < self._until.get(key, 0.0):
            self.early.append(key)
            return self._until[key] - now
        calls = self._calls[key]
        most, within_s = (1, POST_EVERY_S) if tier == "post" else (PER_MINUTE[tier], 60.0)
        while calls and now - calls[0] >= within_s:
            calls.popleft()
        if len(calls) >= most:
            self.too_fast.append(key)
            self.ask_to_wait(method, key[1], calls[0] + within_s - now)
            return self._until[key] - now
        calls.append(now)
        return 0.0

    def ask_to_wait(self, method: str, channel: str, wait_s: float) -> None:
        """From now on calls of `method` are early for so long."""
        self._until[method, channel] = self.now_s() + wait_s
