"""Signing in: who gets in, how often one may try, and when it ends."""

import pytest
from sqlmodel import Session, select

from agent_inbox import auth
from agent_inbox.auth import Passwords, WeakPassword, check_password
from agent_inbox.console import ConsoleSettings, make_first_run_link
from agent_inbox.models import Agent, SignIn
from storage.database import Database
from tests.agent_inbox.bench import PASSWORD, Bench
from tests.agent_inbox.browsing import API, Client, sign_in
from tests.conftest import TurnedClock


async def first_run_token(bench: Bench) -> str:
    link = await make_first_run_link(bench.store, bench.clock, "http://localhost:8080/")
    assert link is not None
    return link.rpartition("/")[2]


async def welcome(client: Client, token: str, **changes: str):
    body = {
        "token": token, "password": PASSWORD, "email": "ana@example.com", "name": "Ana", **changes,
    }  # fmt: skip
    return await client.post(f"{API}/welcome", json=body)


async def test_the_first_admin_comes_in_by_the_printed_link(bench: Bench, client: Client):
    """Whoever opens the link is an admin and signed in at once."""
    before = await client.get(f"{API}/me")

    answer = await welcome(client, await first_run_token(bench))

    me = await client.get(f"{API}/me")
    assert before.json() == {"agent": None, "first_run": True}
    assert answer.status_code == 200
    assert me.json()["agent"]["role"] == "admin"
    assert await make_first_run_link(bench.store, bench.clock, "http://x") is None


async def test_the_link_stands_behind_a_hash(bench: Bench):
    """Browsers never send what stands behind #, so no log on the way has the token."""
    link = await make_first_run_link(bench.store, bench.clock, "http://localhost:8080")

    assert link is not None
    assert link.startswith("http://localhost:8080/console#/welcome/")


async def test_a_first_run_link_works_once(bench: Bench, client: Client):
    """A second use, of this or of another link printed before, makes nobody an admin."""
    one, other = await first_run_token(bench), await first_run_token(bench)
    await welcome(client, one)

    again = await welcome(client, one, email="eve@example.com", name="Eve")
    late = await welcome(client, other, email="eve@example.com", name="Eve")

    agents = await bench.store.read(auth.list_agents)
    assert (again.status_code, late.status_code) == (410, 410)
    assert [agent.email for agent in agents] == ["ana@example.com"]


async def test_a_first_run_link_is_good_for_a_day(bench: Bench, client: Client):
    """An old printout opens nothing."""
    token = await first_run_token(bench)
    bench.clock.turn(hours=25)

    answer = await welcome(client, token)

    assert answer.json()["type"] == "urn:tandem:link-spent"


async def test_a_colleague_is_added_and_chooses_a_password(bench: Bench, client: Client):
    """The admin passes a link on; nobody but the colleague ever knows the password."""
    await bench.agent("Ana", role="admin")
    await sign_in(client, "Ana")
    added = await client.post(f"{API}/team", json={"email": "Ben@Example.com", "name": "Ben"})
    token = added.json()["path"].rpartition("/")[2]
    await client.post(f"{API}/sign-out")

    answer = await client.post(f"{API}/welcome", json={"token": token, "password": PASSWORD})

    assert added.json()["agent"]["invited"] is True
    assert answer.json()["agent"]["email"] == "ben@example.com"
    assert answer.json()["agent"]["role"] == "agent"


async def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(
    bench: Bench, client: Client
):
    """Nobody can find out by trying who has an account."""
    await bench.agent("Ana")

    wrong = await client.post(
        f"{API}/sign-in", json={"email": "ana@example.com", "password": "not the right one"}
    )
    unknown = await client.post(
        f"{API}/sign-in", json={"email": "eve@example.com", "password": "not the right one"}
    )

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json() == unknown.json()
    assert "set-cookie" not in wrong.headers


