"""How fast deliveries go out, and when an account rests.

Slots of a channel's rates are taken in the database, so that they hold over all workers; whether
an account rests is each worker's own memory, since it comes from what its own calls met.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from gateway.messages import Rate
from gateway.models import Delivery, RateBucket
from gateway.store import insert_once


def take_slot(
    session: Session, row: Delivery, rates: Sequence[Rate], *, now: datetime, sends: int = 1
) -> datetime:
    """The time from which `row` may go out, taken for it: nobody else gets the same one.

    `sends`: how many calls it will make.
    """
    own = [rate for rate in rates if rate.scope != "shared_chat" or row.thread]
    buckets = [_bucket(session, _scope(row, rate), now) for rate in own]
    slot = max((bucket.free_at for bucket in buckets), default=now)
    slot = max(slot, now)
    for bucket, rate in zip(buckets, own, strict=True):
        bucket.free_at = slot + timedelta(seconds=sends / rate.per_s)
        session.add(bucket)
    return slot


def hold_chat(session: Session, row: Delivery, rates: Sequence[Rate], until: datetime) -> None:
    """Nothing more goes to the chat of `row` before `until`: its provider said so."""
    for rate in rates:
        if rate.scope == "chat":
            bucket = _bucket(session, _scope(row, rate), until)
            bucket.free_at = max(bucket.free_at, until)
            session.add(bucket)


def _bucket(session: Session, scope: str, now: datetime) -> RateBucket:
    bucket = session.get(RateBucket, scope, with_for_update=True)
    if bucket is None:  # two workers may meet here: the unique key lets one make it
        insert_once(session, RateBucket, {"scope": scope, "free_at": now})
        bucket = session.get_one(RateBucket, scope, with_for_update=True)
    return bucket


def _scope(row: Delivery, rate: Rate) -> str:
    account = (rate.scope, row.surface, row.account)
    return "\x1f".join(account if rate.scope == "account" else (*account, row.chat))


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When an account rests, and for how long."""

    failures: int = 5
    window_s: float = 30.0
    rest_s: float = 5.0  # doubled while the probes fail
    rest_s_max: float = 60.0


@dataclass(slots=True)
class Breaker:
    """Lets an account rest after failures of several deliveries, then lets one probe through.

    A provider that is down is not called by everybody all the time, and one that hangs does not
    tie up all that is on its way.
    """

    limits: BreakerLimits
    rests_until: datetime | None = None
    _failed: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _rests: int = 0
    _probe: str | None = None
    _probe_ends: datetime | None = None

    def come_back(self, key: str, now: datetime) -> datetime | None:
        """When `key` may try; None: now."""
        if self.rests_until is None:
            return None
        if now < self.rests_until:
            return self.rests_until
        if self._probe_ends is not None and self._probe != key and now < self._probe_ends:
            return min(self._probe_ends, now + timedelta(seconds=1))
        self._probe = key
        self._probe_ends = now + timedelta(seconds=self.limits.rest_s_max)
        return None

    def works(self) -> None:
        """A call was answered by the provider itself."""
        self.rests_until = self._probe = self._probe_ends = None
        self._rests = 0
        self._failed.clear()

    def fails(self, key: str, now: datetime) -> None:
        """`key` (a delivery, or a chat that was told to wait) met trouble."""
        if self._probe == key:
            self._rest(now)
            return
        self._failed[key] = now
        since = now - timedelta(seconds=self.limits.window_s)
        self._failed = {one: at for one, at in self._failed.items() if at > since}
        if self.rests_until is None and len(self._failed) >= self.limits.failures:
            self._rest(now)

    def rest(self, until: datetime) -> None:
        """No call before `until`, then one probe."""
        self.rests_until, self._probe, self._probe_ends = until, None, None

    def _rest(self, now: datetime) -> None:
        rest_s = min(self.limits.rest_s_max, self.limits.rest_s * 2**self._rests)
        self._rests += 1
        self.rest(now + timedelta(seconds=rest_s))
