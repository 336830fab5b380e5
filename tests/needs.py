"""What a machine may lack. `make test` skips with the reason; where TANDEM_REQUIRE names it (CI),
its absence is a failure."""

import os
import shutil
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text


def _told(name: str, default: str = "") -> str:
    """What the environment says, under a name that a Tandem started by a test does not know: it
    refuses variables of its own that are no settings. Processes of a parallel run inherit it."""
    if (value := os.environ.pop(f"TANDEM_{name}", None)) is not None:
        os.environ[f"TESTS_{name}"] = value
    return os.environ.get(f"TESTS_{name}", default)


REQUIRED = frozenset(filter(None, _told("REQUIRE").split(",")))
# How much the slow proofs do: the suite runs a short version, `make nightly` the whole.
COPIED_EVENTS = int(_told("TEST_COPIED_EVENTS", "60"))
_POSTGRES = _told("TEST_POSTGRES")


def need(name: str, found: bool, how: str) -> None:
    """Go on if `found`; else skip, or fail where `name` is required. `how` says how to get it."""
    if found:
        return
    if name in REQUIRED:
        pytest.fail(f"{name} is required here and was not found: {how}")
    pytest.skip(f"{name} was not found: {how}")


def postgres_url() -> str:
    """The address of a PostgreSQL database that tests may empty."""
    how = "set TANDEM_TEST_POSTGRES to a database that tests may empty"
    need("postgresql", bool(_POSTGRES), how)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    return _database_of(worker) if worker else _POSTGRES


@cache
def _database_of(worker: str) -> str:
    """A database for each process of a parallel run: they empty it at their own times."""
    given = make_url(_POSTGRES)
    own = f"{given.database}_{worker}"
    engine = create_engine(given, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{own}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{own}"'))
    engine.dispose()
    return given.set(database=own).render_as_string(hide_password=False)


def chromium() -> str:
    """The path of the browser that browser tests drive."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    need("chromium", bool(path), "install the package chromium")
    return path


def emulators() -> Path:
    """The Node that runs the emulators of Telegram, Slack and a model."""
    node = Path(__file__).with_name("emulators") / "node_modules/node/bin/node"
    need("emulators", node.is_file(), "make emulators (it needs npm)")
    return node
