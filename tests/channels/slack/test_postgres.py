"""The same on PostgreSQL: what the channel asks the store itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.models import GatewayTable
from storage.database import Database
from tests.channels.slack.shop import Shop, open_shop
from tests.conftest import TurnedClock
from tests.fakes.faults import Cut
from tests.gateway.conftest import postgres

assert postgres
pytestmark = pytest.mark.postgres


@pytest.fixture
async def on_postgres(postgres: str, clock: TurnedClock, tmp_path: Path) -> AsyncIterator[Shop]:
    database = Database(postgres)
    tables = ", ".join(f'"{name}"' for name in GatewayTable.metadata.tables)
    database.write_now(lambda session: session.connection().execute(text(f"TRUNCATE {tables}")))
    async with open_shop(database, clock, "http", folder=tmp_path) as shop:
        yield shop
    database.close()


async def test_an_echo_is_found_and_a_gap_is_filled(on_postgres: Shop):
    """A post that nobody confirmed, then a line that no event brought."""
    shop = on_postgres
    ana = shop.acts.person("Ana")
    shop.slack.scopes -= {"im:history"}
    shop.slack.faults.plan("chat.postMessage", Cut(processed=True))
    await shop.say(ana, "How long?")
    (delivery,) = await shop.deliveries()
    shop.slack.scopes |= {"im:history"}
    shop.slack.events.is_dropping = True
    await shop.acts.say(ana, "And for books?")
    shop.slack.events.is_dropping = False
    await shop.channel.look_around(shop.world.ingress)
    brought = await shop.channel.gaps.fill(shop.world.ingress)
    await shop.settle()

    assert delivery.state == "delivered"
    assert brought == 1
    assert await shop.heard() == ["How long?", "And for books?"]