async def test_an_unknown_account_costs_the_same_work():
    """Without a hash to check, one is checked all the same."""
    checked: list[str] = []

    class Watched(Passwords):
        def _verify(self, password_hash: str | None, password: str) -> bool:
            checked.append(password_hash or self._nobodys)
            return super()._verify(password_hash, password)

    passwords = Watched(time_cost=1, memory_kib=64)

    assert not await passwords.matches(None, PASSWORD)
    assert checked[0].startswith("$argon2id$v=19$m=64,t=1")


async def test_an_account_is_closed_for_a_while_after_five_failures(bench: Bench, client: Client):
    """Guessing is slow: even the right password waits, and is taken after the wait."""
    await bench.agent("Ana")
    body = {"email": "ana@example.com", "password": "not the right one"}
    tries = [(await client.post(f"{API}/sign-in", json=body)).status_code for _ in range(6)]

    right = {"email": "ana@example.com", "password": PASSWORD}
    refused = await client.post(f"{API}/sign-in", json=right)
    bench.clock.turn(minutes=1, seconds=1)
    taken = await client.post(f"{API}/sign-in", json=right)

    assert tries == [401, 401, 401, 401, 401, 429]
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 61
    assert taken.status_code == 200


async def test_one_address_cannot_try_many_accounts(bench: Bench, client: Client):
    """Twenty names with one password each are stopped, whoever they belong to."""
    statuses = [
        (await client.post(
            f"{API}/sign-in", json={"email": f"u{n}@example.com", "password": "a common guess"}
        )).status_code
        for n in range(21)
    ]  # fmt: skip

    assert statuses == [401] * 20 + [429]


async def test_a_forged_address_does_not_help(bench: Bench, client: Client):
    """Without a trusted proxy in front, X-Forwarded-For is somebody's claim."""
    statuses = [
        (await client.post(
            f"{API}/sign-in", headers={"x-forwarded-for": f"10.0.0.{n}"},
            json={"email": f"u{n}@example.com", "password": "a common guess"},
        )).status_code
        for n in range(21)
    ]  # fmt: skip

    assert statuses[-1] == 429


async def test_a_sign_in_ends_after_eight_idle_hours(bench: Bench, client: Client):
    """Use keeps it alive; a night ends it."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    alive: list[int] = []
    for hours in (7, 7, 9):
        bench.clock.turn(hours=hours)
        alive.append((await client.get(f"{API}/cases")).status_code)

    assert alive == [200, 200, 401]


async def test_a_sign_in_ends_after_a_week_however_busy(bench: Bench, client: Client):
    """Nobody stays signed in for ever."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    statuses: list[int] = []
    for _ in range(29):
        bench.clock.turn(hours=6)
        statuses.append((await client.get(f"{API}/cases")).status_code)

    assert statuses[:27] == [200] * 27
    assert statuses[-1] == 401


async def test_signing_in_again_ends_the_token_before(bench: Bench, client: Client):
    """A token that was planted or overseen is worth nothing after a sign-in."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    old = client.cookies["tandem"]
    await sign_in(client, "Ana")

    client.cookies.set("tandem", old)
    answer = await client.get(f"{API}/cases")

    assert answer.status_code == 401


async def test_disabling_somebody_ends_their_sign_ins(bench: Bench, client: Client):
    """From the next request on, and a new one is refused like any wrong password."""
    await bench.agent("Ana", role="admin")
    await bench.agent("Ben")
    ben = await bench.named("Ben")
    await sign_in(client, "Ben")
    token = client.cookies["tandem"]
    await sign_in(client, "Ana")
    await client.patch(f"{API}/team/{ben.id}", json={"enabled": False})

    client.cookies.set("tandem", token)
    answer = await client.get(f"{API}/cases")
    again = await client.post(
        f"{API}/sign-in", json={"email": "ben@example.com", "password": PASSWORD}
    )

    assert answer.status_code == 401
    assert again.json()["type"] == "urn:tandem:wrong-credentials"


async def test_disabling_somebody_puts_their_conversations_back(bench: Bench, client: Client):
    """Nobody keeps a customer who cannot answer any more."""
    await bench.agent("Ana", role="admin")
    ben = await bench.agent("Ben")
    await bench.waits()
    await bench.desk.claim(ben, await bench.view())
    await sign_in(client, "Ana")

    await client.patch(f"{API}/team/{ben.id}", json={"enabled": False})

    assert (await bench.world.conversation()).state == "waiting"


async def test_an_admin_does_not_lock_themselves_out(bench: Bench, client: Client):
    """One's own rights are changed by somebody else."""
    ana = await bench.agent("Ana", role="admin")
    await sign_in(client, "Ana")

    answer = await client.patch(f"{API}/team/{ana.id}", json={"enabled": False})

    assert answer.status_code == 409


