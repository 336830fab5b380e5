"""One queue of writes: everything accepted commits, an error undoes its own work only."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from storage.database import Database, DatabaseLimits, Overloaded, Unavailable, Work
from tests.needs import postgres_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/d.sqlite" if request.param == "sqlite" else postgres_url()
    database = Database(url)

    def make(session: Session) -> None:
        session.connection().execute(text("DROP TABLE IF EXISTS storage_test"))
        session.connection().execute(
            text("CREATE TABLE storage_test (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
        )

    database.write_now(make)
    yield database
    database.close()


def insert(key: int, n: int = 0) -> Work[int]:
    def work(session: Session) -> int:
        session.connection().execute(
            text("INSERT INTO storage_test VALUES (:id, :n)"), {"id": key, "n": n}
        )
        return key

    return work


def run(statement: str) -> Work[None]:
    def work(session: Session) -> None:
        session.connection().execute(text(statement))

    return work


def count(session: Session) -> int:
    return session.connection().execute(text("SELECT count(*) FROM storage_test")).scalar_one()


async def test_writes_that_wait_together_all_commit(database: Database) -> None:
    """Two hundred at once give two hundred rows and each its own value."""
    values = await asyncio.gather(*(database.write(insert(n)) for n in range(200)))

    assert values == list(range(200))
    assert await database.read(count) == 200


async def test_an_error_undoes_its_own_work_and_nobody_elses(database: Database) -> None:
    """A duplicate in the middle of a group raises for its caller; the neighbours are kept."""

    def half_then_fail(session: Session) -> None:
        insert(100)(session)
        raise RuntimeError("changed my mind")

    works = [insert(1), half_then_fail, insert(1), insert(2)]
    results = await asyncio.gather(
        *(database.write(work) for work in works), return_exceptions=True
    )

    assert sorted(str(type(one).__name__) for one in results[::2]) == ["IntegrityError", "int"]
    assert isinstance(results[1], RuntimeError)
    assert results[3] == 2
    assert await database.read(count) == 2


async def test_counting_up_in_parallel_loses_nothing(database: Database) -> None:
    """Four hundred read-modify-writes of one row add up."""

    def add(session: Session) -> None:
        lock = "" if database.is_sqlite else " FOR UPDATE"
        n = session.connection().execute(text("SELECT n FROM storage_test WHERE id = 1" + lock))
        session.connection().execute(
            text("UPDATE storage_test SET n = :n WHERE id = 1"), {"n": n.scalar_one() + 1}
        )

    await database.write(insert(1))
    await asyncio.gather(*(database.write(add) for _ in range(400)))
    total = await database.read(
        lambda s: s.connection().execute(text("SELECT n FROM storage_test")).scalar_one()
    )

    assert total == 400


async def test_a_reader_cannot_write_on_sqlite(tmp_path: Path) -> None:
    """A read that tries to write is a mistake, and says so."""
    database = Database(f"sqlite:///{tmp_path}/d.sqlite")
    with pytest.raises(Exception, match="readonly"):
        await database.read(lambda s: s.connection().execute(text("CREATE TABLE t (a)")))
    database.close()


async def test_sqlite_commits_are_durable_and_readers_are_not_blocked(tmp_path: Path) -> None:
    """The settings that the promises stand on are read back from both kinds of connection."""
    database = Database(f"sqlite:///{tmp_path}/d.sqlite")

    def pragmas(session: Session) -> tuple[object, ...]:
        return tuple(
            session.connection().execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        )

    written, read = await database.write(pragmas), await database.read(pragmas)
    database.close()

    assert written == read == ("wal", 2, 1)


async def test_a_locked_database_is_unavailable_and_heals(tmp_path: Path) -> None:
    """While another process holds the write lock nothing hangs; afterwards writes work again."""
    url = f"sqlite:///{tmp_path}/d.sqlite"
    database = Database(url, limits=DatabaseLimits(busy_timeout_s=0.1))
    await database.write(run("CREATE TABLE t (a)"))
    other = Database(url)
    with other.writer_engine.begin() as holding:
        holding.execute(text("INSERT INTO t VALUES (1)"))
        with pytest.raises(Unavailable):
            await database.write(lambda s: s.connection().execute(text("DELETE FROM t")) and None)
    await database.write(
        lambda s: s.connection().execute(text("INSERT INTO t VALUES (2)")) and None
    )
    rows = await database.read(
        lambda s: s.connection().execute(text("SELECT count(*) FROM t")).scalar_one()
    )
    database.close()
    other.close()

    assert rows == 2


async def test_a_commit_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    """The caller hears Overloaded within its wait, and can answer 503."""
    database = Database(f"sqlite:///{tmp_path}/d.sqlite", limits=DatabaseLimits(commit_wait_s=0.05))
    loop, gate = asyncio.get_running_loop(), asyncio.Event()

    def slow(_: Session) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

    with pytest.raises(Overloaded):
        await database.write(slow)
    gate.set()
    await asyncio.to_thread(database.close)


async def test_a_commit_is_told_even_when_its_caller_has_given_up(tmp_path: Path) -> None:
    """Once, with its value; what failed is told to its caller alone."""
    database = Database(f"sqlite:///{tmp_path}/d.sqlite", limits=DatabaseLimits(commit_wait_s=0.05))
    loop, gate, told = asyncio.get_running_loop(), asyncio.Event(), asyncio.Queue[int]()

    def late(_: Session) -> int:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        return 7

    def failing(_: Session) -> int:
        raise RuntimeError("changed my mind")

    with pytest.raises(Overloaded):
        await database.write(late, committed=told.put_nowait)
    gate.set()
    first = await told.get()
    with pytest.raises(RuntimeError):
        await database.write(failing, committed=told.put_nowait)
    await database.write(lambda _: 8, committed=told.put_nowait)
    await asyncio.to_thread(database.close)

    assert (first, told.get_nowait(), told.empty()) == (7, 8, True)


async def test_reads_beyond_the_limit_are_refused_and_abandoned_ones_are_not_done(
    tmp_path: Path,
) -> None:
    """One is read, one waits, the next hears Overloaded; who stops waiting costs nothing."""
    limits = DatabaseLimits(queue_max=2, readers=1)
    database = Database(f"sqlite:///{tmp_path}/d.sqlite", limits=limits)
    loop, gate = asyncio.get_running_loop(), asyncio.Event()
    done: list[str] = []

    def slow(_: Session) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        done.append("slow")

    first = asyncio.create_task(database.read(slow))
    second = asyncio.create_task(database.read(lambda _: done.append("second")))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await database.read(lambda _: done.append("third"))
    second.cancel()
    await asyncio.wait([second])
    gate.set()
    await first
    await database.read(lambda _: done.append("last"))
    await asyncio.to_thread(database.close)

    assert done == ["slow", "last"]
