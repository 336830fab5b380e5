"""A visitor who is known already: by the host site's word, or by a link from another channel."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session, select

from gateway.contacts import contact_of
from gateway.links import Why
from gateway.messages import Address, Sender
from gateway.models import Identity, Link, LinkCode
from storage.database import Database
from tests.channels.identities import OTHER, SECRET, token
from tests.channels.site import Site, signed
from tests.conftest import TurnedClock


@pytest.fixture
def site(database: Database, clock: TurnedClock) -> Site:
    """A web chat that trusts a shop's signature, and can be entered by a link."""
    return Site(database, clock, identity_secret=SECRET, page_url="https://shop.example/?a=b#chat")


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.client() as client:
        yield client


async def begin(client: httpx.AsyncClient, own: str | None = None, **fields: Any) -> httpx.Response:
    return await client.post("/chat/sessions", json=fields, headers=signed(own) if own else {})


async def say(client: httpx.AsyncClient, own: str, text: str) -> None:
    answer = await client.post(
        "/chat/messages", json={"client_message_id": text.replace(" ", "-"), "text": text},
        headers=signed(own),
    )  # fmt: skip
    assert answer.status_code == 201, answer.text


async def read(client: httpx.AsyncClient, own: str, **at: int) -> dict[str, Any]:
    answer = await client.get("/chat/messages", params=at, headers=signed(own))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def words(client: httpx.AsyncClient, own: str) -> list[str]:
    """What the customer has said, as this session reads it."""
    items = (await read(client, own))["items"]
    return [item["text"] for item in items if item["author"] == "customer"]


async def test_who_signs_in_has_their_talk_in_every_browser(
    client: httpx.AsyncClient, clock: TurnedClock
) -> None:
    """What they wrote before they signed in is theirs, too; the old token opens nothing."""
    before = (await begin(client)).json()["token"]
    await say(client, before, "not signed in yet")
    here = (await begin(client, before, identity=token(clock))).json()
    await say(client, here["token"], "signed in")
    there = (await begin(client, identity=token(clock))).json()["token"]

    assert await words(client, there) == ["not signed in yet", "signed in"]
    assert here["numbering"] == 1
    stale = await client.get("/chat/messages", headers=signed(before))
    assert stale.status_code == 401


async def test_another_person_in_the_same_browser_gets_a_talk_of_their_own(
    client: httpx.AsyncClient, clock: TurnedClock
) -> None:
    """The host says 43 now: 42's words are not shown, and 42's token is dead."""
    first = (await begin(client, identity=token(clock))).json()["token"]
    await say(client, first, "I am 42")
    second = (await begin(client, first, identity=token(clock, sub="43"))).json()["token"]
    await say(client, second, "I am 43")

    assert await words(client, second) == ["I am 43"]
    assert (await client.get("/chat/messages", headers=signed(first))).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [{"key": OTHER}, {"aud": "other"}, {"exp": timedelta(0)}, {"exp": timedelta(hours=25)}],
)
async def test_a_token_that_does_not_hold_makes_nobody_of_the_visitor(
    client: httpx.AsyncClient, clock: TurnedClock, site: Site, wrong: dict[str, Any]
) -> None:
    """401, nothing is stored, and the visitor stays who they were."""
    own = (await begin(client)).json()["token"]
    await say(client, own, "mine")
    if "exp" in wrong:
        wrong = {"exp": clock() + wrong["exp"]}
    answer = await begin(client, own, identity=token(clock, **wrong))

    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:tandem:bad-identity"
    assert await words(client, own) == ["mine"]
    assert await site.world.store.read(lambda s: s.exec(select(Link)).all()) == []


async def test_a_subject_is_never_taken_for_a_visitors_id(
    client: httpx.AsyncClient, clock: TurnedClock, site: Site
) -> None:
    """A host that names somebody by another visitor's id opens nothing of theirs."""
    other = (await begin(client)).json()["token"]
    await say(client, other, "a secret")
    visitor = await site.world.store.read(lambda s: s.exec(select(Identity.external_id)).one())
    own = (await begin(client, identity=token(clock, sub=visitor))).json()["token"]

    assert await words(client, own) == []


