"""What goes on from the database alone: reading raw events in order, and running the bot's turns.

One ordered, bounded lane per conversation's address: two conversations never wait for each other,
one never overtakes itself. Lanes hold short transactions only; turns run beside them. The sweeper
finds what a crash, a missed hint or a full lane left behind.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlmodel import Session, col, select, update

from gateway.messages import InboundMessage, RawEvent
from gateway.models import InboxEvent, Turn
from gateway.outbox import Outbox
from gateway.ports import Channel, Clock
from gateway.router import OriginalMissing, Router
from gateway.store import Store
from gateway.turns import Turns
from storage.database import DatabaseError
from storage.failpoints import reach, reach_async

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
    parked_max_s: float = 60.0  # then it is set aside
    failures_max: int = 8
    crashes_max: int = 3


class Worker:
    """Runs beside the ingress; any number of times over, in any number of processes."""

    def __init__(
        self,
        store: Store,
        router: Router,
        turns: Turns,
        outbox: Outbox,
        *,
        channels: Mapping[str, Channel],
        limits: WorkerLimits,
    ) -> None:
        self._store = store
        self._router = router
        self._turns = turns
        self._outbox = outbox
        self._channels = channels
        self._limits = limits
        self._clock: Clock = turns.clock
        self._lanes: dict[Lane, deque[tuple[str, InboundMessage]]] = defaultdict(deque)
        self._admitted: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; what is in flight then is finished by `close`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow("events", self._admit_events))
            group.create_task(self._follow("turns", self._admit_turns))
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
        await self._outbox.reclaim(everything=everything)

    async def admit(self) -> int:
        """Start everything that waits in the database and is not at work already; how much."""
        return await self._admit_events() + await self._admit_turns()

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
        return [*self._tasks, *self._running.values()]

    # Raw events

    async def _admit_events(self) -> int:
        room = self._limits.admitted_max - len(self._admitted)
        if room <= 0:
            return 0
        rows = await self._store.read(lambda session: self._new_events(session, room))
        fresh = [row for row in rows if row.id not in self._admitted]
        if not fresh:
            return 0
        ids = [row.id for row in fresh]
        await self._store.write(lambda session: _count_attempt(session, ids))
        for row in fresh:
            await self._admit(row)
        return len(fresh)

    def _new_events(self, session: Session, room: int) -> list[InboxEvent]:
        now = self._clock()
        return list(
            session.exec(
                select(InboxEvent)
                .where(
                    InboxEvent.state == "new",
                    col(InboxEvent.due).is_(None) | (col(InboxEvent.due) <= now),
                )
                .order_by(col(InboxEvent.id))
                .limit(len(self._admitted) + room)
            )
        )

    async def _admit(self, row: InboxEvent) -> None:
        if row.crashes >= self._limits.crashes_max:
            await self._close_event(row.id, "quarantined", "it ended the process three times")
            return
        if row.attempts >= self._limits.failures_max:
            await self._close_event(row.id, "quarantined", row.reason or "it failed too often")
            return
        message = await self._parse(row)
        if message is None:
            return
        address = message.address
        lane = (address.channel, address.account, address.chat, address.thread)
        if len(self._lanes[lane]) >= self._limits.lane_max:
            return  # it stays in the database; the lane comes back for it in order
        idle = not self._lanes[lane]
        self._lanes[lane].append((row.id, message))
        self._admitted.add(row.id)
        if idle:
            self._spawn(self._walk(lane))

    async def _parse(self, row: InboxEvent) -> InboundMessage | None:
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
        while waiting:
            event_id, message = waiting[0]
            try:
                await self._receive(event_id, message)
            except OriginalMissing as error:  # what it changes may be right behind it
                await self._park(event_id, error)
            except Exception as error:
                # Nothing of this lane may overtake it: leave the rest to the next sweep.
                log.warning("receive_failed", event_id=event_id, error=type(error).__name__)
                self._admitted.difference_update(left for left, _ in waiting)
                waiting.clear()
                await self._note_failure(event_id, error)
                break
            waiting.popleft()
            self._admitted.discard(event_id)
        del self._lanes[lane]
        self._store.feed.publish(("events",))

    async def _receive(self, event_id: str, message: InboundMessage) -> None:
        def work(session: Session) -> None:
            self._router.receive(session, message)
            session.connection().execute(
                update(InboxEvent)
                .where(col(InboxEvent.id) == event_id)
                .values(state="done", reason=None)
            )
            reach("I6")

        await self._store.write(work)
        reach("I7")

    async def _note_failure(self, event_id: str, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"[:500]

        def work(session: Session) -> None:
            session.connection().execute(
                update(InboxEvent)
                .where(col(InboxEvent.id) == event_id)
                .values(reason=reason, crashes=InboxEvent.crashes - 1)
            )

        await self._store.write(work)
        await asyncio.sleep(self._limits.retry_s)

    async def _park(self, event_id: str, error: OriginalMissing) -> None:
        """Try an early edit again a little later; after a minute its original never came."""
        now = self._clock()

        def work(session: Session) -> None:
            event = session.get_one(InboxEvent, event_id)
            event.crashes -= 1
            event.attempts -= 1
            event.reason = str(error)
            event.due = now + timedelta(seconds=self._limits.park_s)
            if now - event.received_at > timedelta(seconds=self._limits.parked_max_s):
                event.state = "quarantined"
            session.add(event)

        await self._store.write(work)

    async def _close_event(self, event_id: str, state: str, reason: str | None) -> None:
        def work(session: Session) -> None:
            session.connection().execute(
                update(InboxEvent)
                .where(col(InboxEvent.id) == event_id)
                .values(state=state, reason=reason)
            )

        await self._store.write(work)

    # Turns

    async def _admit_turns(self) -> int:
        room = self._limits.turns_at_once_max - len(self._running)
        if room <= 0:
            return 0
        now = self._clock()

        def due(session: Session) -> list[str]:
            return list(
                session.exec(
                    select(Turn.id)
                    .where(Turn.state == "scheduled", col(Turn.due) <= now + timedelta(seconds=1))
                    .order_by(col(Turn.due), col(Turn.id))
                    .limit(self._limits.turns_at_once_max * 2)
                )
            )

        waiting = [one for one in await self._store.read(due) if one not in self._running][:room]
        for turn_id in waiting:
            self._running[turn_id] = asyncio.create_task(self._run_turn(turn_id))
        return len(waiting)

    async def _run_turn(self, turn_id: str) -> None:
        try:
            await reach_async("B0")
            await self._turns.handle(turn_id)
        except Exception as error:  # it stays open and its lease ends: the sweeper tries again
            log.warning("turn_failed", turn_id=turn_id, error=type(error).__name__)
        finally:
            others_wait = len(self._running) >= self._limits.turns_at_once_max
            del self._running[turn_id]
            if others_wait:
                self._store.feed.publish(("turns",))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _unless_down(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except DatabaseError as error:  # the store is down: customers get 503 meanwhile
        log.warning("sweep_failed", error=str(error))


def _count_attempt(session: Session, ids: list[str]) -> None:
    session.connection().execute(
        update(InboxEvent)
        .where(col(InboxEvent.id).in_(ids))
        .values(attempts=InboxEvent.attempts + 1, crashes=InboxEvent.crashes + 1)
    )
