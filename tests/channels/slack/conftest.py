"""A shop for each test: over HTTP, over Socket Mode, or over both in turn."""

from collections.abc import AsyncIterator

import pytest

from storage.database import Database
from tests.channels.slack.shop import Shop, open_shop
from tests.conftest import TurnedClock


@pytest.fixture
async def shop(database: Database, clock: TurnedClock) -> AsyncIterator[Shop]:
    """Slack calls us."""
    async with open_shop(database, clock, "http") as shop:
        yield shop


@pytest.fixture
async def on_line(database: Database, clock: TurnedClock) -> AsyncIterator[Shop]:
    """We hold a line to Slack."""
    async with open_shop(database, clock, "socket") as shop:
        yield shop


@pytest.fixture(params=["http", "socket"])
async def either(
    request: pytest.FixtureRequest, database: Database, clock: TurnedClock
) -> AsyncIterator[Shop]:
    """Both ways in, one after the other."""
    async with open_shop(database, clock, request.param) as shop:
        yield shop
