"""What goes on from the database alone: reading raw events in order, and running the bot's turns.

One ordered, bounded lane per conversation's address: two conversations never wait for each other,
one never overtakes itself. Lanes hold short transactions only; turns run beside them. The sweeper
finds what a crash, a missed hint or a full lane left behind.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import structlog
from sqlalchemy import bindparam
from sqlmodel import Session, col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from gateway.contacts import person_at
from gateway.messages import Inbound, InboundMessage, RawEvent
from gateway.models import InboxEvent, Turn
from gateway.outbox import Outbox
from gateway.ports import Channel, Clock, Introduces
from gateway.router import OriginalMissing, Router, as_original
from gateway.running import RunningTurns
from gateway.store import Store
from storage.database import DatabaseError
from storage.failpoints import reach

log = structlog.get_logger()

Lane = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """Counts and times of the work behind the ingress."""

    lane_max: int = 200
    admitted_max: int = 1_000
    turns_at_once_max: int = 32
    sweep_s: float = 15.0
    retry_s: float = 1.0  # until a failed event is tried again
    park_s: float = 2.0  # until an edit without its original is tried again
    parked_max_s: float = 60.0  # then it stands for its original
    introduce_wait_s: float = 3.0
    failures_max: int = 8
    crashes_max: int = 3


class Worker:
    """Runs beside the ingress; any number of times over, in any number of processes."""

    def __init__(
        self,
        store: Store,
        router: Router,
        running: RunningTurns,
        outbox: Outbox,
        *,
        channels: Mapping[str, Channel],
        limits: WorkerLimits,
    ) -> None:
        self._store = store
        self._router = router
        self._running = running
        self._outbox = outbox
        self._channels = channels
        self._limits = limits
        self._clock: Clock = running.clock
        self._lanes: dict[Lane, deque[tuple[str, Inbound]]] = {}
        self._admitted: set[str] = set()
        self._suspects: set[str] = set()  # one of them may have ended the process before this one
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; what is in flight then is finished by `close`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow("events", self._admit_events))
            group.create_task(self._follow("turns", self._running.admit))
            group.create_task(self._sweep())

    async def _follow(self, topic: str, admit: Callable[[], Awaitable[int]]) -> None:
        """Admit whenever there may be something: at a hint, and now and then without one."""
        async with self._store.feed.subscribe(topic) as hints:
            while True:
                await _unless_down(admit)
                await hints.wait(self._limits.sweep_s)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            await _unless_down(self.reclaim)

    async def reclaim(self, *, everything: bool = False) -> None:
        """Take up what a dead worker left. `everything`: this process is alone and just started."""
        now = self._clock()

        def expire(session: Session) -> None:
            dead = col(Turn.id).is_not(None) if everything else col(Turn.lease) < now
            session.connection().execute(
                update(Turn)
                .where(col(Turn.state) == "running", dead)
                .values(state="scheduled", lease=None)
            )

        await self._store.write(expire)
        if everything:
            self._suspects = await self._store.read(_counted_events)
        await self._outbox.reclaim(everything=everything)

    async def admit(self) -> int:
        """Start everything that waits in the database and is not at work already; how much."""
        return await self._admit_events() + await self._running.admit()

    async def settle(self) -> None:
        """Work until nothing is left to do. For tests and the demo."""
        while True:
            at_work = self._at_work()  # what ends during this pass may leave something to do
            if at_work:
                await asyncio.wait(at_work)
            if not await self.admit() + await self._outbox.drain() and not at_work:
                return

    async def close(self, *, within_s: float) -> None:
        """Let what is in flight finish, then cancel the rest: the next start takes it up."""
        if self._at_work():
            _, late = await asyncio.wait(self._at_work(), timeout=within_s)
            for task in late:
                task.cancel()

    def _at_work(self) -> list[asyncio.Task[None]]:
        return [*self._tasks, *self._running.tasks]

    # Raw events

    async def _admit_events(self) -> int:
        room = self._limits.admitted_max - len(self._admitted)
        if room <= 0:
            return 0
        rows = await self._store.read(lambda session: self._new_events(session, room))
        fresh = self._let_in([row for row in rows if row.id not in self._admitted])
        if not fresh:
            return 0
        ids = [row.id for row in fresh]
        await self._store.write(lambda session: _count(session, ids, 1))
        left_out = [row.id for row in fresh if not await self._admit(row)]
        if left_out:
            await self._store.write(lambda session: _count(session, left_out, -1))
        if self._suspects:
            self._store.feed.publish(("events",))  # the next one, if this one is over already
        return len(fresh) - len(left_out)

    def _let_in(self, rows: list[InboxEvent]) -> list[InboxEvent]:
        """After a crash those that were at work are tried one at a time, so that the next crash
        tells which one it is; nobody else is counted with it."""
        suspects = [row for row in rows if row.id in self._suspects]
        if not suspects and not self._suspects & self._admitted:
            return rows
        return [] if self._admitted else suspects[:1]

    def _new_events(self, session: Session, room: int) -> list[InboxEvent]:
        most = len(self._admitted) + room
        return list(session.exec(_new_events(), params={"now": self._clock(), "most": most}))

    async def _admit(self, row: InboxEvent) -> bool:
        """Put it into its lane, or close it. False: its lane is full, it comes back in order."""
        if row.crashes >= self._limits.crashes_max:
            await self._close_event(row.id, "quarantined", "it ended the process three times")
            return True
        if row.attempts >= self._limits.failures_max:
            await self._close_event(row.id, "quarantined", row.reason or "it failed too often")
            return True
        message = await self._parse(row)
        if message is None:
            return True
        address = message.address
        lane = (address.channel, address.account, address.chat, address.thread)
        waiting = self._lanes.get(lane)
        if waiting is not None and len(waiting) >= self._limits.lane_max:
            return False
        self._admitted.add(row.id)
        if waiting is None:
            self._lanes[lane] = deque([(row.id, message)])
            self._spawn(self._walk(lane))
        else:
            waiting.append((row.id, message))
        return True

    async def _parse(self, row: InboxEvent) -> Inbound | None:
        """Read an event; what cannot be read is set aside with its reason, never lost."""
        channel = self._channels.get(row.channel)
        event = RawEvent(
            channel=row.channel, account=row.account, external_id=row.external_id,
            body=row.body, headers=row.headers,
        )  # fmt: skip
        if channel is None:
            await self._close_event(row.id, "quarantined", f"no channel named {row.channel}")
            return None
        try:
            message = channel.parse(event)
        except Exception as error:
            log.warning("event_unreadable", event_id=row.id, error=type(error).__name__)
            await self._close_event(row.id, "quarantined", f"unreadable: {type(error).__name__}")
            return None
        if message is None:
            await self._close_event(row.id, "ignored", None)
        return message

    async def _walk(self, lane: Lane) -> None:
        """Work through one lane, in order, until it is empty."""
        waiting = self._lanes[lane]
        try:
            while waiting:
                event_id, message = waiting[0]
                try:
                    await self._receive(event_id, message)
                except OriginalMissing as error:  # what it changes may be right behind it
                    await self._park(event_id, message, error)
                except Exception as error:
                    log.warning("receive_failed", event_id=event_id, error=type(error).__name__)
                    await asyncio.sleep(self._limits.retry_s)
                    await self._put_back(waiting, error)
                    continue
                waiting.popleft()
                self._let_go(event_id)
        except DatabaseError as error:  # the store is down: all of them are still in it
            log.warning("lane_stopped", error=str(error))
        finally:
            del self._lanes[lane]
            self._let_go(*(left for left, _ in waiting))
            self._store.feed.publish(("events",))

    def _let_go(self, *event_ids: str) -> None:
        self._admitted.difference_update(event_ids)
        self._suspects.difference_update(event_ids)

    async def _introduced(self, message: Inbound) -> Inbound:
        """A new account's first message, with what its channel knows of it. A courtesy: without it
        the talk goes on under what the message itself says."""
        channel = self._channels[message.address.channel]
        if not isinstance(message, InboundMessage) or not isinstance(channel, Introduces):
            return message
        who = await self._store.read(
            lambda session: person_at(session, message.address, message.sender)
        )
        if who is not None:
            return message
        try:
            async with asyncio.timeout(self._limits.introduce_wait_s):
                return replace(message, sender=await channel.introduce(message.sender))
        except Exception as error:
            log.info("introduce_failed", channel=channel.name, error=type(error).__name__)
            return message

    async def _receive(self, event_id: str, message: Inbound) -> None:
        message = await self._introduced(message)

        def work(session: Session) -> None:
            ours = self._router.read(session, message)
            session.connection().execute(
                update(InboxEvent)
                .where(col(InboxEvent.id) == event_id)
                .values(state="done" if ours else "ignored", reason=None)
            )
            reach("I6")

        await self._store.write(work)
        reach("I7")

    async def _put_back(self, waiting: deque[tuple[str, Inbound]], error: Exception) -> None:
        """The first one failed, and none of its lane may overtake it: all come back in order."""
        reason = f"{type(error).__name__}: {error}"[:500]
        failed, *behind = [event_id for event_id, _ in waiting]
        waiting.clear()
        self._let_go(failed, *behind)

        def work(session: Session) -> None:
            _count(session, behind, -1)
            session.connection().execute(
                update(InboxEvent)
                .where(col(InboxEvent.id) == failed)
                .values(reason=reason, crashes=InboxEvent.crashes - 1)
            )

        await self._store.write(work)

    async def _park(self, event_id: str, message: Inbound, error: OriginalMissing) -> None:
        """Try an early edit again a little later; after a minute its original never came, and what
        the edit says is what the customer said."""
        now = self._clock()

        def work(session: Session) -> None:
            event = session.get_one(InboxEvent, event_id)
            event.crashes -= 1
            event.attempts -= 1
            event.reason = str(error)
            event.due = now + timedelta(seconds=self._limits.park_s)
            if now - event.received_at > timedelta(seconds=self._limits.parked_max_s):
                original = as_original(message)
                event.state = "done" if original else "ignored"
                if original:
                    self._router.read(session, original)
            session.add(event)

        await self._store.write(work)

    async def _close_event(self, event_id: str, state: str, reason: str | None) -> None:
        self._suspects.discard(event_id)

        def work(session: Session) -> None:
            session.connection().execute(
                update(InboxEvent)
                .where(col(InboxEvent.id) == event_id)
                .values(state=state, reason=reason)
            )

        await self._store.write(work)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@cache
def _new_events() -> SelectOfScalar[InboxEvent]:
    return (
        select(InboxEvent)
        .where(
            InboxEvent.state == "new",
            col(InboxEvent.due).is_(None) | (col(InboxEvent.due) <= bindparam("now")),
        )
        .order_by(col(InboxEvent.id))
        .limit(bindparam("most"))
    )


async def _unless_down(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except DatabaseError as error:  # the store is down: customers get 503 meanwhile
        log.warning("sweep_failed", error=str(error))


def _count(session: Session, ids: list[str], by: int) -> None:
    """Count an attempt before the work, and as a crash until it has ended otherwise."""
    session.connection().execute(
        update(InboxEvent)
        .where(col(InboxEvent.id).in_(ids))
        .values(attempts=InboxEvent.attempts + by, crashes=InboxEvent.crashes + by)
    )


def _counted_events(session: Session) -> set[str]:
    """The unread events that were at work when the process before this one ended."""
    return set(
        session.exec(select(InboxEvent.id).where(InboxEvent.state == "new", InboxEvent.crashes > 0))
    )
