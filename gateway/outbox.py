"""The way out, and the only place that retries.

A delivery is claimed (`leased`), marked `sending` just before the first byte, and ended by what
the channel says: A not sent → again, B rejected → by code, C ambiguous → reconciled, D delivered.
A row found in `sending` after a crash is ambiguous: it is never simply sent again.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import structlog
from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select, update

from gateway.errors import (
    BadToken,
    ChannelError,
    RateLimited,
    Refused,
    Unavailable,
    Unreachable,
    WindowClosed,
)
from gateway.history import outbound
from gateway.messages import Address, Capabilities, OutboundMessage, Receipt
from gateway.models import Attempt, Conversation, Delivery, Message, RateBucket
from gateway.ports import Channel, Clock, Reconciles
from gateway.render import fit
from gateway.store import Store, touch_conversation
from storage.columns import UtcDateTime
from storage.database import DatabaseError
from storage.failpoints import reach, reach_async
from storage.ids import new_id

log = structlog.get_logger()

Outcome = Literal["A", "B", "C", "D"]

# In order per (conversation, destination): a row waits for every earlier one that is still open.
_CLAIM = """
WITH head AS (
  SELECT d.id FROM delivery d WHERE d.state = 'pending' AND d.due <= :now
    AND NOT EXISTS (
      SELECT 1 FROM delivery p WHERE p.conversation_id = d.conversation_id
        AND p.destination = d.destination AND p.ord < d.ord
        AND p.state IN ('pending', 'leased', 'sending'))
  ORDER BY d.due, d.id LIMIT :n {lock})
