"""One SQL store: writes go through a queue and commit in groups, reads run beside them.

A transaction is a plain function from a `Session` to a value. It has no `await`, so nothing can
wait for a network inside it; and it may run again (a lost group, a deadlock), so it touches
nothing but the session. SQLite has one writer thread that commits what has queued up together;
PostgreSQL has a pool of writers, since it groups commits by itself. The same functions run on both.

    DatabaseError
    ├── Overloaded     the queue is full, or the commit did not come in time: try again later
    └── Unavailable    the store cannot be written: locked, full, read-only, gone
"""

import asyncio
import queue
import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

T = TypeVar("T")
Work = Callable[[Session], T]

_POSTGRES_WAITS = (
    "-c lock_timeout=2s -c statement_timeout=5s -c idle_in_transaction_session_timeout=10s"
)


class DatabaseError(Exception):
    """A store could not do its work; nothing of the transaction was kept unless it says so."""


class Overloaded(DatabaseError):
    """Too much is waiting. The write may still commit later: callers rely on unique keys."""


class Unavailable(DatabaseError):
    """The database refused the write: locked, disk full, read-only, or not reachable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLimits:
    """Every limit of a store, with its default. The reasons are in docs/limits.md."""

    queue_max: int = 1_000
    group_max: int = 200
    commit_wait_s: float = 2.0
    readers: int = 2  # more get in each other's way: Python runs one thread at a time
    writers: int = 4  # PostgreSQL only
    busy_timeout_s: float = 1.5  # SQLite only
    retries_max: int = 5  # of a deadlock or a serialisation failure


@dataclass(slots=True)
class _Item:
    """Work on its way to a thread and back."""

    work: Work[Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    committed: Callable[[Any], None] | None = None


class _Held:
    """A thread's own session, kept with its connection between transactions: to make them anew
    each time costs more than a small transaction. After an error the next one gets fresh ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: tuple[Session, Connection] | None = None

    @contextmanager
    def session(self) -> Generator[Session]:
        (session, connection), self._kept = self._kept or self._made(), None
        try:
            yield session
            session.close()  # ends what is open, forgets every object
        except BaseException:
            session.close()
            connection.close()
            raise
        self._kept = session, connection

    def _made(self) -> tuple[Session, Connection]:
        connection = self._engine.connect()
        return Session(connection, expire_on_commit=False), connection

    def close(self) -> None:
        if self._kept is not None:
            self._kept[1].close()


