"""Who people are, how the channel is, and what others may build on it."""

import asyncio
import json
from contextvars import Context
from datetime import timedelta

import pytest
from slack_bolt.async_app import AsyncApp
from sqlmodel import select

from channels.slack import Settings, probe
from channels.slack.bolt import ListenerFailed
from gateway.errors import BadToken
from gateway.messages import RawEvent, Sender
from gateway.models import Contact
from storage.ids import utc_now
from tests.channels.slack.shop import Shop
from tests.fakes.faults import Answer
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET
from tests.fakes.slack.workspace import OTHER_TEAM


async def test_a_new_customer_has_the_name_that_slack_knows(shop: Shop):
    """Agents read a name, not an id."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long?")
    names = await shop.world.store.read(
        lambda session: [one.name for one in session.exec(select(Contact))]
    )

    assert names == ["Ana"]


@pytest.mark.parametrize(
    ("more", "email"),
    [
        ({}, "ana@example.com"), ({"is_confirmed": False}, ""), ({"is_guest": True}, ""),
        ({"team": OTHER_TEAM}, ""),
    ],
)  # fmt: skip
async def test_only_a_full_member_s_confirmed_address_counts(
    shop: Shop, more: dict[str, object], email: str
):
    """It may join two accounts, so it has to be proven."""
    ana = shop.acts.person("Ana", locale="zh-CN", **more)
    known = await shop.channel.introduce(Sender(external_id=ana.id, verified=True))

    assert (known.name, known.language, known.email) == ("Ana", "zh", email)


async def test_without_the_scope_there_is_no_address(shop: Shop):
    """The rest is still known."""
    shop.slack.scopes -= {"users:read.email"}
    ana = shop.acts.person("Ana", locale="fr-FR")
    known = await shop.channel.introduce(Sender(external_id=ana.id))

    assert (known.name, known.language, known.email) == ("Ana", None, "")


async def test_missing_rights_are_named(shop: Shop):
    """Health says which, and what to do."""
    shop.slack.scopes -= {"chat:write", "im:history"}
    await shop.channel.look_around(shop.world.ingress)

    assert "lacks the scopes chat:write, im:history" in await shop.channel.health()


async def test_a_clock_that_is_off_is_named(shop: Shop):
    """Before Slack's signatures are refused for it."""
    shop.slack.clock = lambda: shop.clock() - timedelta(seconds=240)
    await shop.channel.look_around(shop.world.ingress)

    assert "+240 s off" in await shop.channel.health()


async def test_slack_out_of_reach_is_named_and_forgotten(shop: Shop):
    """One answer later all is well."""
    shop.slack.faults.plan("auth.test", Answer(502, "<html>", content_type="text/html"))
    await shop.channel.look_around(shop.world.ingress)
    ill = await shop.channel.health()
    await shop.channel.look_around(shop.world.ingress)

    assert "cannot be asked" in ill
    assert await shop.channel.health() == "ok"


async def test_a_dead_token_ends_the_run(shop: Shop):
    """Whoever keeps channels at work tries again once a minute."""
    shop.slack.token_error = "account_inactive"
    with pytest.raises(BadToken):
        await asyncio.wait_for(shop.channel.run(shop.world.ingress), 5)

    assert "account_inactive" in await shop.channel.health()


async def test_doctor_says_whose_token_it_is(shop: Shop):
    """And what is wrong with it, without a server."""
    settings = Settings(bot_token=BOT_TOKEN, app_token=APP_TOKEN, api_url=shop.slack.api_url)
    shop.slack.clock = utc_now
    well = await probe(settings)
    shop.slack.scopes -= {"files:write"}
    ill = await probe(settings)

    assert well == "ok: tandem in Tandem"
    assert "files:write" in ill


@pytest.mark.parametrize(
    ("section", "is_on"),
    [({}, False), ({"bot_token": BOT_TOKEN}, False), ({"app_token": APP_TOKEN}, False),
     ({"bot_token": BOT_TOKEN, "app_token": APP_TOKEN}, True),
     ({"bot_token": BOT_TOKEN, "signing_secret": SIGNING_SECRET}, True)],
)  # fmt: skip
def test_the_tokens_turn_it_on(section: dict[str, str], is_on: bool):
    """The bot's, and one of the two ways in."""
    assert Settings.model_validate(section).is_configured is is_on


# The app that others may listen on


def event(**fields: object) -> RawEvent:
    whole = {
        "type": "event_callback", "event_id": "E1", "team_id": "T0TANDEM0", "api_app_id": "A0",
        "event": {"type": "reaction_added", "user": "U1", **fields},
    }  # fmt: skip
    return RawEvent(channel="slack", account="main", external_id="E1",
                    headers={"content-type": "application/json"},
                    body=json.dumps(whole).encode())  # fmt: skip


async def test_a_stored_event_reaches_who_listens_on_the_one_app(shop: Shop):
    """From the store, without a call to Slack; the handler's client is ours."""
    heard: list[object] = []

    async def listen(event, client):
        heard.append(event["reaction"])
        await client.chat_postMessage(channel=place.id, text="seen")

    place = shop.acts.channel("desk")
    assert isinstance(shop.channel.app, AsyncApp)
    shop.channel.app.event("reaction_added")(listen)

    assert await shop.channel.dispatch(event(reaction="eyes"))
    assert heard == ["eyes"]
    assert [call.method for call in shop.slack.calls] == ["chat.postMessage"]


async def test_a_listener_s_client_shares_our_connections(shop: Shop):
    """It posts over the session that our own calls opened, in a task of its own."""
    place = shop.acts.channel("desk")

    async def listen(client):
        await client.chat_postMessage(channel=place.id, text="seen")

    shop.channel.app.event("reaction_added")(listen)
    await shop.channel.look_around(shop.world.ingress)
    await asyncio.create_task(shop.channel.dispatch(event(reaction="eyes")), context=Context())

    assert [one["text"] for one in place.messages] == ["seen"]


async def test_a_listener_that_fails_is_seen(shop: Shop):
    """The event can be tried again: nothing was acknowledged by a handler."""

    async def fail(event):
        raise LookupError("no such case")

    shop.channel.app.event("reaction_added")(fail)
    with pytest.raises(ListenerFailed):
        await shop.channel.dispatch(event(reaction="eyes"))


async def test_an_event_that_nobody_wants_is_told_apart(shop: Shop):
    """Nobody listens to it on the app."""
    assert not await shop.channel.dispatch(event(reaction="eyes"))
