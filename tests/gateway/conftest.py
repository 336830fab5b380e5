"""A gateway's store on both databases, emptied for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from agent_inbox import models as inbox_models
from gateway.models import GatewayTable
from gateway.store import create_triggers
from storage.database import Database
from tests.conftest import TurnedClock
from tests.gateway.world import World
from tests.needs import postgres_url

assert inbox_models  # its tables belong to the gateway's metadata


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables; copying it is faster than making them for each test."""
    path = tmp_path_factory.mktemp("gateway") / "empty.sqlite"
    database = Database(f"sqlite:///{path}")
    GatewayTable.metadata.create_all(database.writer_engine)
    database.write_now(lambda session: create_triggers(session.connection()))
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres() -> str:
    """A PostgreSQL database with the gateway's tables."""
    url = postgres_url()
    database = Database(url)
    GatewayTable.metadata.drop_all(database.writer_engine)
    database.write_now(_drop_functions)
    GatewayTable.metadata.create_all(database.writer_engine)
    database.write_now(lambda session: create_triggers(session.connection()))
    database.close()
    return url


def _drop_functions(session: Session) -> None:
    session.connection().execute(text("DROP FUNCTION IF EXISTS tandem_refuse CASCADE"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("empty_sqlite"), tmp_path / "gateway.sqlite")
        database = Database(f"sqlite:///{path}")
    else:
        database = Database(request.getfixturevalue("postgres"))
        tables = ", ".join(f'"{name}"' for name in GatewayTable.metadata.tables)
        database.write_now(lambda session: session.connection().execute(text(f"TRUNCATE {tables}")))
    yield database
    database.close()


@pytest.fixture
def world(database: Database, clock: TurnedClock) -> World:
    return World(database, clock)
