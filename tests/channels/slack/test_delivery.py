"""What becomes of our posts when Slack, the network or the channel do not play along."""

import pytest
from sqlmodel import select

from gateway.errors import Blocked
from gateway.messages import Address, OutboundMessage
from gateway.models import Attempt
from tests.channels.slack.shop import Shop
from tests.fakes.faults import EVERY, Answer, Cut, Fault, Garbled
from tests.fakes.slack import refused
from tests.fakes.slack.workspace import BOT_USER
from tests.gateway.world import answered

US = f"<@{BOT_USER}>"
HISTORY = "conversations.history"


async def test_a_long_answer_arrives_whole_and_in_order(shop: Shop):
    """Nine thousand characters in parts that Slack takes, one a second."""
    words = " ".join(f"word{n}" for n in range(1_300))
    shop.world.answerer.reply = lambda _: answered(words)
    ana = shop.acts.person("Ana")
    await shop.say(ana, "Tell me everything")
    texts = shop.acts.texts(shop.slack.workspace.direct(ana))

    assert len(texts) >= 4
    assert " ".join(texts).startswith(words)
    assert shop.slack.limits.too_fast == []


async def test_ampersands_that_swell_do_not_break_the_post(shop: Shop):
    """Escaped, three thousand of them are fifteen thousand characters."""
    shop.world.answerer.reply = lambda _: answered("&" * 3_000)
    ana = shop.acts.person("Ana")
    await shop.say(ana, "What?")
    (screen,) = shop.acts.screen(shop.slack.workspace.direct(ana))

    assert screen.text.startswith("&" * 3_000)


@pytest.mark.parametrize(
    "fault",
    [
        Cut(processed=True), Cut(processed=True, after_bytes=20), Garbled(), Garbled(status=502),
        Garbled(body="not json", content_type="application/json"),
        Garbled(body="ok", content_type="text/plain"),
        Garbled(body=refused("internal_error"), content_type="application/json"),
    ],
)  # fmt: skip
async def test_a_post_that_nobody_confirmed_is_found_and_not_repeated(shop: Shop, fault: Fault):
    """It was processed: the history has it, with our mark."""
    ana = shop.acts.person("Ana")
    shop.slack.faults.plan("chat.postMessage", fault)
    await shop.acts.say(ana, "How long?")
    shop.slack.events.subscribed = ()  # no echo
    await shop.settle()
    (delivery,) = await shop.deliveries()

    assert len(shop.acts.texts(shop.slack.workspace.direct(ana))) == 1
    assert len(shop.slack.called("chat.postMessage")) == 1
    assert delivery.state == "delivered"


async def test_our_own_echo_alone_proves_a_post(shop: Shop):
    """The history may not be read here; the event that our post made is enough."""
    ana = shop.acts.person("Ana")
    shop.slack.scopes -= {"im:history"}
    shop.slack.faults.plan("chat.postMessage", Cut(processed=True))
    await shop.say(ana, "How long?")
    (delivery,) = await shop.deliveries()

    assert (delivery.state, len(shop.acts.texts(shop.slack.workspace.direct(ana)))) == (
        "delivered", 1,
    )  # fmt: skip


async def test_without_any_proof_a_post_is_in_doubt(shop: Shop):
    """Neither echo nor history: a person decides, nothing is sent twice."""
    ana = shop.acts.person("Ana")
    shop.slack.scopes -= {"im:history"}
    shop.slack.faults.plan("chat.postMessage", Cut(processed=True))
    await shop.acts.say(ana, "How long?")
    shop.slack.events.subscribed = ()
    await shop.settle()
    (delivery,) = await shop.deliveries()

    assert delivery.state == "unknown"
    assert len(shop.acts.texts(shop.slack.workspace.direct(ana))) == 1


