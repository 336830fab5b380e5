"""Who is who, over HTTP: found, joined with a reason, parted again, by those who may."""

from typing import Any

import pytest
from sqlmodel import select

from agent_inbox.desk import Worker
from agent_inbox.people import FOUND_MAX
from gateway import audit
from gateway.models import Audit, Link
from tests.agent_inbox.bench import Bench
from tests.agent_inbox.browsing import API, Client, sign_in, thread, view_of


@pytest.fixture
async def ana(bench: Bench, client: Client) -> Worker:
    worker = await bench.agent("Ana")
    await sign_in(client, "Ana")
    return worker


async def elsewhere(bench: Bench, chat: str = "c1", **fields: Any) -> None:
    """Somebody writes on the other channel."""
    await bench.world.ingress.store(bench.world.memory.event_of(chat=chat, text="Hello", **fields))
    await bench.world.worker.settle()


async def found(client: Client, words: str, **more: str) -> dict[str, Any]:
    answer = await client.get(f"{API}/people", params={"q": words, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def join(client: Client, shown: dict[str, Any], person: str, reason: str = "they said so"):
    body = {"epoch": shown["epoch"], "person": person, "reason": reason}
    return await client.post(f"{API}/conversations/{shown['id']}/join", json=body)


async def part(client: Client, shown: dict[str, Any], link: str, reason: str = "a mistake"):
    body = {"epoch": shown["epoch"], "link": link, "reason": reason}
    return await client.post(f"{API}/conversations/{shown['id']}/part", json=body)


async def test_a_person_is_found_by_name_email_account_or_case(
    bench: Bench, client: Client, ana: Worker
):
    """Part of a name; the others whole: nobody browses through addresses."""
    await elsewhere(bench, name="Li Wei", email="li@example.com")
    await bench.waits(visitor="v9")
    case = await bench.case("v9")
    assert case is not None

    for words in ("li w", "WEI", "li@example.com", "c1"):
        assert [one["name"] for one in (await found(client, words))["items"]] == ["Li Wei"], words
    assert len((await found(client, f"#{case.number}"))["items"]) == 1
    for words in ("", "li@", "example.com", "%", "nobody"):
        assert (await found(client, words))["items"] == [], words


async def test_a_search_shows_twenty_and_goes_on(bench: Bench, client: Client, ana: Worker):
    """One more than a page: each once."""
    for number in range(FOUND_MAX + 1):
        await elsewhere(bench, f"c{number}", name=f"Li {number}")
    first = await found(client, "li ")
    second = await found(client, "li ", after=first["next"])

    names = [one["name"] for page in (first, second) for one in page["items"]]
    assert len(first["items"]) == FOUND_MAX
    assert len(names) == len(set(names)) == FOUND_MAX + 1
    assert second["next"] is None


async def test_joining_shows_both_accounts_with_proof_and_reason(
    bench: Bench, client: Client, ana: Worker
):
    """One transcript; who did it and why is on the card, in the talk and in the audit."""
    await elsewhere(bench, name="Li Wei")
    await bench.says("On the website")
    [other] = (await found(client, "Li Wei"))["items"]
    answer = await join(client, await thread(client, bench), other["id"])

    shown = answer.json()
    assert answer.status_code == 200, answer.text
    [joined, own] = sorted(shown["accounts"], key=lambda one: one["proof"])
    assert (joined["channel"], joined["proof"], joined["by"]) == ("memory", "agent", "Ana")
    assert joined["reason"] == "they said so"
    assert (own["proof"], own["link_id"]) == ("channel", None)
    assert "they said so" in next(line["text"] for line in shown["lines"] if line["note"])
    entries = await bench.store.read(lambda s: s.exec(select(Audit)).all())
    entry = next(one for one in entries if one.action == "join")
    assert (entry.actor, entry.detail["reason"]) == (f"agent:{ana.id}", "they said so")
    assert await bench.store.read(audit.first_broken) is None


async def test_undoing_parts_them_and_is_written_down(bench: Bench, client: Client, ana: Worker):
    """The link stays in the books with who undid it; undone twice it is not there."""
    await elsewhere(bench, name="Li Wei")
    await bench.says("On the website")
    [other] = (await found(client, "Li Wei"))["items"]
    joined = (await join(client, await thread(client, bench), other["id"])).json()
    link = next(one["link_id"] for one in joined["accounts"] if one["link_id"])
    answer = await part(client, joined, link)
    again = await part(client, answer.json(), link)

    assert [one["channel"] for one in answer.json()["accounts"]] == ["web"]
    assert again.status_code == 404
    books = await bench.store.read(lambda s: s.exec(select(Link)).one())
    assert (books.undone_by, books.undone_reason) == (f"agent:{ana.id}", "a mistake")
    actions = await bench.store.read(lambda s: s.exec(select(Audit.action)).all())
    assert [one for one in actions if one in ("join", "part")] == ["join", "part"]


async def test_the_further_case_stays_and_the_other_one_ends_as_joined(
    bench: Bench, client: Client, ana: Worker
):
    """Never two open cases of one person, and the agent keeps theirs."""
    await bench.waits("First", "v2")
    await bench.waits("Second", "v1")
    mine = await bench.view("v1")
    await bench.desk.claim(ana, mine)
    other = (await thread(client, bench, "v2"))["id"]
    people = await bench.store.read(lambda s: _contact(s, other))
    shown = (await join(client, await thread(client, bench, "v1"), people)).json()

    assert (shown["state"], shown["owner"]) == ("agent", ana.id)
    [ended] = [one for one in shown["earlier"] if one["outcome"] == "joined"]
    opened = await client.get(f"{API}/conversations/{ended['conversation_id']}")
    assert opened.json()["id"] == shown["id"]


def _contact(session: Any, conversation_id: str) -> str:
    from gateway.models import Conversation

    return session.get(Conversation, conversation_id).contact_id


async def test_only_the_owner_and_admins_say_who_is_who(bench: Bench, client: Client, ana: Worker):
    """While Ben has either conversation, Ana can neither join nor part."""
    ben = await bench.agent("Ben")
    await elsewhere(bench, name="Li Wei")
    await bench.says("On the website")
    await bench.desk.claim(ben, await bench.view())
    [other] = (await found(client, "Li Wei"))["items"]
    shown = await thread(client, bench)

    assert (await join(client, shown, other["id"])).status_code == 403
    assert (await part(client, shown, "any")).status_code == 403
    await bench.agent("Eva", role="admin")
    await sign_in(client, "Eva")
    assert (await join(client, shown, other["id"])).status_code == 200


async def test_what_cannot_be_joined_is_refused_in_words(bench: Bench, client: Client, ana: Worker):
    """Two who are vouched for, oneself, nobody, no reason, an old view, a stranger's link."""
    await elsewhere(bench, "c1", name="One", verified=True)
    await elsewhere(bench, "c2", name="Two", verified=True)
    [one], [two] = [(await found(client, name))["items"] for name in ("One", "Two")]
    found_one = await bench.world.conversation("c1")
    shown = (await client.get(f"{API}/conversations/{found_one.id}")).json()

    assert (await join(client, shown, two["id"])).status_code == 409
    assert (await join(client, shown, one["id"])).status_code == 409
    assert (await join(client, shown, "nobody")).status_code == 404
    assert (await join(client, shown, two["id"], reason=" ")).status_code == 422
    assert (await join(client, {**shown, "epoch": 9}, two["id"])).status_code == 409
    assert (await part(client, shown, "no-link")).status_code == 404


async def test_a_reply_to_a_talk_that_was_joined_meanwhile_is_refused(
    bench: Bench, client: Client, ana: Worker
):
    """It shows how the talk stands now, so that nothing is sent into an empty shell."""
    await bench.says("On the website", visitor="v2")
    await bench.says("On another browser", visitor="v1")
    shown = await thread(client, bench, "v2")
    kept = await thread(client, bench, "v1")
    gone = await bench.store.read(lambda s: _contact(s, shown["id"]))
    await join(client, kept, gone)
    body = {"text": "Hello", "client_id": bench.client_id(), **view_of(shown)}
    answer = await client.post(f"{API}/conversations/{shown['id']}/reply", json=body)

    assert answer.status_code == 409
    assert answer.json()["extra"]["thread"]["id"] == kept["id"]