class Database:
    """A store at a SQLAlchemy URL: `sqlite:///path` or `postgresql+psycopg://…`.

    Usable from one event loop at a time; `close` waits for what was accepted.
    """

    def __init__(self, url: str, *, limits: DatabaseLimits | None = None) -> None:
        self.url = url
        self.limits = limits or DatabaseLimits()
        self.is_sqlite = url.startswith("sqlite")
        self.writer_engine = self._engine(writer=True)
        self.reader_engine = self._engine(writer=False) if self.is_sqlite else self.writer_engine
        self._writes: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._waiting = 0
        self._reads: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._reading = 0
        self._held: list[_Held] = []
        writers = 1 if self.is_sqlite else self.limits.writers
        loop = self._commit_groups if self.is_sqlite else self._commit_each
        self._writers = [threading.Thread(target=loop, daemon=True) for _ in range(writers)]
        # No executor: its futures, made for any use, cost as much as a small read.
        self._readers = [
            threading.Thread(target=self._answer_reads, daemon=True)
            for _ in range(self.limits.readers)
        ]
        for thread in (*self._writers, *self._readers):
            thread.start()

    async def write(
        self, work: Work[T], *, patient: bool = False,
        committed: Callable[[T], None] | None = None,
    ) -> T:  # fmt: skip
        """The value of `work`, committed. An exception of `work` undoes its own writes only.
        `committed` is called with the value even if nobody waits for it any more.

        Raises Overloaded when the queue is full or the commit takes longer than
        `commit_wait_s` (it may still happen; a `patient` caller waits until it is certain),
        Unavailable when the database refuses.
        """
        if self._waiting >= self.limits.queue_max:
            raise Overloaded(f"{self._waiting} writes are waiting")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting += 1
        self._writes.put(_Item(work, future, loop, committed))
        try:
            async with asyncio.timeout(None if patient else self.limits.commit_wait_s):
                return await future
        except TimeoutError:
            raise Overloaded("the commit did not come in time") from None
        finally:
            self._waiting -= 1

    async def read(self, work: Work[T]) -> T:
        """The value of `work` on one consistent snapshot. Writing in it raises on SQLite.

        Raises Overloaded when too many reads are waiting.
        """
        if self._reading >= self.limits.queue_max:
            raise Overloaded(f"{self._reading} reads are waiting")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._reading += 1
        self._reads.put(_Item(work, future, loop))
        try:
            return await future
        finally:
            self._reading -= 1

    def read_now(self, work: Work[T]) -> T:
        """`read` for callers that have no event loop (command line, migrations, worker threads)."""
        with Session(self.reader_engine, expire_on_commit=False) as session:
            return work(session)

    def write_now(self, work: Work[T]) -> T:
        """`write` for callers that have no event loop: one transaction, at once.

        Never beside a running `write` loop on SQLite: it would wait for the writer's lock.
        """
        with Session(self.writer_engine, expire_on_commit=False) as session, session.begin():
            return work(session)

    def close(self) -> None:
        """Finish the accepted writes, then let go of every connection."""
        for _ in self._writers:
            self._writes.put(None)
        for _ in self._readers:
            self._reads.put(None)
        for thread in (*self._writers, *self._readers):
            thread.join()
        for held in self._held:
            held.close()
        self.reader_engine.dispose()
        self.writer_engine.dispose()

    # Readers: some threads, on SQLite each with its own connection.

    def _answer_reads(self) -> None:
        held = self._hold(self.reader_engine) if self.is_sqlite else None
        while (item := self._reads.get()) is not None:
            if item.future.cancelled():
                continue
            try:
                value = self.read_now(item.work) if held is None else _read(held, item.work)
            except Exception as error:
                _resolve([(item, None, error)])
            else:
                _resolve([(item, value, None)])

    # SQLite: one thread, one connection, one commit for all that waits.

    def _hold(self, engine: Engine) -> _Held:
        self._held.append(_Held(engine))
        return self._held[-1]

    def _commit_groups(self) -> None:
        held = self._hold(self.writer_engine)
        while (first := self._writes.get()) is not None:
            group, stop = [first], False
            while len(group) < self.limits.group_max and not stop:
                try:
                    following = self._writes.get_nowait()
                except queue.Empty:
                    break
                stop = following is None
                if following is not None:
                    group.append(following)
            self._commit_group(held, group)
            if stop:
                return

    def _commit_group(self, held: _Held, group: list[_Item]) -> None:
        outcomes: list[tuple[_Item, Any, BaseException | None]] = []
        try:
            with held.session() as session, session.begin():
                driver: Any = session.connection().connection.driver_connection
                outcomes.extend(
                    (item, *_in_savepoint(session, driver, item.work)) for item in group
                )
        except Exception as error:  # the commit itself failed: nothing of the group was kept
            refused = Unavailable(str(error))
            refused.__cause__ = error
            outcomes = [(item, None, refused) for item in group]
        _resolve(outcomes)

    # PostgreSQL: several threads, each its own transaction, retried when the server says so.

    def _commit_each(self) -> None:
        while (item := self._writes.get()) is not None:
            try:
                _resolve([(item, self._with_retries(item.work), None)])
            except OperationalError as error:
                refused = Unavailable(str(error))
                refused.__cause__ = error
                _resolve([(item, None, refused)])
            except Exception as error:
                _resolve([(item, None, error)])

    def _with_retries(self, work: Work[T]) -> T:
        for attempt in range(self.limits.retries_max):
            try:
                return self.write_now(work)
            except DBAPIError as error:
                if not _is_transient(error):
                    raise
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
        return self.write_now(work)

    def _engine(self, *, writer: bool) -> Engine:
        if not self.is_sqlite:
            size = self.limits.writers + self.limits.readers
            return create_engine(
                self.url, pool_size=size, max_overflow=0, pool_pre_ping=True, hide_parameters=True,
                connect_args={"options": _POSTGRES_WAITS},
            )  # fmt: skip
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=1 if writer else self.limits.readers,
            max_overflow=1,  # the threads hold theirs: one more for `write_now` and `read_now`
            connect_args={"check_same_thread": False},
            hide_parameters=True,  # an error in the log must not hold what a customer wrote
        )
        _configure_sqlite(engine, writer=writer, busy_timeout_s=self.limits.busy_timeout_s)
        return engine


def _configure_sqlite(engine: Engine, *, writer: bool, busy_timeout_s: float) -> None:
    pragmas = (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={int(busy_timeout_s * 1000)}",
        "foreign_keys=ON",
        f"query_only={0 if writer else 1}",
    )

    begin_words = "BEGIN IMMEDIATE" if writer else "BEGIN"

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # the begin event decides, not the driver
        for pragma in pragmas:
            connection.execute("PRAGMA " + pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        # A read transaction that turns into a write fails at once, whatever the time-out.
        driver: Any = connection.connection.driver_connection
        driver.execute(begin_words)


def _read(held: _Held, work: Work[T]) -> T:
    with held.session() as session:
        return work(session)


def _in_savepoint(
    session: Session, driver: Any, work: Work[T]
) -> tuple[T | None, BaseException | None]:
    # The driver's own execute: through the session these three words cost as much as an insert.
    driver.execute("SAVEPOINT item")
    try:
        value = work(session)
        session.flush()
    except OperationalError:
        raise  # locked, full or read-only: the whole group fails
    except Exception as error:
        session.expunge_all()
        driver.execute("ROLLBACK TO item")
        driver.execute("RELEASE item")
        return None, error
    driver.execute("RELEASE item")
    session.expunge_all()  # the next item must not see this one's objects
    return value, None


def _resolve(outcomes: list[tuple[_Item, Any, BaseException | None]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Item, Any, BaseException | None]]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].loop, []).append(outcome)
    for loop, some in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_results, some)


def _set_results(outcomes: list[tuple[_Item, Any, BaseException | None]]) -> None:
    for item, value, error in outcomes:
        if error is None and item.committed is not None:
            item.loop.call_soon(item.committed, value)  # before its caller, and alone if it fails
        if item.future.done():  # its caller stopped waiting
            continue
        if error is None:
            item.future.set_result(value)
        else:
            item.future.set_exception(error)


def _is_transient(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    return code in {"40001", "40P01", "55P03"}  # serialisation, deadlock, lock not available