async def test_a_post_that_is_certainly_absent_is_sent_again(shop: Shop):
    """The connection was cut before Slack did anything; its history is whole without it."""
    ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
    shop.slack.faults.plan("chat.postMessage", Cut(processed=False))
    ts = await shop.say(ana, f"{US} how long?", place)
    outcomes = await shop.world.store.read(
        lambda session: [one.outcome for one in session.exec(select(Attempt))]
    )

    assert len(shop.acts.texts(place, ts)) == 1
    assert outcomes == ["C", "D"]


async def test_a_history_that_does_not_answer_proves_no_absence(shop: Shop):
    """Slack is ill: what is not seen may still be there."""
    ana = shop.acts.person("Ana")
    shop.slack.faults.plan("chat.postMessage", Cut(processed=False))
    shop.slack.faults.plan(HISTORY, *[Answer(500, "<html>", content_type="text/html")] * 9)
    await shop.say(ana, "How long?")
    (delivery,) = await shop.deliveries()

    assert delivery.state == "unknown"


async def test_of_two_copies_the_newer_goes(shop: Shop):
    """Should it ever happen, people read one."""
    ana = shop.acts.person("Ana")
    place = shop.slack.workspace.direct(ana)
    await shop.acts.say(ana, "How long?")
    shop.slack.events.subscribed = ()
    await shop.settle()
    (delivery,) = await shop.deliveries()
    (first,) = [one for one in place.messages if one.get("bot_id")]
    place.messages.append({**first, "ts": shop.slack.workspace.new_ts()})
    found = await shop.channel.reconcile(_address(place.id), delivery.id)

    assert getattr(found, "external_ids", None) == (first["ts"],)
    assert len(shop.acts.texts(place)) == 1


@pytest.mark.parametrize("retry_after", ["2", "", "soon", "-5", "1000000000", "1e400", "٣"])
async def test_slack_is_left_alone_for_as_long_as_it_asks(shop: Shop, retry_after: str):
    """Whatever the header says: no call before its end, no loss, an hour at most."""
    ana = shop.acts.person("Ana")
    headers = {"Retry-After": retry_after} if retry_after else {}
    shop.slack.faults.plan("chat.postMessage", Answer(429, refused("ratelimited"), headers))
    await shop.acts.say(ana, "How long?")
    await shop.world.worker.settle()
    (delivery,) = await shop.deliveries()
    wait_s = (delivery.due - shop.clock()).total_seconds()
    shop.clock.turn(seconds=wait_s - 0.5)
    await shop.world.worker.settle()
    early = len(shop.slack.called("chat.postMessage"))
    shop.clock.turn(seconds=1)
    await shop.world.worker.settle()

    assert wait_s == {"2": 2, "1000000000": 3_600}.get(retry_after, 5)
    assert early == 1
    if wait_s < 600:  # an hour later nobody wants the bot's answer any more
        assert len(shop.acts.texts(shop.slack.workspace.direct(ana))) == 1


async def test_a_revoked_token_stops_this_channel_only(shop: Shop):
    """The queue is kept, others are answered, health says what to do; afterwards it arrives."""
    ana = shop.acts.person("Ana")
    shop.slack.token_error = "token_revoked"
    await shop.acts.say(ana, "How long?")
    await shop.world.worker.settle()
    web = await shop.world.ask("How long?", visitor="v9")
    ill = await shop.channel.health()
    calls = len(shop.slack.called("chat.postMessage"))
    await shop.world.worker.settle()
    idle = len(shop.slack.called("chat.postMessage")) - calls
    shop.slack.token_error = ""
    shop.clock.turn(seconds=61)
    await shop.settle()
    await shop.channel.look_around(shop.world.ingress)

    assert [item.author for item in web] == ["bot"]
    assert "token_revoked" in ill
    assert (calls, idle) == (1, 0)
    assert len(shop.acts.texts(shop.slack.workspace.direct(ana))) == 1
    assert await shop.channel.health() == "ok"


