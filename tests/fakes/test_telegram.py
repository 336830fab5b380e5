"""Our Telegram is honest: it keeps to the documented limits, and refuses in documented words."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import TurnedClock
from tests.fakes.telegram import TOKEN, Telegram
from tests.fakes.telegram.checks import TEXT_UNITS_MAX

Call = Any


@pytest.fixture
def network(clock: TurnedClock) -> Telegram:
    return Telegram(clock)


@pytest.fixture
async def call(network: Telegram) -> AsyncIterator[Call]:
    """Calls a method with parameters; what was answered."""
    async with network.served() as url, httpx.AsyncClient() as client:

        async def make(method: str, **fields: Any) -> dict[str, Any]:
            return (await client.post(f"{url}/bot{network.token}/{method}", json=fields)).json()

        yield make


async def test_a_wrong_token_and_an_unknown_method(network: Telegram):
    """401 and 404, as documented."""
    async with network.served() as url, httpx.AsyncClient() as client:
        refused = await client.post(f"{url}/bot1:wrong/getMe")
        unknown = await client.post(f"{url}/bot{TOKEN}/sendPigeon")

    assert (refused.status_code, refused.json()["description"]) == (401, "Unauthorized")
    assert (unknown.status_code, unknown.json()["description"]) == (404, "Not Found")


async def test_one_message_a_second_and_the_wait_is_waited_out(
    network: Telegram, call: Call, clock: TurnedClock
):
    """The second one within a second is refused; who comes before the wait is over is noted."""
    mia = network.customer()
    mia.start()
    first = await call("sendMessage", chat_id=mia.id, text="1")
    burst = await call("sendMessage", chat_id=mia.id, text="2")
    clock.turn(seconds=1)
    early = await call("sendMessage", chat_id=mia.id, text="2")
    clock.turn(seconds=3)
    in_time = await call("sendMessage", chat_id=mia.id, text="2")

    assert [one["ok"] for one in (first, burst, early, in_time)] == [True, False, False, True]
    assert burst["parameters"] == {"retry_after": 3}
    assert network.floods.early == [mia.id]


async def test_thirty_a_second_in_all(network: Telegram, call: Call):
    """The thirty-first to somebody else is refused, too."""
    crowd = [network.customer() for _ in range(31)]
    for one in crowd:
        one.start()
    answers = [await call("sendMessage", chat_id=one.id, text="x") for one in crowd]

    assert [one["ok"] for one in answers] == [True] * 30 + [False]


async def test_twenty_a_minute_to_a_group(network: Telegram, call: Call, clock: TurnedClock):
    """The twenty-first within a minute has to wait for the minute's end."""
    group = network.group()
    answers: list[dict[str, Any]] = []
    for _ in range(21):
        answers.append(await call("sendMessage", chat_id=group, text="x"))
        clock.turn(seconds=2)

    assert [one["ok"] for one in answers] == [True] * 20 + [False]
    assert answers[-1]["parameters"]["retry_after"] == 20


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": " "}, "message text is empty"),
        ({"text": "👍" * (TEXT_UNITS_MAX // 2) + "x"}, "message is too long"),
        ({"text": "x", "chat_id": 1}, "chat not found"),
        ({"text": "👍x", "entities": [{"type": "bold", "offset": 1, "length": 1}]}, "cuts"),
        ({"text": "x", "entities": [{"type": "bold", "offset": 0, "length": 2}]}, "outside"),
        ({"text": "x", "entities": [{"type": "big", "offset": 0, "length": 1}]}, "unsupported"),
        ({"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "b",
          "callback_data": "d" * 65}]]}}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "reply_parameters": {"message_id": 99}}, "replied not found"),
        ({"text": "x", "message_thread_id": 5}, "message thread not found"),
    ],
)  # fmt: skip
async def test_what_is_refused(network: Telegram, call: Call, fields: dict[str, Any], said: str):
    """400, with the words that clients look for; nothing is shown."""
    mia = network.customer()
    mia.start()
    answer = await call("sendMessage", **({"chat_id": mia.id} | fields))

    assert answer["error_code"] == 400
    assert answer["description"].startswith("Bad Request: ")
    assert said in answer["description"]
    assert mia.heard() == []


async def test_edits_know_their_message(network: Telegram, call: Call):
    """The same again, a message that is not there, one that is not ours."""
    mia = network.customer()
    asked = mia.start()
    sent = (await call("sendMessage", chat_id=mia.id, text="One moment"))["result"]["message_id"]
    edit = {"chat_id": mia.id, "text": "Done"}
    answers = [
        await call("editMessageText", message_id=number, **edit)
        for number in (sent, sent, 99, asked)
    ]

    assert [one.get("description", "ok").partition(" (")[0][:45] for one in answers] == [
        "ok", "Bad Request: message is not modified: specifi",
        "Bad Request: message to edit not found", "Bad Request: message can't be edited",
    ]  # fmt: skip
    assert mia.heard() == ["Done"]


async def test_updates_are_kept_until_they_are_confirmed(network: Telegram, call: Call):
    """Asked without an offset they come again; with it, those below are over."""
    mia = network.customer()
    mia.write("one")
    mia.write("two")
    both = (await call("getUpdates"))["result"]
    again = (await call("getUpdates"))["result"]
    rest = (await call("getUpdates", offset=both[0]["update_id"] + 1))["result"]

    assert [one["message"]["text"] for one in both] == ["one", "two"]
    assert again == both
    assert rest == both[1:]


async def test_fetching_and_a_webhook_exclude_each_other(network: Telegram, call: Call):
    """409 while a webhook is set."""
    await call("setWebhook", url="https://a.example")
    answer = await call("getUpdates")

    assert answer["error_code"] == 409
    assert "webhook is active" in answer["description"]


async def test_of_two_who_fetch_the_first_is_sent_away(network: Telegram, call: Call):
    """409 for the one that waited, as when two programs use one token."""
    waiting = asyncio.create_task(call("getUpdates", timeout=20))
    while not network.called("getUpdates"):  # noqa: ASYNC110 - the call has to be there first
        await asyncio.sleep(0.005)
    second = await call("getUpdates", timeout=0)
    first = await waiting

    assert (first["error_code"], second["ok"]) == (409, True)
    assert "terminated by other getUpdates request" in first["description"]


async def test_a_press_lives_150_seconds(network: Telegram, call: Call, clock: TurnedClock):
    """Confirmed later, it is too old."""
    mia = network.customer()
    query = mia.press_data("human", {"message_id": 1, "chat": {"id": mia.id}})
    clock.turn(seconds=150)
    fresh = await call("answerCallbackQuery", callback_query_id=query)
    clock.turn(seconds=1)
    old = await call("answerCallbackQuery", callback_query_id=query)

    assert fresh["ok"]
    assert "query is too old" in old["description"]


def test_its_token_looks_like_one():
    """So that settings take it."""
    assert len(TOKEN.partition(":")[2]) >= 30
