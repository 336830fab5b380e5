"""What a customer on Telegram notices while they talk with the bot."""

from sqlmodel import select

from gateway.models import Contact
from rag.types import Reason
from tests.channels.telegram.site import Site
from tests.fakes.telegram import Customer, Telegram
from tests.gateway.world import answered, declined, unsure


async def test_a_question_is_answered_with_its_sources_and_buttons(
    site: Site, telegram: Telegram, mia: Customer
):
    """The answer names its source in words, and offers what can be done next."""
    mia.write("How long can I return it?")
    await site.settle()
    answer = mia.screen()[-1]

    assert answer.text == "Within 30 days [1].\n\n[1] Returns"
    assert answer.rows == (("Helpful", "Not helpful"), ("Talk to a person",))
    assert len(mia.screen()) == 2
    assert telegram.floods.refused == 0


async def test_the_answer_takes_the_place_of_a_short_line(
    site: Site, telegram: Telegram, mia: Customer
):
    """First it says that the bot is looking, then the same message is the answer."""
    mia.write("How long can I return it?")
    await site.settle()
    [sent] = telegram.called("sendMessage")

    assert "One moment" in sent["text"]
    assert mia.screen()[-1].edited
    assert telegram.history == [(mia.id, 2)]


async def test_a_chinese_customer_is_answered_in_chinese(site: Site, telegram: Telegram):
    """The words decide; buttons and refusals follow them."""
    site.world.answerer.reply = lambda _: declined()
    wei = telegram.customer("伟", language="zh-hans")
    wei.write("怎么退货？")
    await site.settle()
    answer = wei.screen()[-1]

    assert answer.text.startswith("我在现有文档中没有找到")
    assert answer.rows == (("转人工",),)


async def test_the_start_button_greets_and_troubles_nobody(site: Site, telegram: Telegram):
    """Who opens the bot is told what it is, in the language of their app."""
    site.world.answerer.reply = lambda _: declined(Reason.NOT_A_QUESTION)
    mia, wei = telegram.customer("Mia"), telegram.customer("伟", language="zh-hans")
    mia.start()
    wei.start()
    await site.settle()

    assert mia.heard()[-1].startswith("Hello! I am a bot")
    assert wei.heard()[-1].startswith("您好")
    assert site.world.inbox.opened == []


async def test_the_button_for_a_person_calls_one(site: Site, telegram: Telegram, mia: Customer):
    """One press is enough, and the button stops waiting at once."""
    mia.write("How long can I return it?")
    await site.settle()
    press = mia.press("Talk to a person")
    await site.settle()

    assert "number 1 in line" in mia.heard()[-1]
    assert (await site.conversation()).state == "waiting"
    assert telegram.answered == [press]


async def test_a_press_that_is_too_old_to_be_confirmed_still_counts(
    site: Site, telegram: Telegram, mia: Customer
):
    """Telegram refuses to stop the button's wheel; the customer gets the person all the same."""
    mia.write("How long can I return it?")
    await site.settle()
    telegram.mail.on_hold = True
    mia.press("Talk to a person")
    site.clock.turn(minutes=3)
    telegram.mail.release()
    await site.settle()

    assert telegram.answered == []
    assert (await site.conversation()).state == "waiting"


async def test_a_button_that_is_not_ours_does_nothing(
    site: Site, telegram: Telegram, mia: Customer
):
    """Data from another program's keyboard is nothing that the gateway does."""
    mia.write("Hello")
    await site.settle()
    mia.press_data("drop-all", telegram.chats[mia.id].messages[2])
    await site.settle()

    assert await site.said_by_customers() == ["Hello"]
    assert [event.state for event in await site.events()] == ["done", "ignored"]


async def test_a_suggestion_that_is_pressed_is_asked(site: Site, mia: Customer):
    """What stands on the button is the customer's next question."""
    site.world.answerer.reply = lambda _: unsure("How do I return a parcel?")
    mia.write("parcel")
    await site.settle()
    mia.press("How do I return a parcel?")
    await site.settle()

    assert site.world.answerer.asked[-1].text == "How do I return a parcel?"


async def test_commands_call_a_person_and_give_the_talk_back(site: Site, mia: Customer):
    """/human and /bot do what the buttons do."""
    mia.write("/human")
    await site.settle()
    waiting = (await site.conversation()).state
    mia.write("/bot")
    await site.settle()

    assert waiting == "waiting"
    assert (await site.conversation()).state == "bot"
    assert await site.said_by_customers() == ["Talk to a person", "Back to the bot"]


async def test_the_menu_lists_the_commands_in_both_languages(site: Site, telegram: Telegram):
    """Telegram shows them below the text field, in the language of the app."""

    async def is_listed() -> bool:
        return "zh" in telegram.commands

    await site.until(is_listed)

    assert telegram.commands == {
        "": {"human": "Talk to a person", "bot": "Back to the bot"},
        "zh": {"human": "转人工", "bot": "回到机器人"},
    }


async def test_formatting_shows_as_such(site: Site, mia: Customer):
    """Bold is bold and links are links, on any character; nothing is fetched for a preview."""
    site.world.answerer.reply = lambda _: answered(
        "# 退货\n👩‍👩‍👧 **30 天** 内, see [the page](https://shop.example/r) or `RMA-1`\n- [bad](http://x)"
    )
    mia.write("How long?")
    await site.settle()
    answer = mia.screen()[-1]

    assert answer.text.startswith("退货\n👩‍👩‍👧 30 天 内, see the page or RMA-1\n• [bad](http://x)")
    assert answer.marks == (("bold", "退货"), ("bold", "30 天"), ("code", "RMA-1"))
    assert answer.links == (("the page", "https://shop.example/r"),)
    assert not answer.preview


async def test_a_long_answer_comes_whole_in_several_messages(site: Site, mia: Customer):
    """Nothing is cut off: Telegram takes 4,096 units, and an emoji is two or more of them."""
    words = " ".join(f"👩‍👩‍👧{n}" for n in range(1_500))
    mia.write("/human")
    await site.settle()
    await site.claim()
    await site.reply(words)
    await site.answer()
    parts = mia.heard()[2:]

    assert len(parts) > 2
    assert " ".join(parts) == words


async def test_an_answer_to_a_certain_message_stands_below_it(site: Site, mia: Customer):
    """What a customer replies to is known to agents, too."""
    mia.write("How long can I return it?")
    await site.settle()
    mia.write("And a lamp?", reply_to=2)
    await site.settle()
    lines = await site.lines()

    assert lines[2].reply_to == lines[1].id


async def test_a_name_from_outside_is_cut_and_cleaned(site: Site, telegram: Telegram):
    """A name can hold anything; agents see one short line."""
    odd = telegram.customer("  M\u202ei\na\u0000 " + "x" * 200)
    odd.write("Hello")
    await site.settle()
    name = await site.world.store.read(lambda session: session.exec(select(Contact.name)).one())

    assert name.startswith("Mi a")
    assert "\u202e" not in name
    assert len(name) == 64