@pytest.mark.parametrize(
    ("code", "reason"),
    [("is_archived", "archived"), ("not_in_channel", "removed"), ("channel_not_found", "gone")],
)
async def test_a_place_that_is_shut_says_why(shop: Shop, code: str, reason: str):
    """An archived channel, one the app was removed from, one that is gone."""
    shop.slack.faults.plan("chat.postMessage", Answer(200, refused(code)))

    with pytest.raises(Blocked, match=reason):
        await shop.channel.send(_address("C1"), _message("Hello", "d1"))


async def test_an_archived_channel_is_no_reason_to_try_again(shop: Shop):
    """The agent reads why; nothing more is sent there, and the case stays."""
    ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
    await shop.say(ana, f"{US} how long?", place)
    place.is_archived = True
    await shop.agent_says("I am here.")
    await shop.settle()
    states = {one.state for one in (await shop.deliveries())[1:]}

    assert states <= {"failed", "cancelled"}
    assert len(shop.slack.called("chat.postMessage")) == 2


async def test_blocks_that_slack_refuses_go_out_as_words(shop: Shop):
    """Formatting is no reason to lose an answer; a refusal is certain, so one more try is safe."""
    ana = shop.acts.person("Ana")
    shop.slack.faults.plan("chat.postMessage", Answer(200, refused("invalid_blocks")))
    await shop.say(ana, "How long?")
    (screen,) = shop.acts.screen(shop.slack.workspace.direct(ana))

    assert screen.text == "Within 30 days [1]."
    assert not screen.pings


async def test_one_slow_place_holds_up_nobody(shop: Shop):
    """Ana's channel is limited; Ben's answer arrives."""
    ana, ben = shop.acts.person("Ana"), shop.acts.person("Ben")
    shop.slack.faults.plan(
        "chat.postMessage", Answer(429, refused("ratelimited"), {"Retry-After": "600"})
    )
    await shop.acts.say(ana, "How long?")
    await shop.world.worker.settle()
    await shop.acts.say(ben, "How long?")
    await shop.world.worker.settle()

    assert len(shop.acts.texts(shop.slack.workspace.direct(ben))) == 1
    assert shop.slack.limits.early == []


async def test_what_we_said_can_be_changed_and_taken_back(shop: Shop):
    """An edit keeps buttons and sources away from pings, a deletion leaves nothing."""
    ana = shop.acts.person("Ana")
    place = shop.slack.workspace.direct(ana)
    await shop.say(ana, "How long?")
    (delivery,) = await shop.deliveries()
    assert delivery.external_id is not None
    address = _address(place.id)
    message = _message("Within 14 days. <!channel>", delivery.id)
    await shop.channel.edit(address, delivery.external_id, message)
    changed = shop.acts.screen(place)
    await shop.channel.delete(address, delivery.external_id)

    assert [(one.text, one.pings) for one in changed] == [("Within 14 days. <!channel>", [])]
    assert shop.acts.texts(place) == []


async def test_an_agent_s_words_arrive_after_the_bot_s(shop: Shop):
    """A person takes over on a Slack talk; the customer reads them in the same place."""
    ana = shop.acts.person("Ana")
    place = shop.slack.workspace.direct(ana)
    await shop.say(ana, "How long?")
    await shop.agent_says("Hello, I am here.")
    await shop.settle()

    assert shop.acts.texts(place)[-2:] == ["Ana has joined.", "Hello, I am here."]


async def test_nothing_is_lost_when_everything_fails_for_a_while(shop: Shop):
    """Five answers of five hundred and then health: one copy."""
    ana = shop.acts.person("Ana")
    shop.slack.faults.plan(EVERY, *[Answer(503, "busy", {"Retry-After": "1"}, "text/plain")] * 5)
    await shop.say(ana, "How long?")

    assert len(shop.acts.texts(shop.slack.workspace.direct(ana))) == 1


def _address(chat: str) -> Address:
    return Address(channel="slack", account="main", chat=chat)


def _message(text: str, delivery_id: str) -> OutboundMessage:
    return OutboundMessage(text=text, delivery_id=delivery_id)