async def test_ones_browsers_are_listed_and_can_be_signed_out(bench: Bench, client: Client):
    """A forgotten computer is ended from another one."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    forgotten = client.cookies["tandem"]
    client.cookies.clear()
    await sign_in(client, "Ana")
    listed = (await client.get(f"{API}/me/browsers")).json()

    other = next(one for one in listed if not one["this"])
    await client.delete(f"{API}/me/browsers/{other['id']}")

    client.cookies.set("tandem", forgotten)
    assert len(listed) == 2
    assert (await client.get(f"{API}/cases")).status_code == 401


async def test_a_new_password_ends_the_other_browsers(bench: Bench, client: Client):
    """Whoever knew the old one is out; the browser it was changed in stays."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    other = client.cookies["tandem"]
    client.cookies.clear()
    await sign_in(client, "Ana")
    mine = client.cookies["tandem"]

    refused = await client.post(
        f"{API}/me/password", json={"old": "a wrong old one", "new": "nine blue elephants"}
    )
    changed = await client.post(
        f"{API}/me/password", json={"old": PASSWORD, "new": "nine blue elephants"}
    )

    assert (refused.status_code, changed.status_code) == (403, 204)
    client.cookies.set("tandem", other)
    assert (await client.get(f"{API}/cases")).status_code == 401
    client.cookies.set("tandem", mine)
    assert (await client.get(f"{API}/cases")).status_code == 200
    await sign_in(client, "Ana", "nine blue elephants")


async def test_the_database_holds_no_token_and_no_password(bench: Bench, client: Client):
    """A stolen copy of the store signs nobody in."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    token = client.cookies["tandem"]

    def stored(session: Session) -> str:
        rows = [*session.exec(select(SignIn)), *session.exec(select(Agent))]
        return repr([row.model_dump() for row in rows])

    everything = await bench.store.read(stored)
    assert len(token) >= 43
    assert token not in everything
    assert PASSWORD not in everything


async def test_over_https_the_cookie_is_bound_to_the_host(database: Database, clock: TurnedClock):
    """`__Host-`, Secure, HttpOnly and SameSite=Lax; over plain http the prefix cannot be used."""
    bench = Bench(database, clock, settings=ConsoleSettings(public_url="https://chat.example.com"))
    await bench.agent("Ana")
    async with Client(bench.app) as client:
        secure = await client.post(
            f"{API}/sign-in", json={"email": "ana@example.com", "password": PASSWORD},
            headers={"origin": "https://chat.example.com"},
        )  # fmt: skip

    parts = {part.strip().lower() for part in secure.headers["set-cookie"].split(";")}
    assert secure.headers["set-cookie"].startswith("__Host-tandem=")
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("elevenchars", "short"),
        ("x" * 201, "long"),
        ("Password1234", "common"),
        ("abcabcabcabcabc", "simple"),
        ("1234567890123456", "simple"),
        ("asdfghjklqwertyuiop", "simple"),
        ("ana.smith2026!!", "own_email"),
    ],
)
def test_a_password_that_would_be_guessed_is_refused(password: str, reason: str):
    """Length and being unguessable count; composition does not."""
    with pytest.raises(WeakPassword) as refused:
        check_password(password, "ana.smith@example.com")

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "password", ["seven green bicycles", "七辆绿色的自行车停在楼下呢", "x7#Lq!2v9@Tz"]
)
def test_a_long_enough_password_of_any_kind_is_fine(password: str):
    """Spaces, other scripts and no digits at all are welcome."""
    check_password(password, "ana@example.com")
