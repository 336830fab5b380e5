"""A console over a gateway's store. SQLite here; what is about SQL runs on both (test_desk.py)."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.agent_inbox.bench import Bench
from tests.agent_inbox.browsing import Client
from tests.conftest import TurnedClock
from tests.gateway.conftest import empty_sqlite, postgres

__all__ = ["empty_sqlite", "postgres"]


@pytest.fixture
def database(empty_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'gateway.sqlite')}")
    yield database
    database.close()


@pytest.fixture
def bench(database: Database, clock: TurnedClock) -> Bench:
    return Bench(database, clock)


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[Client]:
    """A browser that is not signed in, on a page of ours."""
    async with Client(bench.app) as client:
        client.headers["origin"] = "http://testserver.local"
        yield client
