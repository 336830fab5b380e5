"""The gateway's store: transactions that are announced once they are committed, and the few SQL
forms that differ between the two databases."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Table, bindparam, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col, select

from gateway.feed import Feed
from gateway.models import Conversation
from storage.database import Database
from storage.prepared import Prepared, PreparedObjects

T = TypeVar("T")

MIGRATIONS = Path(__file__).parents[1] / "migrations" / "gateway"

TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
           BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
        """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
           BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
        """CREATE TRIGGER attempt_no_update BEFORE UPDATE ON attempt
           BEGIN SELECT RAISE(ABORT, 'attempt is append-only'); END""",
        """CREATE TRIGGER delivery_final BEFORE UPDATE OF state ON delivery
           WHEN OLD.state IN ('delivered', 'failed', 'unknown', 'cancelled')
                AND NEW.state <> OLD.state
           BEGIN SELECT RAISE(ABORT, 'a final delivery state is final'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION tandem_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = '23514'; END $$""",
        """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
           FOR EACH ROW EXECUTE FUNCTION tandem_refuse('audit is append-only')""",
        """CREATE TRIGGER attempt_no_update BEFORE UPDATE ON attempt
           FOR EACH ROW EXECUTE FUNCTION tandem_refuse('attempt is append-only')""",
        """CREATE TRIGGER delivery_final BEFORE UPDATE OF state ON delivery FOR EACH ROW
           WHEN (OLD.state IN ('delivered', 'failed', 'unknown', 'cancelled')
                 AND NEW.state <> OLD.state)
           EXECUTE FUNCTION tandem_refuse('a final delivery state is final')""",
    ),
}
"""What constraints cannot say. Part of the first migration."""


class Store:
    """A database whose commits are announced: `touch` in a transaction, hints after its commit.

    `patient`: for work that nobody waits for. It has to know what it claimed, so it never gives up
    on a commit that may still come.
    """

    def __init__(self, database: Database, feed: Feed, *, patient: bool = False) -> None:
        self.database = database
        self.feed = feed
        self._patient = patient

    async def write(
        self, work: Callable[[Session], T], *, committed: Callable[[T], None] | None = None
    ) -> T:
        """The value of `work`, committed and announced. Raises like `Database.write`.

        `committed` and the hints do not depend on the caller: a commit that comes after it gave
        up is told, too.
        """

        def run(session: Session) -> tuple[T, set[str]]:
            session.info.clear()  # one session serves a whole group of transactions
            value = work(session)
            return value, set(session.info.get("topics", ()))

        def tell(outcome: tuple[T, set[str]]) -> None:
            if committed is not None:
                committed(outcome[0])
            self.feed.publish(outcome[1])

        value, _ = await self.database.write(run, patient=self._patient, committed=tell)
        return value

    async def read(self, work: Callable[[Session], T]) -> T:
        return await self.database.read(work)


def touch(session: Session, *topics: str) -> None:
    """Announce `topics` after this transaction commits (in any process that shares the feed)."""
    session.info.setdefault("topics", set()).update(topics)


def touch_conversation(session: Session, conversation: Conversation) -> None:
    touch(session, f"contact:{conversation.contact_id}", f"conversation:{conversation.id}", "inbox")


def insert_once(session: Session, table: type[SQLModel], row: Mapping[str, Any]) -> bool:
    """Insert unless a unique key is taken; whether it was inserted."""
    dialect = session.connection().dialect.name
    return _insert_once(_table(table), tuple(row), dialect).run(session, row) == 1


@cache
def _insert_once(table: Table, columns: tuple[str, ...], dialect: str) -> Prepared[object]:
    own = (sqlite if dialect == "sqlite" else postgresql).insert
    return Prepared(own(table).on_conflict_do_nothing(), object, columns=columns)


def insert(session: Session, table: type[SQLModel], row: Mapping[str, Any]) -> None:
    """Insert a row that nobody needs as an object: a tenth of what making one would cost."""
    _insert(_table(table), tuple(row)).run(session, row)


@cache
def _insert(table: Table, columns: tuple[str, ...]) -> Prepared[object]:
    return Prepared(table.insert(), object, columns=columns)


def change(session: Session, table: type[SQLModel], row_id: str, **values: Any) -> None:
    """Update a row that nobody holds as an object, by its primary key."""
    _change(_table(table), tuple(values)).run(session, {"row_id": row_id, **values})


@cache
def _change(table: Table, columns: tuple[str, ...]) -> Prepared[object]:
    own_id = next(iter(table.primary_key)) == bindparam("row_id")
    return Prepared(table.update().where(own_id), object, columns=columns)


def _table(table: type[SQLModel]) -> Table:
    return cast("Table", inspect(table).local_table)


def lock_conversation(session: Session, conversation_id: str) -> Conversation | None:
    """The row, locked until commit on PostgreSQL; SQLite has one writer anyway."""
    return _locked_conversation().first(session, {"id": conversation_id})


@cache
def _locked_conversation() -> PreparedObjects[Conversation]:
    statement = (
        select(Conversation).where(col(Conversation.id) == bindparam("id")).with_for_update()
    )
    return PreparedObjects(Conversation, statement)


def create_triggers(connection: Connection) -> None:
    """The triggers of `TRIGGERS`; part of the first migration."""
    for statement in TRIGGERS[connection.dialect.name]:
        connection.execute(text(statement))


def migrate(url: str) -> None:
    """Bring the gateway's store up to date. Raises SchemaTooNew. Blocks."""
    from storage.migrate import upgrade

    upgrade(url, MIGRATIONS)
