"""Who may call what: every route has a policy, and what does not fit is refused."""

import re

import pytest
from litestar import get
from litestar.handlers import HTTPRouteHandler
from sqlmodel import Session, func, select

from agent_inbox.console import all_handlers
from agent_inbox.console.guard import Policy, RouteWithoutPolicy, check_policies
from agent_inbox.models import Case
from gateway.models import Audit, Message
from tests.agent_inbox.bench import PASSWORD, Bench
from tests.agent_inbox.browsing import API, JSON, Client, sign_in, thread, view_of

# What each role gets from each policy before anything else is looked at.
REFUSED = {
    (None, Policy.AGENT): 401,
    (None, Policy.ADMIN): 401,
    ("agent", Policy.ADMIN): 403,
}


def routes() -> list[tuple[str, str, Policy]]:
    """(method, path, policy) of every HTTP route of the API, its parameters filled in."""
    return [
        (method, API + _filled(path), handler.opt["policy"])
        for handler in all_handlers()
        if isinstance(handler, HTTPRouteHandler)
        for path in handler.paths
        for method in handler.http_methods
        if not path.startswith("/{name") and path != "/" and method != "OPTIONS"
    ]


def _filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "nothing", re.sub(r"\{[^}]*:int\}", "0", path))


def test_the_inventory_is_whole():
    """The matrix below walks over real routes, not over an empty list."""
    found = routes()

    assert len(found) >= 25
    assert {policy for _, _, policy in found} == set(Policy)


def test_a_route_without_a_policy_does_not_start():
    """Forgetting to say who may call a route is found at start."""

    @get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(RouteWithoutPolicy, match="forgotten"):
        check_policies([*all_handlers(), forgotten])


@pytest.mark.parametrize("role", [None, "agent", "admin"])
async def test_every_role_meets_every_route(bench: Bench, client: Client, role: str | None):
    """Refused where the policy says so, before the body is read; else never refused for rights."""
    await bench.agent("Ana", role="admin")
    await bench.agent("Ben")
    if role is not None:
        await sign_in(client, "Ana" if role == "admin" else "Ben")
    wrong: list[str] = []
    for method, path, policy in routes():
        if path.endswith("/sign-out"):
            continue
        answer = await client.request(method, path, content=b"not json")
        expected = REFUSED.get((role, policy))
        if expected and answer.status_code != expected:
            wrong.append(f"{method} {path}: {answer.status_code}, not {expected}")
        if not expected and (answer.status_code in (401, 403) or answer.status_code >= 500):
            wrong.append(f"{method} {path}: {answer.status_code} {answer.text}")

    assert wrong == []


async def counts(bench: Bench) -> tuple[int, ...]:
    def count(session: Session) -> tuple[int, ...]:
        tables = (Message, Case, Audit)
        return tuple(
            session.exec(select(func.count()).select_from(table)).one() for table in tables
        )

    return await bench.store.read(count)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver.local.evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "http://testserver.local"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_foreign_page_cannot_use_a_sign_in(
    bench: Bench, client: Client, headers: dict[str, str]
):
    """Another site's form or script, sent with the agent's cookie, changes nothing."""
    await bench.agent("Ana")
    await bench.waits()
    await sign_in(client, "Ana")
    shown = await thread(client, bench)
    before = await counts(bench)
    del client.headers["origin"]

    answer = await client.post(
        f"{API}/conversations/{shown['id']}/claim", json={"epoch": shown["epoch"]}, headers=headers
    )

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:tandem:foreign-origin"
    assert await counts(bench) == before


