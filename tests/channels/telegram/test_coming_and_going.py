"""What happens when a customer shuts the bot out, and when they are back."""

from tests.channels.telegram.site import Site
from tests.fakes.telegram import Customer, Telegram


async def with_ana(site: Site, mia: Customer) -> None:
    mia.write("/human")
    await site.settle()
    await site.claim()
    await site.answer()


async def test_agents_read_that_the_customer_blocked_the_bot(
    site: Site, telegram: Telegram, mia: Customer
):
    """A note in the conversation; the agent's later text fails with the reason, nothing is tried
    for ever."""
    await with_ana(site, mia)
    mia.block()
    await site.settle()
    await site.reply("Are you there?")
    await site.answer()
    note = [one.text for one in await site.lines() if one.note]
    last = (await site.deliveries())[-1]

    assert note == ["The customer does not take messages on telegram any more."]
    assert (last.state, last.reason) == (
        "failed", "Telegram: Forbidden: bot was blocked by the user"
    )  # fmt: skip


async def test_a_block_that_we_only_find_by_sending_stops_what_waits(
    site: Site, telegram: Telegram, mia: Customer
):
    """The first refusal cancels the rest."""
    await with_ana(site, mia)
    telegram.mail.on_hold = True
    mia.block()
    for text in ("One", "Two", "Three"):
        await site.reply(text)
    calls = len(telegram.called("sendMessage"))
    await site.answer()

    assert [one.state for one in await site.deliveries()][-3:] == [
        "failed", "cancelled", "cancelled",
    ]  # fmt: skip
    assert len(telegram.called("sendMessage")) == calls + 1


async def test_a_customer_who_comes_back_goes_on(site: Site, telegram: Telegram, mia: Customer):
    """Unblocked, and writing again: the same conversation answers."""
    mia.write("How long?")
    await site.settle()
    mia.block()
    await site.settle()
    mia.unblock()
    mia.write("And a lamp?")
    await site.settle()

    assert len(mia.heard()) == 2
    assert len(await site.conversations()) == 1


async def test_a_link_into_the_chat_carries_its_code(site: Site, telegram: Telegram, mia: Customer):
    """Followed, it brings the code back to us; without a name there is no link yet."""

    async def is_known() -> bool:
        return site.channel.invitation("c0de") is not None

    await site.until(is_known)
    mia.start("c0de-1_x")
    await site.settle()
    [event] = await site.events()
    message = site.channel.parse(site.raw(event))

    assert site.channel.invitation("c0de-1_x") == "https://t.me/tandem_bot?start=c0de-1_x"
    assert getattr(message, "code", None) == "c0de-1_x"
