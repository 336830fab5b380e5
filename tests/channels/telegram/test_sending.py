"""What customers and agents see when sending goes wrong: once, or said to be unknown."""

import asyncio

import pytest

from gateway.errors import BadToken
from gateway.messages import OutboundMessage
from tests.channels.telegram.conftest import Opened
from tests.channels.telegram.site import Site
from tests.fakes.faults import Answer, Cut, Fault, Garbled, Held
from tests.fakes.telegram import Customer, Telegram

NOT_NOW = Answer(503, "busy", {"Retry-After": "1"}, content_type="text/plain")


async def with_ana(site: Site, *customers: Customer) -> None:
    for one in customers:
        one.write("/human")
        await site.settle()
        await site.claim()
    await site.answer()


def refused(description: str, code: int = 400) -> Answer:
    return Answer(code, f'{{"ok":false,"error_code":{code},"description":"{description}"}}')


@pytest.mark.parametrize(
    "fault",
    [Cut(processed=True), Cut(processed=True, after_bytes=20), Cut(processed=False), Garbled(),
     Garbled(status=502), Garbled(body='{"ok": true}', content_type="application/json")],
)  # fmt: skip
async def test_a_persons_text_that_may_have_arrived_is_shown_as_unknown(
    site: Site, telegram: Telegram, mia: Customer, fault: Fault
):
    """One request was made and is not repeated: an agent decides, nothing is shown twice."""
    await with_ana(site, mia)
    telegram.faults.plan("sendMessage", fault)
    await site.reply("Your parcel is here.")
    await site.answer()
    last = (await site.deliveries())[-1]

    assert (last.state, last.attempts) == ("unknown", 1)
    assert mia.heard().count("Your parcel is here.") <= 1
    assert len([one for one in telegram.called("sendMessage") if "parcel" in one["text"]]) == 1


async def test_an_answer_that_never_comes_is_unknown_too(
    opened: Opened, telegram: Telegram, mia: Customer
):
    """It was taken, and the wait for the answer has an end."""
    site = await opened(read_wait_s=0.3, poll_wait_s=0)
    await with_ana(site, mia)
    held = Held(asyncio.Event())
    telegram.faults.plan("sendMessage", held)
    await site.reply("Your parcel is here.")
    await site.answer()
    held.released.set()

    assert (await site.deliveries())[-1].state == "unknown"


@pytest.mark.parametrize("fault", [Cut(processed=True), Garbled(status=500), Cut(processed=False)])
@pytest.mark.parametrize("method", ["sendMessage", "editMessageText"])
async def test_the_bots_answer_stands_there_once_whatever_breaks(
    site: Site, telegram: Telegram, mia: Customer, method: str, fault: Fault
):
    """At worst a line is left that says the bot is looking; the answer is there, once."""
    telegram.faults.plan(method, fault)
    mia.write("How long?")
    await site.settle()
    answers = [text for text in mia.heard() if text.startswith("Within 30 days")]

    assert len(answers) == 1
    assert (await site.deliveries())[-1].state == "delivered"


@pytest.mark.parametrize(
    "fault", [NOT_NOW, Answer(429, "{}"), Answer(404, "<html>", content_type="text/html")]
)
async def test_what_certainly_did_not_arrive_is_sent_again(
    site: Site, telegram: Telegram, mia: Customer, fault: Fault
):
    """Busy, too fast, or a proxy's own error page: the text comes later, once."""
    await with_ana(site, mia)
    telegram.faults.plan("sendMessage", fault)
    await site.reply("Your parcel is here.")
    await site.answer()

    assert mia.heard().count("Your parcel is here.") == 1


async def test_nobody_at_the_other_end_is_tried_again(opened: Opened, mia: Customer):
    """A refused connection: not a byte left."""
    site = await opened(online=False, api_url="http://127.0.0.1:9")
    error = await site.failure_of_sending("Hello")

    assert type(error).__name__ == "Unreachable"


