"""Chromium, and the pages it is shown. Browsers start once per file: they are slow to start."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from storage.database import Database
from tests.browser.serving import Served
from tests.channels.site import Site
from tests.conftest import TurnedClock
from tests.gateway.conftest import empty_sqlite
from tests.needs import chromium

__all__ = ["empty_sqlite"]

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


expect.set_options(timeout=30_000)  # a busy machine is no failure


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser window with nothing stored."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def site(empty_sqlite: Path, tmp_path: Path, clock: TurnedClock) -> Iterator[Site]:
    """The web chat over a gateway with a scripted bot."""
    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'gateway.sqlite')}")
    yield Site(database, clock)
    database.close()


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    served = Served(site.app, site.stopping)
    served.start()
    yield served
    served.stop()
