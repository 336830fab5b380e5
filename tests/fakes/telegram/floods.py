"""How fast one may send: 30 a second in all, one a second to a chat, 20 a minute to a group.

Harsher than life: a burst is punished at once, and who does not wait out a punishment is noted.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.fakes.telegram.failures import Fail

Clock = Callable[[], datetime]
PER_SECOND, PER_CHAT, PER_GROUP = 30, timedelta(seconds=1), 20
BURST_WAIT_S = 3
EVERYWHERE = 0


class Floods:
    """`early` has the chat of every call that came before a wait it was told of was over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: dict[int, deque[datetime]] = defaultdict(deque)  # by chat, and in all
        self._until: dict[int, datetime] = {}
        self._told: set[int] = set()
        self.early: list[int] = []
        self.refused = 0

    def punish(self, wait_s: int, chat: int = EVERYWHERE) -> None:
        """From now on calls to `chat`, or to any, are refused for `wait_s`."""
        self._until[chat] = self._clock() + timedelta(seconds=wait_s)
        self._told.discard(chat)

    def pass_send(self, chat: int, *, is_group: bool, count: int = 1) -> None:
        """Let `count` messages pass, or raise 429."""
        self.pass_edit(chat)
        now = self._clock()
        if len(_since(self._recent[EVERYWHERE], now - timedelta(seconds=1))) + count > PER_SECOND:
            self._refuse(EVERYWHERE, BURST_WAIT_S)
        mine = _since(self._recent[chat], now - timedelta(minutes=1))
        if mine and now - mine[-1] < PER_CHAT:
            self._refuse(chat, BURST_WAIT_S)
        if is_group and len(mine) + count > PER_GROUP:
            self._refuse(chat, math.ceil(60 - (now - mine[0]).total_seconds()) if mine else 60)
        for kept in (self._recent[EVERYWHERE], mine):
            kept.extend([now] * count)

    def pass_edit(self, chat: int) -> None:
        """Let a call pass that changes what is there: it has to wait out punishments only."""
        now = self._clock()
        for scope in (EVERYWHERE, chat):
            left = self._until.get(scope, now) - now
            if left > timedelta(0):
                self.early += [chat] if scope in self._told else []
                self._refuse(scope, math.ceil(left.total_seconds()))
            self._told.discard(scope)

    def _refuse(self, scope: int, wait_s: int) -> None:
        until = self._clock() + timedelta(seconds=wait_s)
        self._until[scope] = max(until, self._until.get(scope, until))
        self._told.add(scope)
        self.refused += 1
        raise Fail(429, f"Too Many Requests: retry after {wait_s}", retry_after=wait_s)


def _since(times: deque[datetime], start: datetime) -> deque[datetime]:
    while times and times[0] <= start:
        times.popleft()
    return times