UPDATE delivery SET state = 'leased', fence = fence + 1, lease = :until
FROM head WHERE delivery.id = head.id RETURNING delivery.id, delivery.fence
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """Counts and times of the way out."""

    claims_max: int = 50  # on their way at once
    lease_s: float = 60.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    attempts_max: int = 50
    bot_text_age_max_s: float = 600.0
    people_text_age_max_s: float = 86_400.0
    pause_s: float = 60.0  # of an account whose token is refused: then one probe
    rate_limit_cap_s: float = 3_600.0
    poll_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    id: str
    fence: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed delivery that may go out now."""

    claim: Claim
    address: Address
    message: OutboundMessage


@dataclass(frozen=True, slots=True)
class _End:
    """How a try ended, for the row: `state` "pending" means again at `due`."""

    state: Literal["pending", "delivered", "failed", "unknown"]
    outcome: Outcome
    detail: str = ""
    due: datetime | None = None
    external_id: str | None = None


class Outbox:
    """Delivers what the conversations said, in order, once."""

    def __init__(
        self, store: Store, channels: Mapping[str, Channel], clock: Clock, limits: OutboxLimits
    ) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock
        self._limits = limits
        self._paused: dict[tuple[str, str], datetime] = {}
        self._on_the_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled; what is on its way then is finished by `close`. A far end that
        takes its time holds up nobody else."""
        async with self._store.feed.subscribe("deliveries") as hints:
            while True:
                try:
                    for claim in await self._store.write(self._claim):
                        self._send_off(claim)
                except DatabaseError as error:  # customers get 503 meanwhile
                    log.warning("claim_failed", error=str(error))
                await hints.wait(self._limits.poll_s)

    async def close(self, *, within_s: float) -> None:
        """Let what is on its way arrive; what does not, the next start reconciles."""
        if self._on_the_way:
            _, late = await asyncio.wait(self._on_the_way, timeout=within_s)
            for task in late:
                task.cancel()

    async def drain(self) -> int:
        """Send all that is due now and wait for it; how many were tried. For tests and the demo."""
        tried = 0
        while claims := await self._store.write(self._claim):
            async with asyncio.TaskGroup() as group:
                for claim in claims:
                    group.create_task(self._deliver(claim))
            tried += len(claims)
        return tried

    async def reclaim(self, *, everything: bool = False) -> None:
        """Take up what a dead worker left: `leased` goes out again, `sending` is reconciled.

        `everything`: this process is alone and has just started, so every lease is a dead one's.
        """
        now = self._clock()
        stuck = await self._store.write(
            lambda session: _expire(session, now, everything=everything)
        )
        for parcel in stuck:
            await self._end(parcel.claim, await self._reconciled(parcel, "its worker died"))

    def _claim(self, session: Session) -> list[Claim]:
        now = self._clock()
        lock = "" if session.get_bind().dialect.name == "sqlite" else "FOR UPDATE OF d SKIP LOCKED"
        statement = text(_CLAIM.format(lock=lock)).bindparams(
            bindparam("now", type_=UtcDateTime), bindparam("until", type_=UtcDateTime)
        )
        values = {
            "now": now, "n": max(0, self._limits.claims_max - len(self._on_the_way)),
            "until": now + timedelta(seconds=self._limits.lease_s),
        }  # fmt: skip
        rows = session.connection().execute(statement, values)
        return [Claim(row.id, row.fence) for row in rows]

    def _send_off(self, claim: Claim) -> None:
        task = asyncio.create_task(self._deliver_alone(claim))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)

    async def _deliver_alone(self, claim: Claim) -> None:
        try:
            await self._deliver(claim)
        except Exception as error:  # the row stays as it is until its lease ends
            log.warning("delivery_failed", delivery=claim.id, error=type(error).__name__)
        self._store.feed.publish(("deliveries",))  # the next one in its line may go

    async def _deliver(self, claim: Claim) -> None:
        await reach_async("O1")
        parcel = await self._store.write(lambda session: self._start(session, claim))
        if parcel is None:
            return
        reach("O2")
        try:
            receipt = await self._channels[parcel.address.channel].send(
                parcel.address, parcel.message
            )
            end = _End("delivered", "D", external_id=",".join(receipt.external_ids))
            await reach_async("O3")
        except ChannelError as error:
            end = await self._judge(parcel, error)
        except Exception as error:  # not one of the mapped ones: nobody knows what arrived
            log.warning("send_failed", delivery=claim.id, error=type(error).__name__)
            end = await self._reconciled(parcel, type(error).__name__)
        reach("O4")
        await self._end(claim, end)

    # Starting (T6)

    def _start(self, session: Session, claim: Claim) -> Parcel | None:
        """Mark it `sending`, unless its owner changed, its channel rests, or another has it."""
        row = session.get(Delivery, claim.id, populate_existing=True, with_for_update=True)
        if row is None or (row.state, row.fence) != ("leased", claim.fence):
            return None
        conversation = session.get_one(Conversation, row.conversation_id)
        if row.epoch is not None and row.epoch != conversation.epoch:
            row.state, row.reason = "cancelled", "somebody else has the conversation"
        elif later := self._not_before(session, row):
            row.state, row.due = "pending", later
        else:
            row.state, row.attempts = "sending", row.attempts + 1
            row.lease = self._clock() + timedelta(seconds=self._limits.lease_s)
        session.add(row)
        if row.state != "sending":
            return None
        return Parcel(claim, address_of(row), self._part(session, row))

    def _part(self, session: Session, row: Delivery) -> OutboundMessage:
        message = session.get_one(Message, row.message_id)
        part = fit(outbound(message), self._capabilities(row))[row.part]
        return replace(part, delivery_id=row.id)

    def _capabilities(self, row: Delivery) -> Capabilities:
        return self._channels[row.surface].capabilities

    def _not_before(self, session: Session, row: Delivery) -> datetime | None:
        """When rates or a pause let it go, or None for now, having taken its place in them."""
        now = self._clock()
        paused = self._paused.get((row.surface, row.account))
        if paused is not None and paused > now:
            return paused
        buckets = [
            (_bucket(session, _scope(row, rate.scope), now), timedelta(seconds=1 / rate.per_s))
            for rate in self._capabilities(row).rates
        ]
        free_at = max((bucket.free_at for bucket, _ in buckets), default=now)
        if free_at > now:
            return free_at
        for bucket, step in buckets:
            bucket.free_at = max(bucket.free_at, now) + step
            session.add(bucket)
        return None

    # Ending (T7)

    async def _judge(self, parcel: Parcel, error: ChannelError) -> _End:
        """What a mapped error means for the row."""
        now = self._clock()
        detail = f"{type(error).__name__}: {error}"
        match error:
            case RateLimited():
                wait = timedelta(seconds=min(max(error.wait_s, 0), self._limits.rate_limit_cap_s))
                return _End("pending", "B", detail, due=now + wait)
            case Refused() | WindowClosed():
                return _End("failed", "B", str(error))
            case BadToken():
                pause = now + timedelta(seconds=self._limits.pause_s)
                self._paused[parcel.address.channel, parcel.address.account] = pause
                return _End("pending", "B", detail, due=pause)
            case Unreachable() | Unavailable():
                outcome: Outcome = "A" if isinstance(error, Unreachable) else "B"
                return _End("pending", outcome, detail)
            case _:
                return await self._reconciled(parcel, detail)

    async def _reconciled(self, parcel: Parcel, detail: str) -> _End:
        channel = self._channels[parcel.address.channel]
        if isinstance(channel, Reconciles):
            try:
                found = await channel.reconcile(parcel.address, parcel.claim.id)
            except Exception as error:  # cannot be told now, and a guess could double the message
                log.warning(
                    "reconcile_failed", delivery=parcel.claim.id, error=type(error).__name__
                )
                found = None
            if isinstance(found, Receipt):
                return _End("delivered", "C", detail, external_id=",".join(found.external_ids))
            if found == "absent":
                return _End("pending", "C", detail)
        return _End("unknown", "C", f"may not have arrived ({detail})")

    async def _end(self, claim: Claim, end: _End) -> None:
        await self._store.write(lambda session: self._record(session, claim, end))
        reach("O5")

    def _record(self, session: Session, claim: Claim, end: _End) -> None:
        row = session.get(Delivery, claim.id, populate_existing=True, with_for_update=True)
        now = self._clock()
        session.add(Attempt(id=new_id(), delivery_id=claim.id, fence=claim.fence,
                            outcome=end.outcome, detail=end.detail[:500], at=now))  # fmt: skip
        if row is None or (row.state, row.fence) != ("sending", claim.fence):
            return  # a late result: it is noted, and changes nothing
        row.state, row.reason, row.external_id = end.state, end.detail or None, end.external_id
        if end.state == "pending":
            row.due = end.due or now + self._backoff(row.attempts)
            if self._is_too_old(row, now):
                row.state, row.reason = "failed", f"not delivered in time: {end.detail}"
        session.add(row)
        if row.state in ("failed", "unknown"):
            touch_conversation(session, session.get_one(Conversation, row.conversation_id))

    def _backoff(self, attempts: int) -> timedelta:
        longest = min(self._limits.backoff_cap_s, self._limits.backoff_base_s * 2**attempts)
        return timedelta(seconds=random.uniform(0, longest))

    def _is_too_old(self, row: Delivery, now: datetime) -> bool:
        from_bot = row.epoch is not None
        age_max = (
            self._limits.bot_text_age_max_s if from_bot else self._limits.people_text_age_max_s
        )
        too_often = row.attempts >= self._limits.attempts_max
        return too_often or now - row.created_at > timedelta(seconds=age_max)


def _expire(session: Session, now: datetime, *, everything: bool) -> list[Parcel]:
    dead = col(Delivery.id).is_not(None) if everything else col(Delivery.lease) < now
    session.connection().execute(
        update(Delivery).where(col(Delivery.state) == "leased", dead).values(state="pending")
    )
    rows = session.exec(select(Delivery).where(col(Delivery.state) == "sending", dead)).all()
    return [
        Parcel(
            Claim(row.id, row.fence), address_of(row),
            outbound(session.get_one(Message, row.message_id)),
        )
        for row in rows
    ]  # fmt: skip


def address_of(row: Delivery) -> Address:
    return Address(channel=row.surface, account=row.account, chat=row.chat, thread=row.thread)


def _scope(row: Delivery, scope: Literal["account", "chat", "shared_chat"]) -> str:
    account = (row.surface, row.account)
    place = account if scope == "account" else (*account, row.chat)
    return "\x1f".join(place)


def _bucket(session: Session, scope: str, now: datetime) -> RateBucket:
    bucket = session.get(RateBucket, scope, with_for_update=True)
    return bucket or RateBucket(scope=scope, free_at=now)
