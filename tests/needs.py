"""What a machine may lack. `make test` skips with the reason; where TANDEM_REQUIRE names it (CI),
its absence is a failure."""

import os
import shutil

import pytest

REQUIRED = frozenset(filter(None, os.environ.get("TANDEM_REQUIRE", "").split(",")))


def need(name: str, found: bool, how: str) -> None:
    """Go on if `found`; else skip, or fail where `name` is required. `how` says how to get it."""
    if found:
        return
    if name in REQUIRED:
        pytest.fail(f"{name} is required here and was not found: {how}")
    pytest.skip(f"{name} was not found: {how}")


def postgres_url() -> str:
    """The address of a PostgreSQL database that tests may empty."""
    url = os.environ.get("TANDEM_TEST_POSTGRES", "")
    need("postgresql", bool(url), "set TANDEM_TEST_POSTGRES to a database that tests may empty")
    return url


def chromium() -> str:
    """The path of the browser that browser tests drive."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    need("chromium", bool(path), "install the package chromium")
    return path
