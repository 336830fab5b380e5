"""Prepared statements mean what SQLAlchemy's own execution means, on both databases."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, col

from storage.columns import UtcDateTime
from storage.database import Database
from storage.prepared import Prepared, PreparedObjects
from tests.needs import postgres_url


class Things(SQLModel, registry=registry()):
    """Their own metadata: nothing of the product's is made or dropped here."""


class Thing(Things, table=True):
    __tablename__ = "prepared_test"  # pyright: ignore[reportAssignmentType]
    id: int = Field(primary_key=True)
    name: str
    parts: list[dict[str, str | None]] = Field(sa_type=JSON)
    raw: bytes | None = Field(sa_type=LargeBinary)
    made_at: dt.datetime | None = Field(sa_type=UtcDateTime)
    count: int | None = 7


THINGS: Table = inspect(Thing).local_table  # pyright: ignore[reportAssignmentType]
ROW: dict[str, Any] = {
    "id": 1, "name": "'; DROP TABLE", "parts": [{"a": "ä", "b": None}], "raw": b"\x00\xff",
    "made_at": dt.datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=dt.UTC),
}  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/d.sqlite" if request.param == "sqlite" else postgres_url()
    database = Database(url)
    THINGS.metadata.drop_all(database.writer_engine)
    THINGS.metadata.create_all(database.writer_engine)
    yield database
    THINGS.metadata.drop_all(database.writer_engine)
    database.close()


@pytest.fixture
def keep() -> Prepared[object]:
    return Prepared(THINGS.insert(), object, columns=ROW)


@pytest.fixture
def by_id() -> Prepared[tuple[Any, ...]]:
    return Prepared(select(THINGS).where(THINGS.c.id == bindparam("id")), lambda *row: row)


def test_values_come_back_as_sqlalchemy_would_give_them(
    database: Database, keep: Prepared[object], by_id: Prepared[tuple[Any, ...]]
) -> None:
    """Times, JSON, bytes, nulls and a column's default; written and read either way."""

    def work(session: Session) -> list[tuple[Any, ...]]:
        keep.run(session, ROW)
        session.connection().execute(THINGS.insert(), {**ROW, "id": 2, "raw": None})
        return [by_id.first(session, {"id": number}) or () for number in (1, 2)]

    mine = database.write_now(work)
    theirs = database.read_now(
        lambda session: [
            tuple(row) for row in session.connection().execute(select(THINGS).order_by("id"))
        ]
    )

    assert mine == theirs == [(*ROW.values(), 7), (2, *list(ROW.values())[1:3], None,
                                                   ROW["made_at"], 7)]  # fmt: skip


def test_a_change_says_how_many_rows_it_touched(database: Database, keep: Prepared[object]) -> None:
    """One that is there, none that is not; a value stands in the statement itself."""
    renamed = Prepared(
        update(THINGS).where(THINGS.c.id == bindparam("row_id"), THINGS.c.count == 7),
        object, columns=("name",),
    )  # fmt: skip

    def work(session: Session) -> list[int]:
        keep.run(session, ROW)
        return [renamed.run(session, {"row_id": number, "name": "new"}) for number in (1, 2)]

    assert database.write_now(work) == [1, 0]


def test_a_broken_constraint_is_the_error_that_callers_know(
    database: Database, keep: Prepared[object]
) -> None:
    """Wrapped as by SQLAlchemy, and without what somebody wrote."""

    def twice(session: Session) -> None:
        keep.run(session, ROW)
        keep.run(session, ROW)

    with pytest.raises(IntegrityError) as failed:
        database.write_now(twice)

    assert failed.value.orig is not None
    assert "DROP TABLE" not in str(failed.value)


def test_a_forgotten_value_is_no_null(database: Database, by_id: Prepared[tuple[Any, ...]]) -> None:
    """It is an error of ours, and no row with a hole in it."""
    with pytest.raises(KeyError):
        database.read_now(lambda session: by_id.first(session, {}))


def test_what_is_made_anew_each_time_cannot_be_prepared(database: Database) -> None:
    """A list that grows with its values, and a default that is a function."""
    growing = Prepared(select(THINGS.c.id).where(THINGS.c.id.in_((1, 2))), int)
    stamped = Table(
        "stamped", MetaData(), Column("name", String), Column("id", Integer, default=lambda: 1)
    )
    defaulted = Prepared(stamped.insert(), object, columns=("name",))

    for statement in (growing, defaulted):
        with pytest.raises(TypeError):
            database.read_now(lambda session, one=statement: one.all(session, {}))


@pytest.fixture
def thing() -> PreparedObjects[Thing]:
    return PreparedObjects(
        Thing, select(Thing).where(col(Thing.id) == bindparam("id")).with_for_update()
    )


def name_of(session: Session) -> str:
    return session.connection().execute(select(THINGS.c.name)).scalar_one()


def test_what_is_changed_in_a_loaded_object_is_written(
    database: Database, keep: Prepared[object], thing: PreparedObjects[Thing]
) -> None:
    """The session keeps track of it, as of one that it loaded itself; none is no object."""

    def work(session: Session) -> tuple[Thing | None, bool]:
        keep.run(session, ROW)
        found = thing.first(session, {"id": 1})
        assert found is not None
        clean = not session.dirty
        found.name = "changed"
        return thing.first(session, {"id": 2}), clean

    assert database.write_now(work) == (None, True)
    assert database.read_now(name_of) == "changed"


def test_an_object_the_session_knows_is_brought_up_to_date(
    database: Database, keep: Prepared[object], thing: PreparedObjects[Thing]
) -> None:
    """Own changes are written first; the others' are seen; it stays one object."""

    def work(session: Session) -> tuple[bool, str, int | None, bool]:
        keep.run(session, ROW)
        known = session.get_one(Thing, 1)
        known.name = "mine"
        session.connection().execute(update(THINGS).values(count=8))
        again = thing.first(session, {"id": 1})
        return again is known, known.name, known.count, bool(session.dirty)

    assert database.write_now(work) == (True, "mine", 8, False)
    assert database.read_now(name_of) == "mine"
