"""The way out, and the only place that retries.

A delivery is claimed (`leased`), marked `sending` just before the first byte, and ended by what
`sending.py` found. A row found in `sending` after a crash is ambiguous: it is never simply sent
again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select, update

from gateway import places
from gateway.conversations import SYSTEM, Conversations
from gateway.deliveries import outbound, parts_of
from gateway.errors import BadToken, Blocked, Moved, RateLimited
from gateway.handoff import HandOver, Signal
from gateway.messages import Address, Capabilities, OutboundMessage
from gateway.models import Attempt, Conversation, Delivery, Message
from gateway.pace import Breaker, BreakerLimits, hold_chat, take_slot
from gateway.ports import Channel, Edits
from gateway.sending import Claim, End, Parcel, Sending
from gateway.states import State
from gateway.store import Store, touch_conversation
from storage.columns import UtcDateTime
from storage.database import DatabaseError
from storage.failpoints import reach, reach_async
from storage.ids import new_id

log = structlog.get_logger()

# In order per (conversation, destination): a row waits for every earlier one that is still open.
_CLAIM = """
WITH head AS (
  SELECT d.id FROM delivery d WHERE d.state = 'pending' AND d.due <= :now
    AND d.surface = :surface
    AND NOT EXISTS (
      SELECT 1 FROM delivery p WHERE p.conversation_id = d.conversation_id
        AND p.destination = d.destination AND p.ord < d.ord
        AND p.state IN ('pending', 'leased', 'sending'))
  ORDER BY d.due, d.id LIMIT :n {lock})
