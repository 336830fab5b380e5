"""What the tests of rag share: a migrated store of their own."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from rag import store
from rag.client import Line
from rag.models import RagTable
from storage.database import Database
from tests.needs import postgres_url
from tests.rag.librarians import served


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty store; copying it is faster than migrating for each test."""
    path = tmp_path_factory.mktemp("store") / "rag.sqlite"
    store.migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_store() -> str:
    """A migrated store in a PostgreSQL database of its own, beside the one that tests are given:
    the gateway's tables are in that one, and both stores have a table named `revision`."""
    given = make_url(postgres_url())
    url = given.set(database=f"{given.database}_rag").render_as_string(hide_password=False)
    engine = create_engine(given, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{given.database}_rag"'))
        connection.execute(text(f'CREATE DATABASE "{given.database}_rag"'))
    engine.dispose()
    store.migrate(url)
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The same test on both databases."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    database = Database(request.getfixturevalue("postgres_store"))
    tables = ", ".join(f'"{name}"' for name in RagTable.metadata.tables)
    database.write_now(lambda session: session.connection().execute(text(f"TRUNCATE {tables}")))
    yield database
    database.close()


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """Tests run on SQLite, unless their file says otherwise."""
    return sqlite_database


@pytest.fixture
def sqlite_database(empty_store: Path, tmp_path: Path) -> Iterator[Database]:
    path = shutil.copy(empty_store, tmp_path / "rag.sqlite")
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[Line]]:
    """Runs the librarian's service on a real socket."""
    return served
