"""A Telegram of our own and a gateway on it, for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from storage.database import Database
from tests.channels.telegram.site import Site
from tests.conftest import TurnedClock
from tests.fakes.telegram import Customer, Telegram

Opened = Callable[..., Awaitable[Site]]


@pytest.fixture
def telegram(clock: TurnedClock) -> Telegram:
    return Telegram(clock)


@pytest.fixture
async def url(telegram: Telegram) -> AsyncIterator[str]:
    async with telegram.served() as url:
        yield url


@pytest.fixture
async def opened(
    database: Database, clock: TurnedClock, telegram: Telegram, url: str
) -> AsyncIterator[Opened]:
    """Makes a gateway with other settings, on the same store, that takes updates in."""
    async with AsyncExitStack() as stack:

        async def open_site(*, online: bool = True, **settings: Any) -> Site:
            site = Site(database, clock, telegram, url, **settings)
            if online:
                await stack.enter_async_context(site.online())
            return site

        yield open_site


@pytest.fixture
async def site(opened: Opened) -> Site:
    return await opened()


@pytest.fixture
def mia(telegram: Telegram) -> Customer:
    return telegram.customer("Mia")
