"""The turns that run in this process: how many at once, and how one comes to run.

A message whose sender waits for the commit has its turn started by the same transaction: one commit
and several reads less before the bot thinks. All other turns (of messages that a lane read, of
restarts, of a crash, of a process that was full) wait in the database and are admitted from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial

import structlog
from sqlalchemy import bindparam
from sqlalchemy import select as select_columns
from sqlmodel import col

from gateway.models import Turn
from gateway.store import Store
from gateway.turns import Begin, Snapshot, Turns
from storage.failpoints import reach_async
from storage.prepared import Prepared

log = structlog.get_logger()


class RunningTurns:
    """At most `at_once_max` turns at once; the others wait in the database."""

    def __init__(self, store: Store, turns: Turns, *, at_once_max: int) -> None:
        self._store = store
        self._turns = turns
        self._at_once_max = at_once_max
        self.clock = turns.clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._promised = 0  # places of transactions under way
        self._is_behind = False  # some wait in the database: newer ones queue up behind them

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return list(self._tasks.values())

    @property
    def _room(self) -> int:
        return self._at_once_max - len(self._tasks) - self._promised

    @contextmanager
    def place(self) -> Generator[Begin | None]:
        """Keep a place while a message is taken in: what starts its turn, or None if it has to
        wait. A turn that was started is handed to `go_on` once it is committed."""
        if self._room <= 0:
            self._is_behind = True
        if self._is_behind:
            yield None
            return
        self._promised += 1
        try:
            yield self._turns.begin
        finally:
            self._promised -= 1
            self._let_others_in()

    def go_on(self, begun: Snapshot) -> None:
        """Run a turn whose start is committed."""
        self._spawn(begun.turn_id, lambda: self._turns.go_on(begun))

    async def admit(self) -> int:
        """Start what waits in the database, as far as there is room; how many."""
        if self._room <= 0:
            self._is_behind = True
            return 0
        soon = self.clock() + timedelta(seconds=1)
        enough = {"soon": soon, "most": self._at_once_max * 2}
        due = await self._store.read(lambda session: _due_turns().all(session, enough))
        waiting = [one for one in due if one not in self._tasks]
        now, later = waiting[: self._room], waiting[self._room :]
        self._is_behind = bool(later)
        for turn_id in now:
            self._spawn(turn_id, partial(self._handle, turn_id))
        return len(now)

    async def _handle(self, turn_id: str) -> None:
        await reach_async("B0")
        await self._turns.handle(turn_id)

    def _spawn(self, turn_id: str, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._run(turn_id, work))
        self._tasks[turn_id] = task
        task.add_done_callback(lambda _: self._ended(turn_id))

    async def _run(self, turn_id: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # it stays open and its lease ends: the sweeper tries again
            log.warning("turn_failed", turn_id=turn_id, error=type(error).__name__)

    def _ended(self, turn_id: str) -> None:
        del self._tasks[turn_id]
        self._let_others_in()

    def _let_others_in(self) -> None:
        if self._is_behind:
            self._store.feed.publish(("turns",))


@cache
def _due_turns() -> Prepared[str]:
    statement = (
        select_columns(col(Turn.id))
        .where(col(Turn.state) == "scheduled", col(Turn.due) <= bindparam("soon"))
        .order_by(col(Turn.due), col(Turn.id))
        .limit(bindparam("most"))
    )
    return Prepared(statement, str)
