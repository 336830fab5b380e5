"""What a machine may lack. `make test` skips with the reason; where TANDEM_REQUIRE names it (CI),
its absence is a failure."""

import os
import shutil
from pathlib import Path

import pytest

# Taken out of the environment: a Tandem that a test starts refuses variables it does not know.
REQUIRED = frozenset(filter(None, os.environ.pop("TANDEM_REQUIRE", "").split(",")))
# How much the slow proofs do: the suite runs a short version, `make nightly` the whole.
COPIED_EVENTS = int(os.environ.pop("TANDEM_TEST_COPIED_EVENTS", "60"))
_POSTGRES = os.environ.pop("TANDEM_TEST_POSTGRES", "")


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
    return _POSTGRES


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
