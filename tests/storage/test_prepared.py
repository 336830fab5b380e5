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
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from storage.columns import UtcDateTime
from storage.database import Database
from storage.prepared import Prepared
from tests.needs import postgres_url

THINGS = Table(
    "prepared_test", MetaData(),
    Column("id", Integer, primary_key=True), Column("name", String, nullable=False),
    Column("parts", JSON, nullable=False), Column("raw", LargeBinary),
    Column("made_at", UtcDateTime), Column("count", Integer, default=7),
)  # fmt: skip
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
