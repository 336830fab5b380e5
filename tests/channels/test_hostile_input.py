"""Input that no honest client sends: 4xx with a clear text, never 500, and nothing stored."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import func
from sqlmodel import select

from gateway.models import InboxEvent, Message, Visitor
from tests.channels.site import FOREIGN, FRIEND, Site, signed
from tests.channels.test_strict_json import HOSTILE

GOOD: dict[str, Any] = {"client_message_id": "c-1", "text": "Hello"}
JSON = {"Content-Type": "application/json"}

WRONG_FIELDS: dict[str, Any] = {
    "no id": {"text": "Hello"},
    "an empty id": GOOD | {"client_message_id": ""},
    "an id of 65": GOOD | {"client_message_id": "a" * 65},
    "an id with a colon": GOOD | {"client_message_id": "a:b"},
    "an id with a line end": GOOD | {"client_message_id": "a\n"},
    "an id in Arabic digits": GOOD | {"client_message_id": "١٢"},
    "an id that is a number": GOOD | {"client_message_id": 1},
    "neither text nor action": {"client_message_id": "c-1"},
    "both text and action": GOOD | {"action": "human"},
    "an unknown action": {"client_message_id": "c-1", "action": "rate-6"},
    "an empty text": GOOD | {"text": ""},
    "only white space": GOOD | {"text": " \t\n\u3000 "},
    "only control characters": GOOD | {"text": "\x07\x08"},
    "a text that is a list": GOOD | {"text": ["Hello"]},
    "a text that is null": GOOD | {"text": None},
    "an unknown field": GOOD | {"author": "agent"},
    "another's address": GOOD | {"account": "other", "contact_id": "1"},
    "a list": [GOOD],
    "a text": "Hello",
    "null": None,
}
UNSTORABLE = {
    "NUL": r'"a\u0000b"',
    "a lone surrogate": r'"a\ud800b"',
    "a reversed pair": r'"\udc00\ud800"',
}


@pytest.fixture(autouse=True)
async def _nothing_is_stored(site: Site, token: str):
    """After every test of this file: no event, no message."""
    yield
    for table in (InboxEvent, Message):
        count = select(func.count()).select_from(table)
        assert site.world.store.database.read_now(lambda s, q=count: s.exec(q).one()) == 0


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("path", ["/chat/messages", "/chat/sessions"])
async def test_hostile_json_is_a_400(client: httpx.AsyncClient, token: str, path: str, body: bytes):
    """Refused before anybody parses it (or as too large)."""
    response = await client.post(path, content=body, headers=signed(token, **JSON))

    assert response.status_code in (400, 413)
    assert response.json()["type"] in ("urn:tandem:bad-json", "urn:tandem:too-large")
    assert len(response.json()["detail"]) < 200


@pytest.mark.parametrize("body", WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, token: str, body: Any):
    """422 with the field and the reason; what was sent is not echoed."""
    response = await client.post(
        "/chat/messages", content=json.dumps(body), headers=signed(token, **JSON)
    )

    assert response.status_code == 422
    assert response.json()["type"] == "urn:tandem:invalid"
    assert response.json()["extra"]["fields"]
    assert "Hello" not in response.text


@pytest.mark.parametrize("text", UNSTORABLE.values(), ids=UNSTORABLE.keys())
async def test_text_that_no_database_keeps_is_refused(
    client: httpx.AsyncClient, token: str, text: str
):
    """The sender is told; the text is not changed in silence."""
    body = f'{{"client_message_id": "c-1", "text": {text}}}'.encode()
    response = await client.post("/chat/messages", content=body, headers=signed(token, **JSON))

    assert response.status_code == 422
    assert response.json()["type"] == "urn:tandem:unstorable-text"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/json; charset=utf-16", "application/jsonp", "", "APPLICATION/XML",
    ],
)  # fmt: skip
async def test_only_application_json_is_read(
    client: httpx.AsyncClient, token: str, content_type: str
):
    """A foreign form cannot reach us without a preflight."""
    headers = signed(token, **{"Content-Type": content_type})
    response = await client.post("/chat/messages", content=b'{"text":"a"}', headers=headers)

    assert response.status_code == 415
    assert response.json()["type"] == "urn:tandem:not-json"


async def test_a_packed_body_is_refused(client: httpx.AsyncClient, token: str):
    """No gzip bomb is ever unpacked."""
    headers = signed(token, **JSON, **{"Content-Encoding": "gzip"})
    response = await client.post("/chat/messages", content=b"\x1f\x8b", headers=headers)

    assert response.status_code == 415


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "Bearer " + "a" * 5_000],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_wrong_token_opens_nothing(
    client: httpx.AsyncClient, method: str, authorization: str
):
    """401 for missing, malformed, unknown and giant tokens alike."""
    headers = {"Authorization": authorization} if authorization else {}
    body = GOOD if method == "POST" else None
    response = await client.request(method, "/chat/messages", headers=headers, json=body)

    assert response.status_code == 401


async def test_a_revoked_token_opens_nothing(client: httpx.AsyncClient, site: Site, token: str):
    """Revoked is as good as unknown."""
    await site.revoke()
    response = await client.post("/chat/messages", json=GOOD, headers=signed(token))

    assert response.status_code == 401


@pytest.mark.parametrize("origin", [FOREIGN, "null", FRIEND + ".evil.test", "http://shop.example"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_foreign_page_is_refused(
    client: httpx.AsyncClient, token: str, method: str, origin: str
):
    """403 even with a valid token, and no header that would let the page read anything."""
    headers = signed(token, Origin=origin)
    body = GOOD if method == "POST" else None
    response = await client.request(method, "/chat/messages", headers=headers, json=body)

    assert response.status_code == 403
    assert response.json()["type"] == "urn:tandem:foreign-origin"
    assert "access-control-allow-origin" not in response.headers


async def test_a_foreign_page_cannot_even_start_a_session(client: httpx.AsyncClient, site: Site):
    """Nor use up our visitors' quota."""
    response = await client.post("/chat/sessions", json={}, headers={"Origin": FOREIGN})
    visitors = site.world.store.database.read_now(
        lambda s: s.exec(select(func.count()).select_from(Visitor)).one()
    )

    assert response.status_code == 403
    assert visitors == 1  # the fixture's own


