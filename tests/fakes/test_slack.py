"""The fake Slack is as strict as the real one: what it lets through would pass there, too."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.conftest import TurnedClock
from tests.fakes.serving import served
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, Acts, SlackServer
from tests.fakes.slack.workspace import BOT_USER


@pytest.fixture
async def slack(clock: TurnedClock) -> AsyncIterator[SlackServer]:
    server = SlackServer(clock=clock)
    async with served(server.app) as server.url:
        yield server


async def ask(
    slack: SlackServer, method: str, *, token: str = BOT_TOKEN, **values: Any
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.post(f"{slack.api_url}{method}", json=values) as answer,
    ):
        return {**await answer.json(), "status": answer.status, "headers": answer.headers}


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, "no_text"), ({"text": "x" * 13_201}, "msg_too_long"),
        ({"blocks": [section("x" * 3_001)]}, "invalid_blocks"),
        ({"blocks": [section("😀" * 1_501)]}, "invalid_blocks"),
        ({"blocks": [section("a", block_id="b"), section("c", block_id="b")]}, "invalid_blocks"),
        ({"blocks": [section("a")] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": [{"type": "plain_text", "text": "a"}] * 11}]},
         "invalid_blocks"),
        ({"text": "x", "thread_ts": "1.000000"}, "thread_not_found"),
        ({"text": "x", "channel": "C404"}, "channel_not_found"),
    ],
)  # fmt: skip
async def test_a_post_beyond_slack_s_limits_is_refused(
    slack: SlackServer, values: dict[str, Any], error: str
):
    """One more than the limit, each."""
    place = Acts(slack).channel("help")
    answer = await ask(slack, "chat.postMessage", **({"channel": place.id} | values))

    assert (answer["ok"], answer["error"], place.messages) == (False, error, [])


async def test_a_place_that_is_closed_takes_nothing(slack: SlackServer):
    """Archived, and one that the app is not in."""
    acts = Acts(slack)
    archived, foreign = acts.channel("old", is_archived=True), acts.channel("new", members=set())
    answers = [
        await ask(slack, "chat.postMessage", channel=place.id, text="x")
        for place in (archived, foreign)
    ]

    assert [answer["error"] for answer in answers] == ["is_archived", "not_in_channel"]


async def test_one_post_a_second_and_a_channel(slack: SlackServer, clock: TurnedClock):
    """The second one waits, an early third is remembered, another channel is free."""
    acts = Acts(slack)
    here, there = acts.channel("here"), acts.channel("there")
    statuses = [
        (await ask(slack, "chat.postMessage", channel=place.id, text="x"))["status"]
        for place in (here, here, here, there)
    ]
    clock.turn(seconds=1)
    later = await ask(slack, "chat.postMessage", channel=here.id, text="x")

    assert statuses == [200, 429, 429, 200]
    assert len(slack.limits.early) == 1
    assert later["ok"]


async def test_fifty_reads_a_minute(slack: SlackServer):
    """Tier 3, counted by method."""
    place = Acts(slack).channel("help")
    for _ in range(50):
        assert (await ask(slack, "conversations.history", channel=place.id))["ok"]
    answer = await ask(slack, "conversations.history", channel=place.id)

    assert (answer["status"], answer["headers"]["Retry-After"]) == (429, "60")


async def test_a_token_opens_what_its_scopes_say(slack: SlackServer):
    """The refusal names the scope; a wrong token opens nothing."""
    slack.scopes -= {"chat:write"}
    place = Acts(slack).channel("help")
    answer = await ask(slack, "chat.postMessage", channel=place.id, text="x")
    app = await ask(slack, "chat.postMessage", token=APP_TOKEN, channel=place.id, text="x")
    tested = await ask(slack, "auth.test")

    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
    assert app["error"] == "invalid_auth"
    assert "chat:write" not in tested["headers"]["x-oauth-scopes"].split(",")


async def test_a_history_is_paged_and_hides_metadata(slack: SlackServer):
    """Newest first, two a page, metadata only for those who ask."""
    acts = Acts(slack)
    ana = acts.person("Ana")
    for n in range(3):
        await acts.say(ana, f"line {n}")
    place = slack.workspace.direct(ana)
    place.messages[-1]["metadata"] = {"event_type": "x", "event_payload": {}}
    first = await ask(slack, "conversations.history", channel=place.id, limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    second = await ask(slack, "conversations.history", channel=place.id, limit=2, cursor=cursor)
    told = await ask(slack, "conversations.history", channel=place.id, include_all_metadata=1)

    assert [one["text"] for one in first["messages"] + second["messages"]] == [
        "line 2", "line 1", "line 0",
    ]  # fmt: skip
    assert "metadata" not in first["messages"][0]
    assert "metadata" in told["messages"][0]
    assert not second["response_metadata"]["next_cursor"]


async def test_a_bot_changes_only_its_own(slack: SlackServer):
    """A person's message is not ours to edit or delete."""
    acts = Acts(slack)
    ana = acts.person("Ana")
    ts = await acts.say(ana, "mine")
    place = slack.workspace.direct(ana)
    edit = await ask(slack, "chat.update", channel=place.id, ts=ts, text="ours")
    gone = await ask(slack, "chat.delete", channel=place.id, ts=ts)

    assert (edit["error"], gone["error"]) == ("cant_update_message", "cant_delete_message")


async def test_a_mention_is_told_twice_and_a_bot_s_post_comes_back(slack: SlackServer):
    """`app_mention` and `message`; our own echo, and its metadata as an event of its own."""
    acts = Acts(slack)
    place = acts.channel("help")
    await acts.say(acts.person("Ana"), f"<@{BOT_USER}> hi", place)
    metadata = {"event_type": "tandem_delivery", "event_payload": {"delivery_id": "d"}}
    await ask(slack, "chat.postMessage", channel=place.id, text="x", metadata=metadata)
    told = [one.payload["event"] for one in slack.events.parcels]

    assert [one["type"] for one in told] == [
        "app_mention", "message", "message", "message_metadata_posted",
    ]  # fmt: skip
    assert told[2]["bot_id"]
    assert "metadata" not in told[2]


async def test_an_upload_has_three_steps(slack: SlackServer):
    """What was not handed in cannot be completed."""
    place = Acts(slack).channel("help")
    given = await ask(slack, "files.getUploadURLExternal", filename="a.txt", length=3)
    early = await ask(
        slack, "files.completeUploadExternal", files=[{"id": given["file_id"]}],
        channel_id=place.id,
    )  # fmt: skip

    assert early["error"] == "file_not_found"
