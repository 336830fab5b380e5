"""The public contract over HTTP: sessions, messages, idempotency, reading."""

import asyncio
import re

import httpx
import pytest
from sqlmodel import select

from gateway.models import Conversation, Message, Visitor
from tests.channels.site import Site, signed
from tests.conftest import TurnedClock


async def test_a_session_gives_a_token_that_is_stored_only_as_a_hash(
    client: httpx.AsyncClient, site: Site
):
    """201 {token, after}; 256 bits; the database cannot tell the token."""
    response = await client.post("/chat/sessions", json={"language": "zh-CN"})
    visitor = await site.world.store.read(lambda session: session.exec(select(Visitor)).one())

    assert response.status_code == 201
    assert sorted(response.json()) == ["after", "numbering", "token"]
    assert response.json()["after"] == 0
    assert len(response.json()["token"]) >= 43
    assert response.json()["token"].encode() not in visitor.token_hash
    assert visitor.language == "zh"
    assert response.headers["cache-control"] == "no-store"


async def test_an_identity_is_refused_while_no_key_is_set(client: httpx.AsyncClient):
    """A signed identity is never silently ignored: the visitor would think they are known."""
    response = await client.post("/chat/sessions", json={"identity": "eyJhbGciOi"})

    assert response.status_code == 422
    assert response.json()["type"] == "urn:tandem:identity-refused"


async def test_a_question_is_taken_and_answered_with_its_source(
    client: httpx.AsyncClient, token: str
):
    """The item has exactly the contract's fields; the optional ones are left out."""
    headers = signed(token)
    posted = await client.post(
        "/chat/messages", headers=headers,
        json={"client_message_id": "c-1", "text": "How do I return it?"},
    )  # fmt: skip
    first = (await client.get("/chat/messages", headers=headers)).json()
    read = await client.get("/chat/messages?after=1&wait=20", headers=headers)
    answer = read.json()["items"][0]

    assert posted.status_code == 201
    assert posted.json() == {"id": first["items"][0]["id"], "seq": 1}
    assert first["items"][0]["author"] == "customer"
    assert read.json()["next"] == 2
    assert set(answer) == {
        "seq", "id", "author", "text", "buttons", "citations", "created_at",
    }  # fmt: skip
    assert (answer["author"], answer["seq"]) == ("bot", 2)
    assert answer["citations"] == [
        {"n": 1, "title": "Returns", "source": "returns.md", "url": None, "quote": "30 days"}
    ]
    assert {"label": "Talk to a person", "action": "human"} in answer["buttons"]
    assert re.fullmatch(r"2026-03-02T09:00:00(\.\d+)?Z", answer["created_at"])


async def test_the_same_id_again_is_the_same_message(
    client: httpx.AsyncClient, site: Site, token: str
):
    """A repeat, at once or later, gives the same answer and stores nothing."""
    body = {"client_message_id": "c-1", "text": "Hello"}
    answers = [
        (await client.post("/chat/messages", headers=signed(token), json=body)).json()
        for _ in range(3)
    ]
    count = await _customer_lines(site)

    assert answers[0] == answers[1] == answers[2]
    assert count == 1


async def test_five_copies_at_once_are_one_message(
    client: httpx.AsyncClient, site: Site, token: str
):
    """Double clicks, two tabs, a retry while the first is on its way."""
    body = {"client_message_id": "c-1", "text": "Hello"}
    responses = await asyncio.gather(
        *(client.post("/chat/messages", headers=signed(token), json=body) for _ in range(5))
    )

    assert {response.status_code for response in responses} == {201}
    assert len({response.text for response in responses}) == 1
    assert await _customer_lines(site) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Hello, again"},
        {"action": "human"},
        {"text": "Hello", "reply_to": "m-1"},
    ],
)
async def test_the_same_id_with_other_content_is_a_conflict(
    client: httpx.AsyncClient, site: Site, token: str, other: dict[str, str]
):
    """409, and the first message stays as it is."""
    await client.post(
        "/chat/messages", headers=signed(token), json={"client_message_id": "c-1", "text": "Hello"}
    )
    response = await client.post(
        "/chat/messages", headers=signed(token), json={"client_message_id": "c-1", **other}
    )

    assert response.status_code == 409
    assert response.json()["type"] == "urn:tandem:conflict"
    assert await _customer_lines(site) == 1


async def test_two_visitors_may_use_the_same_id(client: httpx.AsyncClient, token: str):
    """An id belongs to its visitor: nobody can occupy another's."""
    other = (await client.post("/chat/sessions", json={})).json()["token"]
    answers = [
        await client.post("/chat/messages", headers=signed(one), json={
            "client_message_id": "c-1", "text": text,
        })
        for one, text in ((token, "Hello"), (other, "Something else"))
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_a_button_calls_a_person(client: httpx.AsyncClient, site: Site, token: str):
    """{action: human} hands over; the customer reads their place in line."""
    headers = signed(token)
    await client.post(
        "/chat/messages", headers=headers, json={"client_message_id": "c-1", "action": "human"}
    )
    read = (await client.get("/chat/messages?after=1&wait=20", headers=headers)).json()
    conversation = await site.world.store.read(
        lambda session: session.exec(select(Conversation)).one()
    )

    assert conversation.state == "waiting"
    assert read["items"][0]["author"] == "system"
    assert "number 1" in read["items"][0]["text"]


async def test_an_agent_is_shown_by_name_and_notes_are_not_shown(
    client: httpx.AsyncClient, site: Site, token: str
):
    """Customers see "Ana", never an agent's id, and no note."""
    headers = signed(token)
    body = {"client_message_id": "c-1", "text": "a person, please"}
    await client.post("/chat/messages", headers=headers, json=body)
    await site.claim()
    await site.say("internal: angry customer", note=True)
    await site.say("Hello from Ana")
    response = await client.get("/chat/messages", headers=headers)
    newest = response.json()["items"][-1]

    assert (newest["author"], newest["agent"], newest["text"]) == ("agent", "Ana", "Hello from Ana")
    assert "internal" not in response.text


async def test_the_language_of_refusals_follows_the_reader(client: httpx.AsyncClient, token: str):
    """Accept-Language decides; the type stays the same."""
    body = {"client_message_id": "c-1", "text": ""}
    texts = {
        language: (
            await client.post(
                "/chat/messages", json=body, headers=signed(token, **{"Accept-Language": language})
            )
        ).json()
        for language in ("zh-CN", "en", "fr")
    }

    assert len({text["type"] for text in texts.values()}) == 1
    assert "字段" in texts["zh-CN"]["detail"]
    assert texts["en"]["detail"] == texts["fr"]["detail"]


async def test_a_token_dies_after_thirty_idle_days(
    client: httpx.AsyncClient, token: str, clock: TurnedClock
):
    """An old browser's token is refused, and says what to do."""
    clock.turn(days=30, seconds=1)
    response = await client.get("/chat/messages", headers=signed(token))

    assert response.status_code == 401
    assert response.json()["type"] == "urn:tandem:unauthorised"
    assert response.headers["www-authenticate"] == "Bearer"


async def _customer_lines(site: Site) -> int:
    rows = await site.world.store.read(
        lambda session: session.exec(select(Message).where(Message.author == "customer")).all()
    )
    return len(rows)
