"""What people in a group notice: the bot speaks when it is spoken to, to each for themselves."""

import pytest

from tests.channels.telegram.conftest import Opened
from tests.channels.telegram.site import Site
from tests.fakes.telegram import Customer, Telegram


async def test_who_names_the_bot_is_answered(site: Site, telegram: Telegram, mia: Customer):
    """The name is taken out of the question, wherever it stands."""
    group = telegram.group()
    mia.write("@Tandem_bot, how long can I return it?", to=group)
    await site.settle()

    assert site.world.answerer.asked[-1].text == "how long can I return it?"
    assert telegram.screen(group)[-1].text.startswith("Within 30 days")


async def test_what_is_not_for_the_bot_is_not_read(site: Site, telegram: Telegram, mia: Customer):
    """Talk among people, other bots' names and commands: no line, no answer."""
    group = telegram.group()
    mia.write("How long can I return it?", to=group)
    mia.write("@another_bot how long?", to=group)
    mia.write("/human@another_bot", to=group)
    mia.write("mail me at a@tandem_bots.example", to=group)
    await site.settle()

    assert await site.lines() == []
    assert {event.state for event in await site.events()} == {"ignored"}


async def test_a_reply_to_the_bot_is_for_the_bot(site: Site, telegram: Telegram, mia: Customer):
    """Whoever answers the bot's message need not name it again."""
    group = telegram.group()
    mia.write("@tandem_bot how long can I return it?", to=group)
    await site.settle()
    mia.write("And a lamp?", to=group, reply_to=2)
    await site.settle()

    assert site.world.answerer.asked[-1].text == "And a lamp?"


async def test_two_people_in_one_group_have_each_their_own_talk(
    site: Site, telegram: Telegram, mia: Customer
):
    """One of them calls a person: the other one still has the bot."""
    ben, group = telegram.customer("Ben"), telegram.group()
    mia.write("/human@tandem_bot", to=group)
    ben.write("@tandem_bot how long?", to=group)
    await site.settle()

    assert [one.state for one in await site.conversations()] == ["waiting", "bot"]
    assert len({one.reply_thread for one in await site.conversations()}) == 2


async def test_answers_stay_in_their_topic(site: Site, telegram: Telegram, mia: Customer):
    """In a forum the same person has a talk in each topic, and each answer appears there."""
    forum = telegram.group(topics=(4, 9))
    mia.write("@tandem_bot how long?", to=forum, topic=4)
    mia.write("@tandem_bot how long for a lamp?", to=forum, topic=9)
    await site.settle()
    answers = [one for one in telegram.screen(forum) if one.author == "bot"]

    assert sorted(one.topic for one in answers) == [4, 9]
    assert len(await site.conversations()) == 2


async def test_a_bystander_who_presses_a_button_calls_nobody(
    site: Site, telegram: Telegram, mia: Customer
):
    """The buttons are for the one who asked."""
    ben, group = telegram.customer("Ben"), telegram.group()
    mia.write("@tandem_bot how long?", to=group)
    await site.settle()
    ben.press("Talk to a person", to=group)
    await site.settle()
    alone = [one.state for one in await site.conversations()]
    mia.press("Talk to a person", to=group)
    await site.settle()

    assert alone == ["bot"]
    assert [one.state for one in await site.conversations()] == ["waiting"]


async def test_where_groups_are_refused_it_is_said_once_with_the_way_out(
    opened: Opened, telegram: Telegram, mia: Customer
):
    """In both languages, with the link to the private chat, and not again within the hour."""
    site = await opened(groups="refused")
    group = telegram.group()
    mia.write("Hello all", to=group)
    mia.write("@tandem_bot how long?", to=group)
    mia.write("@tandem_bot hello?", to=group)
    await site.settle()
    said = [one.text for one in telegram.screen(group) if one.author == "bot"]
    site.clock.turn(minutes=61)
    mia.write("@tandem_bot hello?", to=group)
    await site.settle()

    assert [one.splitlines() for one in said] == [[
        "I only answer in private chats: https://t.me/tandem_bot",
        "我只在私聊中回答：https://t.me/tandem_bot",
    ]]  # fmt: skip
    assert len([one for one in telegram.screen(group) if one.author == "bot"]) == 2
    assert await site.lines() == []


@pytest.mark.parametrize("new_first", [False, True])
async def test_a_group_that_becomes_a_supergroup_keeps_its_talk(
    site: Site, telegram: Telegram, mia: Customer, new_first: bool
):
    """It has another number from then on; both groups tell, in whichever order."""
    group = telegram.group()
    mia.write("@tandem_bot how long?", to=group)
    await site.settle()
    moved = telegram.migrate(group, mia, new_first=new_first)
    mia.write("@tandem_bot and a lamp?", to=moved)
    await site.settle()
    [conversation] = await site.conversations()

    assert conversation.reply_chat == str(moved)
    assert await site.said_by_customers() == ["how long?", "and a lamp?"]
    assert telegram.screen(moved)[-1].text.startswith("Within 30 days")


async def test_an_answer_to_a_group_that_has_moved_follows_it(
    site: Site, telegram: Telegram, mia: Customer
):
    """We hear of the move from a refused send: the text goes to the new place, once."""
    group = telegram.group()
    mia.write("/human@tandem_bot", to=group)
    await site.settle()
    await site.claim()
    await site.answer()
    telegram.mail.on_hold = True
    moved = telegram.migrate(group, mia)
    await site.reply("I can help.")
    await site.answer()

    assert [one.text for one in telegram.screen(moved) if one.author == "bot"] == ["I can help."]
    assert [one.text for one in telegram.screen(group)].count("I can help.") == 0


async def test_more_than_a_group_takes_in_a_minute_waits(
    site: Site, telegram: Telegram, mia: Customer
):
    """Eighteen a minute go out; Telegram never has to say that it was too much."""
    group = telegram.group()
    mia.write("/human@tandem_bot", to=group)
    await site.settle()
    await site.claim()
    for number in range(30):
        await site.reply(f"Line {number}")
    await site.answer()
    said = [one.text for one in telegram.screen(group) if one.text.startswith("Line")]

    assert said == [f"Line {number}" for number in range(30)]
    assert (telegram.floods.refused, telegram.floods.early) == (0, [])
