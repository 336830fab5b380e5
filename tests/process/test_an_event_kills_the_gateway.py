"""An event that ends the process each time it is read: it is set aside, the rest goes on."""

import json

import pytest

from gateway.ingress import keep_event
from gateway.messages import RawEvent
from storage.database import Database
from storage.ids import utc_now
from tests.process.far_end import FarEnd
from tests.process.provider import Chat
from tests.process.server import Deployment, Process, until
from tests.process.wire_channel import ACCOUNT, POISON

pytestmark = pytest.mark.process

STARTS_MAX = 5  # three crashes, and what it takes to find out who it was


def test_an_event_that_kills_the_gateway_takes_nobody_else_along(
    shop: Deployment, far_end: FarEnd
) -> None:
    """It is set aside with its reason; those who wrote at the same time are answered, once."""
    shop.gateway().kill()  # makes the store
    neighbours = [Chat(shop, f"neighbour-{number}") for number in range(3)]
    commit(shop, "poisoned", POISON)
    for chat in neighbours:
        chat.written.append("Who pays the postage of a return?")
        commit(shop, chat.name, chat.written[0])
    gateway = start_until_it_stays(shop)
    for chat in neighbours:
        chat.settle()
    gateway.kill()
    poison = shop.rows("SELECT * FROM inbox_event WHERE external_id = 'poisoned-1'")[0]

    assert poison["state"] == "quarantined"
    assert "ended the process" in poison["reason"]
    for chat in neighbours:
        chat.check(far_end)


def start_until_it_stays(shop: Deployment) -> Process:
    """As a supervisor would: again and again, until the event does not end it any more."""
    for _ in range(STARTS_MAX):
        gateway = shop.start("serve", "--gateway-only")
        until(lambda g=gateway: g.code is not None or state_of_poison(shop) != "new", "an end")
        if gateway.code is None:
            return gateway
        assert gateway.code == -9, gateway.log
    pytest.fail(f"it died {STARTS_MAX} times")


def commit(shop: Deployment, chat: str, text: str) -> None:
    """An event as a process leaves it that dies before it reads it."""
    body = json.dumps({"id": f"{chat}-1", "chat": chat, "text": text}).encode()
    event = RawEvent(channel="wire", account=ACCOUNT, external_id=f"{chat}-1", body=body)
    database = Database(f"sqlite:///{shop.folder}/gateway.db")
    database.write_now(lambda session: keep_event(session, event, utc_now()))
    database.close()


def state_of_poison(shop: Deployment) -> str:
    return shop.rows("SELECT state FROM inbox_event WHERE external_id = 'poisoned-1'")[0]["state"]