UPDATE delivery SET state = 'leased', fence = fence + 1, lease = :until
FROM head WHERE delivery.id = head.id RETURNING delivery.id, delivery.fence
"""
PLACEHOLDER_SENDS = 2  # the placeholder and its edit both count against the rates
TIDIED_MAX = 20  # placeholders without a text that one sweep takes back


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """Counts and times of the way out."""

    claims_max: int = 50  # on their way at once on one channel: one that hangs holds up no other
    lease_s: float = 60.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    attempts_max: int = 50
    bot_text_age_max_s: float = 600.0
    people_text_age_max_s: float = 86_400.0
    pause_s: float = 60.0  # of an account whose token is refused: then one probe
    rate_limit_cap_s: float = 3_600.0
    reconcile_first_s: float = 5.0
    reconcile_again_s: float = 15.0
    breaker_failures: int = 5
    breaker_window_s: float = 30.0
    breaker_rest_s: float = 5.0
    breaker_rest_s_max: float = 60.0
    poll_s: float = 1.0


class Outbox:
    """Delivers what the conversations said, in order, once."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        channels: Mapping[str, Channel],
        limits: OutboxLimits,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._channels = channels
        self._clock = conversations.clock
        self._limits = limits
        self._sending = Sending(
            channels, moment=self._moment, keep_place=self._keep_place,
            reconcile_waits_s=(limits.reconcile_first_s, limits.reconcile_again_s),
        )  # fmt: skip
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._on_the_way: dict[asyncio.Task[None], str] = {}
        self._next_due: datetime | None = None  # the earliest of those this process put off

    async def run(self) -> None:
        """Deliver until cancelled; what is on its way then is finished by `close`. A far end that
        takes its time holds up nobody else."""
        async with self._store.feed.subscribe("deliveries") as hints:
            while True:
                try:
                    for claim, surface in await self._store.write(self._claim):
                        self._send_off(claim, surface)
                except DatabaseError as error:  # customers get 503 meanwhile
                    log.warning("claim_failed", error=str(error))
                await hints.wait(self._until_next())

    def _until_next(self) -> float:
        due, self._next_due = self._next_due, None
        if due is None:
            return self._limits.poll_s
        return min(self._limits.poll_s, max(0.0, (due - self._clock()).total_seconds()))

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
                for claim, _ in claims:
                    group.create_task(self._deliver(claim))
            tried += len(claims)
        return tried

    async def reclaim(self, *, everything: bool = False) -> None:
        """Take up what a dead worker left: `leased` goes out again, `sending` is reconciled.

        `everything`: this process is alone and has just started, so every lease is a dead one's.
        """
        now = self._clock()
        stuck = await self._store.write(
            lambda session: self._expire(session, now, everything=everything)
        )
        async with asyncio.TaskGroup() as group:
            for parcel in stuck:
                group.create_task(self._settle(parcel))
        await self._tidy()

    async def _settle(self, parcel: Parcel) -> None:
        await self._end(parcel, await self._sending.settle(parcel, "its worker died"))

    async def _tidy(self) -> None:
        """Take back placeholders whose text will not come: somebody else owns the talk by now."""
        for delivery_id, address, place in await self._store.read(_left_places):
            if await self._sending.take_back(address, place):
                await self._store.write(lambda session, one=delivery_id: _forget(session, one))

    def _claim(self, session: Session) -> list[tuple[Claim, str]]:
        now = self._clock()
        lock = "" if session.get_bind().dialect.name == "sqlite" else "FOR UPDATE OF d SKIP LOCKED"
        statement = text(_CLAIM.format(lock=lock)).bindparams(
            bindparam("now", type_=UtcDateTime), bindparam("until", type_=UtcDateTime)
        )
        until = now + timedelta(seconds=self._limits.lease_s)
        busy = Counter(self._on_the_way.values())
        claims: list[tuple[Claim, str]] = []
        for surface, channel in self._channels.items():
            room = self._limits.claims_max - busy[surface]
            if channel.capabilities.pulled or room <= 0:
                continue
            values = {"now": now, "n": room, "until": until, "surface": surface}
            rows = session.connection().execute(statement, values)
            claims += [(Claim(row.id, row.fence), surface) for row in rows]
        return claims

    def _send_off(self, claim: Claim, surface: str) -> None:
        task = asyncio.create_task(self._deliver_alone(claim))
        self._on_the_way[task] = surface
        task.add_done_callback(self._on_the_way.pop)

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
        end = await self._sending.deliver(parcel)
        reach("O4")
        await self._end(parcel, end)

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
            self._note_due(later)
        else:
            row.state, row.attempts, row.paced = "sending", row.attempts + 1, False
            row.lease = self._clock() + timedelta(seconds=self._limits.lease_s)
        session.add(row)
        return self._parcel(session, row) if row.state == "sending" else None

    def _parcel(self, session: Session, row: Delivery) -> Parcel:
        message = session.get_one(Message, row.message_id)
        can, phrases = self._capabilities(row), self._conversations.phrases
        part = parts_of(outbound(message), can, phrases)[row.part]
        to_show = replace(
            part, delivery_id=row.id, reply_to=_reply_there(session, row, message.reply_to)
        )
        return Parcel(
            claim=Claim(row.id, row.fence), address=address_of(row), message=to_show,
            by_edit=self._goes_by_edit(row), placeholder_id=row.placeholder_id,
        )  # fmt: skip

    def _goes_by_edit(self, row: Delivery) -> bool:
        channel = self._channels[row.surface]
        from_bot = row.epoch is not None
        return from_bot and channel.capabilities.placeholders and isinstance(channel, Edits)

    def _capabilities(self, row: Delivery) -> Capabilities:
        return self._channels[row.surface].capabilities

    def _not_before(self, session: Session, row: Delivery) -> datetime | None:
        """When its account's rest is over or its slot comes, or None for now."""
        now = self._clock()
        if rest := self._breaker(row.surface, row.account).come_back(row.id, now):
            return rest
        if row.paced:  # its slot was taken for it earlier, and has come
            return None
        sends = PLACEHOLDER_SENDS if self._goes_by_edit(row) else 1
        slot = take_slot(session, row, self._capabilities(row).rates, now=now, sends=sends)
        row.paced = slot > now
        return slot if row.paced else None

    def _note_due(self, due: datetime) -> None:
        self._next_due = min(due, self._next_due or due)

    def _breaker(self, surface: str, account: str) -> Breaker:
        limits = self._limits
        return self._breakers.setdefault((surface, account), Breaker(BreakerLimits(
            failures=limits.breaker_failures, window_s=limits.breaker_window_s,
            rest_s=limits.breaker_rest_s, rest_s_max=limits.breaker_rest_s_max,
        )))  # fmt: skip

    # Placeholders

    def _moment(self, message: OutboundMessage) -> str:
        return self._conversations.phrases.say("answer.moment", message.language)

    async def _keep_place(self, parcel: Parcel, place: str) -> bool:
        """Note the placeholder down; False once the text behind it may not be shown any more."""

        def work(session: Session) -> bool:
            row = session.get(Delivery, parcel.claim.id, with_for_update=True)
            if row is None or (row.state, row.fence) != ("sending", parcel.claim.fence):
                return False
            if row.epoch != session.get_one(Conversation, row.conversation_id).epoch:
                return False
            row.placeholder_id = place
            session.add(row)
            return True

        return await self._store.write(work)

    # Ending (T7)

    async def _end(self, parcel: Parcel, end: End) -> None:
        await self._store.write(lambda session: self._record(session, parcel, end))
        self._tell_breaker(parcel, end)
        reach("O5")

    def _tell_breaker(self, parcel: Parcel, end: End) -> None:
        breaker = self._breaker(parcel.address.channel, parcel.address.account)
        now = self._clock()
        if isinstance(end.error, BadToken):
            breaker.rest(now + timedelta(seconds=self._limits.pause_s))
        elif isinstance(end.error, RateLimited):  # one chat may be slow; many mean the account
            breaker.fails(parcel.address.chat, now)
        elif end.outcome in ("A", "C"):
            breaker.fails(parcel.claim.id, now)
        else:
            breaker.works()

    def _record(self, session: Session, parcel: Parcel, end: End) -> None:
        claim, now = parcel.claim, self._clock()
        row = session.get(Delivery, claim.id, populate_existing=True, with_for_update=True)
        session.add(Attempt(id=new_id(), delivery_id=claim.id, fence=claim.fence,
                            outcome=end.outcome, detail=end.detail[:500], at=now))  # fmt: skip
        if row is None or (row.state, row.fence) != ("sending", claim.fence):
            return  # a late result: it is noted, and changes nothing
        row.state, row.reason, row.external_id = end.state, end.detail or None, end.external_id
        if end.state == "delivered":
            row.placeholder_id = None  # it is the message now
        if end.state == "pending":
            row.due = self._again_at(session, row, end, now)
            self._note_due(row.due)
        session.add(row)
        session.flush()
        self._beyond(session, row, end, now)

    def _again_at(self, session: Session, row: Delivery, end: End, now: datetime) -> datetime:
        if isinstance(end.error, BadToken):
            return now + timedelta(seconds=self._limits.pause_s)
        if end.wait_s is None:
            return now + self._backoff(row.attempts)
        due = now + timedelta(seconds=min(end.wait_s, self._limits.rate_limit_cap_s))
        if isinstance(end.error, RateLimited):
            hold_chat(session, row, self._capabilities(row).rates, due)
        return due

    def _beyond(self, session: Session, row: Delivery, end: End, now: datetime) -> None:
        """What a result means for more than its row: its place, its conversation."""
        conversation = session.get_one(Conversation, row.conversation_id)
        if isinstance(end.error, Moved):
            places.move_chat(session, address_of(row), end.error.to_chat)
        if isinstance(end.error, Blocked):
            places.shut_out(session, address_of(row), end.detail)
        if row.state == "pending" and self._is_too_old(row, now):
            self._give_up(session, row, conversation)
        if row.state in ("failed", "unknown"):
            touch_conversation(session, conversation)

    def _give_up(self, session: Session, row: Delivery, conversation: Conversation) -> None:
        """A text that came too late to help: of the bot's, a person takes over."""
        row.state, row.reason = "failed", f"not delivered in time: {row.reason}"
        session.add(row)
        session.flush()
        if row.epoch is not None and conversation.state == State.BOT:
            why = HandOver((Signal("failed", "the bot's answer could not be delivered"),))
            self._conversations.hand_over(session, conversation, why, SYSTEM)

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

    def _expire(self, session: Session, now: datetime, *, everything: bool) -> list[Parcel]:
        dead = col(Delivery.id).is_not(None) if everything else col(Delivery.lease) < now
        session.connection().execute(
            update(Delivery).where(col(Delivery.state) == "leased", dead).values(state="pending")
        )
        rows = session.exec(select(Delivery).where(col(Delivery.state) == "sending", dead)).all()
        return [self._parcel(session, row) for row in rows if row.surface in self._channels]


def _reply_there(session: Session, row: Delivery, message_id: str | None) -> str | None:
    """The far end's id of the message that this one answers, where it exists there, too."""
    if message_id is None:
        return None
    return session.exec(
        select(Delivery.external_id).where(
            Delivery.message_id == message_id,
            Delivery.destination == row.destination,
            Delivery.state == "delivered",
        )
    ).first()


def _left_places(session: Session) -> list[tuple[str, Address, str]]:
    rows = session.exec(
        select(Delivery)
        .where(col(Delivery.state).in_(("cancelled", "failed")),
               col(Delivery.placeholder_id).is_not(None))
        .limit(TIDIED_MAX)
    )  # fmt: skip
    return [(row.id, address_of(row), row.placeholder_id or "") for row in rows]


def _forget(session: Session, delivery_id: str) -> None:
    session.connection().execute(
        update(Delivery).where(col(Delivery.id) == delivery_id).values(placeholder_id=None)
    )


def address_of(row: Delivery) -> Address:
    return Address(channel=row.surface, account=row.account, chat=row.chat, thread=row.thread)