async def test_a_program_proves_itself_with_the_token(bench: Bench, client: Client):
    """Where no Origin is sent, the token from `me` is needed and is enough."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    csrf = (await client.get(f"{API}/me")).json()["agent"]["csrf"]
    del client.headers["origin"]

    without = await client.patch(f"{API}/me", json={"language": "zh"})
    wrong = await client.patch(f"{API}/me", json={"language": "zh"}, headers={"x-csrf-token": "x"})
    right = await client.patch(f"{API}/me", json={"language": "zh"}, headers={"x-csrf-token": csrf})

    assert (without.status_code, wrong.status_code, right.status_code) == (403, 403, 200)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b'{"text":"x"', JSON, 400),
        (b'"just text"', JSON, 422),
        (b"[" * 100_000, JSON, 422),
        (b'{"text":' + b"[" * 100_000, JSON, 422),
        (b'{"unknown":' + b"[" * 100_000, JSON, 422),
        (b'{"text":"hi","client_id":"abcdefgh","admin":true}', JSON, 422),
        (b'{"text":5,"client_id":"abcdefgh"}', JSON, 422),
        (b'{"text":"hi"}', JSON, 422),
        (b'{"text":"","client_id":"abcdefgh"}', JSON, 422),
        (b'{"text":"  ","client_id":"abcdefgh"}', JSON, 422),
        (b'{"text":"nul \\u0000","client_id":"abcdefgh"}', JSON, 422),
        (b'{"text":"\\ud800","client_id":"abcdefgh"}', JSON, 400),
        (b'{"text":"\xff\xfe","client_id":"abcdefgh"}', JSON, 400),
        (b'{"text":"hi","client_id":"../etc"}', JSON, 422),
        (b'{"text":"' + b"x" * 20_001 + b'","client_id":"abcdefgh"}', JSON, 422),
        (b'{"text":"' + b"x" * 1_000_001 + b'","client_id":"abcdefgh"}', JSON, 413),
        (b'{"text":"hi","client_id":"abcdefgh"}', {"content-type": "text/plain"}, 415),
        (b"text=hi", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"", JSON, 400),
    ],
)
async def test_a_hostile_body_is_refused_and_stores_nothing(
    bench: Bench, client: Client, content: bytes, headers: dict[str, str], status: int
):
    """A clear 4xx, never a 500, and not a row more than before."""
    await bench.agent("Ana")
    await bench.waits()
    await sign_in(client, "Ana")
    shown = await thread(client, bench)
    before = await counts(bench)

    answer = await client.post(
        f"{API}/conversations/{shown['id']}/note", content=content, headers=headers
    )

    assert answer.status_code == status, answer.text
    assert answer.json()["type"].startswith("urn:tandem:")
    assert await counts(bench) == before


@pytest.mark.parametrize(
    "query", ["after=xx", "after=AAAA", "which=mine&after=bm90aW5n", "which=everything", "limit=x"]
)
async def test_a_hostile_cursor_is_refused(bench: Bench, client: Client, query: str):
    """What we did not write is no place in a list."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")

    answer = await client.get(f"{API}/cases?{query}")

    assert answer.status_code == 400


async def test_no_answer_tells_an_agents_address_or_a_hash(bench: Bench, client: Client):
    """What an agent reads of colleagues is their name; e-mails are on the admins' page alone."""
    await bench.agent("Ana")
    await bench.agent("Ben", role="admin")
    await bench.waits()
    await sign_in(client, "Ben")
    shown = await thread(client, bench)
    await client.post(
        f"{API}/conversations/{shown['id']}/reply",
        json={"text": "Hello", "client_id": "from-ben", **view_of(shown)},
    )
    await sign_in(client, "Ana")

    answers = [
        (await client.get(path)).text
        for path in (f"{API}/cases?which=all", f"{API}/conversations/{shown['id']}")
    ]

    assert all("Ben" in answer for answer in answers)
    assert all("@example.com" not in answer and "argon2" not in answer for answer in answers)


async def test_every_page_and_answer_carries_the_protecting_headers(bench: Bench, client: Client):
    """Nothing inline, nothing foreign, framed by nobody, and answers are not kept."""
    page = await client.get("/console")
    script = await client.get("/console/app.js")
    answer = await client.get(f"{API}/me")

    for one in (page, script, answer):
        assert "script-src 'self'" in one.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in one.headers["content-security-policy"]
        assert "unsafe" not in one.headers["content-security-policy"]
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert script.headers["content-type"].startswith("text/javascript")


async def test_files_are_sent_again_only_when_they_changed(bench: Bench, client: Client):
    """A screen that is opened every morning costs a few hundred bytes."""
    first = await client.get("/console/app.js")

    again = await client.get("/console/app.js", headers={"if-none-match": first.headers["etag"]})
    unknown = await client.get("/console/..%2f..%2fauth.py")

    assert (again.status_code, again.content) == (304, b"")
    assert unknown.status_code == 404


async def test_an_unbelievable_password_is_not_hashed(bench: Bench, client: Client):
    """A megabyte of password is refused before any work is spent on it."""
    await bench.agent("Ana")

    answer = await client.post(
        f"{API}/sign-in", json={"email": "ana@example.com", "password": PASSWORD * 100}
    )

    assert answer.status_code == 422