@pytest.mark.parametrize(
    ("told", "wait_s"),
    [("7", 7), ('"9"', 9), ("-4", 5), ('"soon"', 5), ("null", 5), ("1e9", 3_600), ("[1]", 5),
     ("NaN", 5), (None, 5)],
)  # fmt: skip
async def test_a_wait_of_any_shape_is_understood(
    site: Site, telegram: Telegram, mia: Customer, told: str | None, wait_s: float
):
    """Numbers in text, missing, negative and endless ones: between nothing and an hour."""
    mia.write("Hello")
    await site.settle()
    parameters = "{}" if told is None else f'{{"retry_after":{told}}}'
    telegram.faults.plan(
        "sendMessage", Answer(429, f'{{"ok":false,"error_code":429,"parameters":{parameters}}}')
    )
    error = await site.failure_of_sending("Hello", chat=mia.id)

    assert getattr(error, "wait_s", None) == wait_s


async def test_one_chat_that_has_to_wait_holds_up_no_other(
    site: Site, telegram: Telegram, mia: Customer
):
    """Telegram punishes one chat: the others get their texts, this one gets it after the wait."""
    ben = telegram.customer("Ben")
    await with_ana(site, mia, ben)
    telegram.floods.punish(30, mia.id)
    await site.reply("For Ben.")
    await site.reply_to(mia.id, "For Mia.")
    started = site.clock.now
    site.clock.turn(seconds=3)
    await site.world.outbox.drain()
    ben_heard, mia_heard = ben.heard()[-1], mia.heard()[-1]
    await site.answer()

    assert ben_heard == "For Ben."
    assert mia_heard != "For Mia."
    assert mia.heard()[-1] == "For Mia."
    assert (site.clock.now - started).total_seconds() >= 30
    assert telegram.floods.early == []


async def test_forty_customers_at_once_are_served_below_the_limits(site: Site, telegram: Telegram):
    """Telegram never has to say that it was too much."""
    crowd = [telegram.customer(f"C{number}") for number in range(40)]
    for one in crowd:
        one.write("How long?")
    await site.settle()

    assert {len(one.heard()) for one in crowd} == {1}
    assert (telegram.floods.refused, telegram.floods.early) == (0, [])


async def test_formatting_that_is_refused_goes_once_more_without(
    site: Site, telegram: Telegram, mia: Customer
):
    """The words matter; what was bold is plain."""
    await with_ana(site, mia)
    telegram.faults.plan("sendMessage", refused("Bad Request: can't parse entities: x"))
    await site.reply("Within **30 days**.")
    await site.answer()
    shown = mia.screen()[-1]

    assert (shown.text, shown.marks) == ("Within 30 days.", ())


async def test_a_text_that_telegram_finds_too_long_comes_in_two(
    site: Site, telegram: Telegram, mia: Customer
):
    """Its count is the one that matters: nothing is lost."""
    await with_ana(site, mia)
    telegram.faults.plan("sendMessage", refused("Bad Request: message is too long"))
    await site.reply("One sentence here. Another sentence there.")
    await site.answer()

    assert mia.heard()[-2:] == ["One sentence here.", "Another sentence there."]


async def test_a_message_that_reads_like_this_already_is_done(
    site: Site, telegram: Telegram, mia: Customer
):
    """An edit that is repeated meets its own result."""
    await with_ana(site, mia)
    await site.reply("Hello.")
    await site.answer()
    last = (await site.deliveries())[-1]
    for _ in range(2):
        await site.edit(last, "Hello there.")

    assert mia.heard()[-1] == "Hello there."