async def a_code(site: Site, *, verified: bool = False) -> str:
    """Somebody who wrote elsewhere asks for the way to the website."""
    event = site.world.memory.event_of(chat="c1", text="/web", verified=verified)
    await site.world.ingress.store(event)
    await site.world.worker.settle()
    await site.world.outbox.drain()
    link = _address(site)
    return link.partition("tandem=")[2].partition("#")[0]


def _address(site: Site) -> str:
    return next(
        word for word in reversed(site.world.memory.texts()[-1].split()) if "tandem=" in word
    )


async def test_a_link_from_elsewhere_opens_that_talk_once(
    client: httpx.AsyncClient, site: Site
) -> None:
    """The address keeps what the page had in it; the second follower hears that it is spent."""
    code = await a_code(site)
    made = await begin(client, code=code)
    again = await begin(client, code=code)

    assert _address(site) == f"https://shop.example/?a=b&tandem={code}#chat"
    assert await words(client, made.json()["token"]) == ["/web"]
    assert (again.status_code, again.json()["type"]) == (410, "urn:tandem:link-spent")


async def test_a_link_does_not_make_one_of_two_who_are_vouched_for(
    client: httpx.AsyncClient, clock: TurnedClock, site: Site
) -> None:
    """Two people who are signed in to the shop stay two; the code stays unused."""
    first = (await begin(client, identity=token(clock))).json()["token"]
    await say(client, first, "I am 42")
    code = await a_code(site)

    def join(session: Session) -> None:
        elsewhere = contact_of(
            session, Address(channel="memory", account="main", chat="c1"),
            Sender(external_id="c1"), clock(),
        )  # fmt: skip
        shopper = session.exec(select(Identity).where(Identity.external_id == "sub:42")).one()
        site.world.links.join(session, shopper.contact_id, elsewhere.id, Why("agent", "agent:ana"))

    await site.world.store.write(join)
    second = (await begin(client, identity=token(clock, sub="43"))).json()["token"]
    answer = await begin(client, second, code=code)

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tandem:cannot-join")
    assert await words(client, second) == []
    codes = await site.world.store.read(lambda s: s.exec(select(LinkCode)).all())
    assert [one.used_at for one in codes] == [None]


async def test_a_reader_of_the_old_numbering_begins_anew(
    client: httpx.AsyncClient, site: Site
) -> None:
    """Whoever says what numbering they read by gets every item once, from the first one."""
    own = (await begin(client)).json()["token"]
    await say(client, own, "on the website")
    code = await a_code(site)
    place = await read(client, own, numbering=0)
    await site.world.ingress.store(site.world.memory.event_of(chat="c1", text="elsewhere"))
    await site.world.worker.settle()

    def join(session: Session) -> None:
        ids = {one.external_id: one.contact_id for one in session.exec(select(Identity))}
        gone = next(ids[key] for key in ids if key != "c1")
        site.world.links.merge(session, ids["c1"], gone, Why("agent", "agent:ana"))

    await site.world.store.write(join)
    now = await read(client, own, after=place["next"], numbering=0)
    later = await read(client, own, after=now["next"], numbering=now["numbering"])

    assert code
    assert now["numbering"] == 1
    seqs = [item["seq"] for item in now["items"]]
    assert seqs == sorted(set(seqs))
    texts = [item["text"] for item in now["items"] if item["author"] == "customer"]
    assert sorted(texts) == ["/web", "elsewhere", "on the website"]
    assert later["items"] == []


def test_without_an_address_the_website_cannot_be_entered(
    database: Database, clock: TurnedClock, tmp_path: Path
) -> None:
    """Nobody said where the widget is: no link is made up."""
    assert Site(database, clock).channel.invitation("code") is None