async def test_an_allowed_page_may_read_the_answer_and_the_refusal(
    client: httpx.AsyncClient, token: str
):
    """CORS for the named site only: no wildcard, no credentials."""
    for headers in (signed(token, Origin=FRIEND), {"Origin": FRIEND}):
        response = await client.get("/chat/messages", headers=headers)
        assert response.headers["access-control-allow-origin"] == FRIEND
        assert response.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in response.headers


async def test_a_preflight_of_an_allowed_page_is_answered(client: httpx.AsyncClient):
    """Authorization and Content-Type are allowed, GET and POST."""
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    response = await client.options("/chat/messages", headers=headers)

    assert response.status_code == 204
    assert "Authorization" in response.headers["access-control-allow-headers"]
    assert "POST" in response.headers["access-control-allow-methods"]


@pytest.mark.parametrize("query", [
    "after=-1", "after=x", "after=1.5", "after=99999999999999999999", "wait=-1", "wait=x",
    "wait=nan", "after=1&after=x",
])  # fmt: skip
async def test_a_wrong_query_is_refused(client: httpx.AsyncClient, token: str, query: str):
    """Numbers out of range never reach the database."""
    response = await client.get(f"/chat/messages?{query}", headers=signed(token))

    assert response.status_code == 422


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, token: str, method: str):
    """405, TRACE included."""
    response = await client.request(method, "/chat/messages", headers=signed(token))

    assert response.status_code == 405