async def test_a_message_that_is_gone_is_told_from_one_that_cannot_be_reached(
    site: Site, telegram: Telegram, mia: Customer
):
    """The customer deleted it: there is nothing to edit or delete any more."""
    await with_ana(site, mia)
    await site.reply("Hello.")
    await site.answer()
    last = (await site.deliveries())[-1]
    await site.delete(last)
    errors = [await site.error_of(site.edit(last, "Hi")), await site.error_of(site.delete(last))]

    assert "Hello." not in mia.heard()
    assert [type(one).__name__ for one in errors] == ["Missing", "Missing"]


async def test_words_below_a_file_can_be_edited(site: Site, mia: Customer):
    """A caption is changed where there is no text."""
    await with_ana(site, mia)
    await site.reply("Your bill", site.files.keep("b.txt", "text/plain", b"text"))
    await site.answer()
    await site.edit((await site.deliveries())[-1], "Your **new** bill")

    assert mia.screen()[-1].text == "Your new bill"
    assert mia.screen()[-1].files == ("b.txt",)


async def test_a_chat_that_does_not_exist_fails_with_its_reason(site: Site):
    """No retry would help, and an agent can read why."""
    error = await site.failure_of_sending("Hello", chat=404)

    assert type(error).__name__ == "Refused"
    assert "Chat not found" in str(error)


async def test_typing_is_shown(site: Site, telegram: Telegram, mia: Customer):
    """The customer sees that somebody is at it."""
    mia.write("How long?")
    await site.settle()
    await site.channel.typing(site.place(mia.id))

    assert telegram.chats[mia.id].actions == ["typing"]


async def test_a_refused_token_pauses_this_channel_only(
    site: Site, telegram: Telegram, mia: Customer
):
    """Customers elsewhere are answered; what waits here is kept and goes out with a good token."""
    await with_ana(site, mia)
    telegram.token = "700100200:AAAnotherTokenOfTheSameBot_1234567890"
    await site.reply("Your parcel is here.")
    site.clock.turn(seconds=3)
    await site.world.outbox.drain()
    kept = (await site.deliveries())[-1].state
    [elsewhere] = await site.world.ask("How long?")
    said = await site.channel.health()
    telegram.token = site.settings.token
    site.clock.turn(seconds=61)
    await site.answer()

    assert kept == "pending"
    assert elsewhere.author == "bot"
    assert "get the valid one from @BotFather" in said
    assert mia.heard()[-1] == "Your parcel is here."


async def test_a_bot_that_starts_with_a_refused_token_asks_for_rest(
    opened: Opened, telegram: Telegram
):
    """Whoever runs it hears of it at once, instead of it asking Telegram all the time."""
    site = await opened(online=False)
    telegram.token = "another"
    with pytest.raises(BadToken):
        await site.channel.run(site.world.ingress)
    said = await site.channel.health()

    assert "Telegram refuses the token" in said


async def test_a_start_without_network_waits_and_goes_on(
    opened: Opened, telegram: Telegram, mia: Customer
):
    """Telegram is down when we start: no error, and everything works once it is back."""
    telegram.faults.plan("getMe", *[Cut(processed=False)] * 3)
    telegram.faults.plan("deleteWebhook", Answer(502, ""), NOT_NOW)
    telegram.faults.plan("setMyCommands", Answer(500, ""))
    site = await opened()
    mia.write("How long?")
    await site.settle()

    assert len(mia.heard()) == 1


async def test_a_text_on_its_way_when_we_stop_still_arrives(
    opened: Opened, telegram: Telegram, mia: Customer
):
    """Fetching has ended and its connections are let go: the last call ends its own."""
    site = await opened(online=False)
    mia.write("Hello")
    held = Held(asyncio.Event())
    async with site.online():
        await site.settle()
        site.clock.turn(seconds=3)
        telegram.faults.plan("sendMessage", held)
        sending = asyncio.create_task(
            site.channel.send(site.place(mia.id), OutboundMessage(text="Bye."))
        )

        async def is_there() -> bool:
            return mia.heard()[-1] == "Bye."

        await site.until(is_there)
    held.released.set()
    receipt = await sending

    assert receipt.external_ids == ("3",)
