"""The Inbox over HTTP: lists, a conversation, and the verbs as a screen sends them."""

import pytest

from tests.agent_inbox.bench import Bench
from tests.agent_inbox.browsing import API, Client, sign_in, thread, view_of


@pytest.fixture
async def ana(bench: Bench, client: Client):
    worker = await bench.agent("Ana")
    await sign_in(client, "Ana")
    return worker


async def listed(client: Client, which: str, after: str | None = None, limit: int = 30):
    params = {"which": which, "limit": str(limit)} | ({"after": after} if after else {})
    answer = await client.get(f"{API}/cases", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def act(client: Client, shown: dict[str, str], verb: str, **body: object):
    return await client.post(f"{API}/conversations/{shown['id']}/{verb}", json=body)


async def test_the_queue_shows_who_waits_longest_first(bench: Bench, client: Client, ana: object):
    """With what they want, since when, and why they are here."""
    for number, visitor in enumerate(("v1", "v2", "v3")):
        await bench.waits(f"Question {number}", visitor)
        bench.clock.turn(minutes=1)

    page = await listed(client, "queue")

    assert [row["said"] for row in page["items"]] == ["Question 0", "Question 1", "Question 2"]
    assert {row["reason"] for row in page["items"]} == {"asked"}
    assert page["waiting"] == 3
    assert page["next"] is None


@pytest.mark.parametrize("which", ["queue", "all"])
async def test_pages_hold_every_conversation_once(
    bench: Bench, client: Client, ana: object, which: str
):
    """Going on from a cursor leaves nothing out and shows nothing twice, whatever arrives."""
    for number in range(7):
        await bench.waits(visitor=f"v{number}")
        bench.clock.turn(seconds=number % 2)  # some of them in the same moment
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await listed(client, which, after, limit=3)
        seen += [row["conversation_id"] for row in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert len(seen) == len(set(seen)) == 7


async def test_all_shows_the_newest_activity_of_every_state_first(
    bench: Bench, client: Client, ana: object
):
    """Bot, waiting, owned and closed ones are one list."""
    await bench.says("With the bot", visitor="v1")
    bench.clock.turn(minutes=1)
    await bench.waits("In the queue", "v2")
    bench.clock.turn(minutes=1)
    await bench.waits("Closed", "v3")
    await bench.desk.resolve(await bench.agent("Ben"), await bench.view("v3"), outcome="solved")

    page = await listed(client, "all")

    assert [row["state"] for row in page["items"]] == ["closed", "waiting", "bot"]


async def test_mine_holds_what_i_have_and_nothing_else(bench: Bench, client: Client, ana: object):
    """A claim moves a case from the queue to mine, a resolve takes it out."""
    await bench.waits()
    shown = await thread(client, bench)
    claimed = (await act(client, shown, "claim", epoch=shown["epoch"])).json()
    mine, queue = await listed(client, "mine"), await listed(client, "queue")

    await act(client, claimed, "resolve", outcome="solved", topic="", **view_of(claimed))

    assert [row["conversation_id"] for row in mine["items"]] == [shown["id"]]
    assert queue["items"] == []
    assert (await listed(client, "mine"))["items"] == []


async def test_a_conversation_comes_with_all_that_an_agent_needs(
    bench: Bench, client: Client, ana: object
):
    """Brief, place, accounts, lines with the bot's sources, and the view to act with."""
    await bench.world.ask("How do I return shoes?")
    await bench.waits("Order A-20391 came damaged.")

    shown = await thread(client, bench)

    answer = next(line for line in shown["lines"] if line["author"] == "bot")
    assert answer["citations"][0]["title"] == "Returns"
    assert shown["case"]["brief"]["tried"][0]["sources"] == ["Returns"]
    assert shown["case"]["brief"]["mentions"][0]["text"] == "A-20391"
    assert shown["place"] == 1
    assert shown["accounts"][0]["channel"] == "web"
    assert shown["newest_seq"] == shown["lines"][-1]["seq"]


async def test_a_long_talk_is_read_backwards_in_pages(bench: Bench, client: Client, ana: object):
    """The newest lines come at once, older ones when they are asked for, none twice."""
    for number in range(70):
        await bench.says(f"line {number}")
    shown = await thread(client, bench)

    earlier = await client.get(
        f"{API}/conversations/{shown['id']}/lines?before={shown['first_seq']}"
    )

    seqs = [line["seq"] for line in (*earlier.json(), *shown["lines"])]
    assert len(shown["lines"]) == 60
    assert seqs == list(range(1, 71))


async def test_a_stale_reply_shows_what_is_new_and_goes_out_when_sent_again(
    bench: Bench, client: Client, ana: object
):
    """409 with the conversation as it is now; the same reply on the new view is delivered once."""
    await bench.waits()
    shown = await thread(client, bench)
    await bench.says("Wait, wrong order number!")
    reply = {"text": "I found it.", "client_id": "one-reply"}

    refused = await act(client, shown, "reply", **reply, **view_of(shown))
    now = refused.json()["extra"]["thread"]
    sent = await act(client, shown, "reply", **reply, **view_of(now))
    again = await act(client, shown, "reply", **reply, **view_of(now))

    agent_lines = [line["text"] for line in again.json()["lines"] if line["author"] == "agent"]
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:tandem:stale-view"
    assert now["lines"][-1]["text"] == "Wait, wrong order number!"
    assert (sent.status_code, agent_lines) == (200, ["I found it."])


async def test_the_slower_agent_reads_who_has_it(bench: Bench, client: Client, ana: object):
    """A lost race names the winner."""
    ben = await bench.agent("Ben")
    await bench.waits()
    shown = await thread(client, bench)
    await bench.desk.claim(ben, await bench.view())

    refused = await act(client, shown, "claim", epoch=shown["epoch"])

    assert refused.json()["type"] == "urn:tandem:stale-owner"
    assert refused.json()["extra"]["thread"]["owner_name"] == "Ben"


async def test_a_release_of_somebody_elses_is_forbidden(bench: Bench, client: Client, ana: object):
    """The screen does not offer it, and the server does not do it."""
    await bench.waits()
    await bench.desk.claim(await bench.agent("Ben"), await bench.view())
    shown = await thread(client, bench)

    refused = await act(client, shown, "release", epoch=shown["epoch"])

    assert refused.status_code == 403


async def test_earlier_cases_of_the_same_person_are_on_the_card(
    bench: Bench, client: Client, ana: object
):
    """What it was about last time, and how it ended."""
    await bench.waits()
    shown = await thread(client, bench)
    await act(client, shown, "resolve", outcome="solved", topic="delivery", **view_of(shown))
    await bench.waits("And now the invoice.")

    card = await thread(client, bench)

    assert [(one["outcome"], one["topic"]) for one in card["earlier"]] == [("solved", "delivery")]


async def test_the_console_follows_the_agents_language(bench: Bench, client: Client, ana: object):
    """A choice is kept with the account, not with the browser."""
    await client.patch(f"{API}/me", json={"language": "zh"})

    me = (await client.get(f"{API}/me")).json()

    assert me["agent"]["language"] == "zh"
