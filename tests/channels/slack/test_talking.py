"""A customer on Slack and the bot, as both see it."""

from dataclasses import replace

from rag.types import Citation
from storage.database import Database
from tests.channels.slack.shop import Shop, open_shop
from tests.conftest import TurnedClock
from tests.fakes.faults import Answer
from tests.fakes.slack.workspace import BOT_USER, OTHER_TEAM
from tests.gateway.world import answered, declined

US = f"<@{BOT_USER}>"


async def test_a_question_in_a_direct_message_is_answered_with_its_source(either: Shop):
    """The words, the source in small print, nothing pinged, nothing previewed."""
    ana = either.acts.person("Ana")
    await either.say(ana, "How long do I have to return it?")
    screen = either.acts.screen(either.slack.workspace.direct(ana))

    assert [one.text for one in screen] == ["Within 30 days [1].\n[1] Returns"]
    assert await either.heard() == ["How long do I have to return it?"]
    assert not any(one.pings or one.markup or one.previews for one in screen)


async def test_a_source_with_an_address_is_a_link(shop: Shop):
    """Its title is what is pressed; stars in it make nothing bold."""
    source = Citation(n=1, title="*Returns* & <more>", source="r.md",
                      url="https://example.com/r?a=1&b=2", quote="30 days")  # fmt: skip
    shop.world.answerer.reply = lambda _: replace(answered(), citations=(source,))
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long do I have?")
    (screen,) = shop.acts.screen(shop.slack.workspace.direct(ana))

    assert screen.links == ["https://example.com/r?a=1&amp;b=2"]
    assert screen.text.endswith("[1] ∗Returns∗ & <more>")
    assert not screen.markup


async def test_chinese_is_answered_in_chinese(either: Shop):
    """The system's words follow the customer's language, and the workspace's locale is not it."""
    either.world.answerer.reply = lambda _: declined()
    ana = either.acts.person("安娜")
    await either.say(ana, "你们几点开门？")
    (screen,) = either.acts.screen(either.slack.workspace.direct(ana))

    assert screen.text.startswith("我在现有的文档里没有找到") or "没有" in screen.text
    assert screen.buttons == ["转人工"]


async def test_a_pressed_button_brings_a_person(either: Shop):
    """The press is a message of the customer's: a person is called once, however often."""
    either.world.answerer.reply = lambda _: declined()
    ana = either.acts.person("Ana")
    place = either.slack.workspace.direct(ana)
    await either.say(ana, "Do you sell submarines?")
    await either.acts.press(ana, place, "Talk to a person")
    await either.settle()
    await either.acts.press(ana, place, "Talk to a person")
    await either.settle()

    assert await either.heard() == ["Do you sell submarines?", *["Talk to a person"] * 2]
    assert len(either.world.inbox.opened) == 1
    assert "I am bringing in a person" in either.acts.texts(place)[-1]


async def test_a_mention_in_a_channel_is_answered_in_its_thread(either: Shop):
    """The mention is not part of the question; the channel itself stays quiet."""
    ana, place = either.acts.person("Ana"), either.acts.channel("help")
    ts = await either.say(ana, f"{US} how long do I have?", place)

    assert await either.heard() == ["how long do I have?"]
    assert either.acts.texts(place, ts) == ["Within 30 days [1].\n[1] Returns"]
    assert either.acts.texts(place) == []


async def test_a_mention_that_is_told_twice_is_one_message(shop: Shop):
    """`app_mention` and `message` carry the same ts, in either order."""
    ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
    for order in ([0, 1], [1, 0]):
        shop.slack.events.is_holding = True
        await shop.acts.say(ana, f"{US} how long?", place)
        kinds = [one.payload["event"]["type"] for one in shop.slack.events.held]
        await shop.slack.events.release(order)
        await shop.settle()

        assert kinds == ["app_mention", "message"]
    assert await shop.heard() == ["how long?", "how long?"]
    assert len(shop.world.answerer.asked) == 2


async def test_a_thread_goes_on_without_a_mention(shop: Shop):
    """Who talks with us in a thread need not name us; the others there are left in peace."""
    ana, ben = shop.acts.person("Ana"), shop.acts.person("Ben")
    place = shop.acts.channel("help")
    ts = await shop.say(ana, f"{US} how long do I have?", place)
    await shop.say(ben, "I wonder, too", place, thread=ts)
    await shop.say(ana, "And for books?", place, thread=ts)
    await shop.say(ana, "just chatting", place)

    assert await shop.heard() == ["how long do I have?", "And for books?"]
    assert len(shop.acts.texts(place, ts)) == 2


async def test_two_people_in_one_thread_have_a_talk_each(shop: Shop):
    """A person is called for Ben alone; Ana still has the bot."""
    ana, ben = shop.acts.person("Ana"), shop.acts.person("Ben")
    place = shop.acts.channel("help")
    ts = await shop.say(ana, f"{US} how long do I have?", place)
    await shop.say(ben, f"{US} a person, please", place, thread=ts)
    await shop.say(ana, "And for books?", place, thread=ts)

    assert len(shop.world.inbox.opened) == 1
    assert [question.text for question in shop.world.answerer.asked][-1] == "And for books?"


async def test_a_stranger_s_press_starts_nothing(shop: Shop):
    """A button in a channel is for the one who was asked."""
    shop.world.answerer.reply = lambda _: declined()
    ana, ben = shop.acts.person("Ana"), shop.acts.person("Ben")
    place = shop.acts.channel("help")
    await shop.say(ana, f"{US} do you sell submarines?", place)
    await shop.acts.press(ben, place, "Talk to a person")
    await shop.settle()

    assert shop.world.inbox.opened == []


async def test_an_edit_changes_the_line_and_a_preview_does_not(either: Shop):
    """Slack calls both a change; only one has other words."""
    ana = either.acts.person("Ana")
    place = either.slack.workspace.direct(ana)
    ts = await either.say(ana, "Where is my parcel? https://example.com")
    await either.acts.unfurl(place, ts)
    await either.settle()
    (before,) = await either.lines()
    await either.acts.edit(place, ts, "Where are my parcels?")
    await either.settle()
    (after,) = await either.lines()

    assert before.edited_at is None
    assert (after.text, after.edited_at is None) == ("Where are my parcels?", False)
    assert len(either.world.answerer.asked) == 1


async def test_an_edit_that_comes_first_waits_for_its_original(shop: Shop):
    """The line ends with the newer words, in whichever order the events came."""
    ana = shop.acts.person("Ana")
    shop.slack.events.is_holding = True
    ts = await shop.acts.say(ana, "Where is my parce?")
    await shop.acts.edit(shop.slack.workspace.direct(ana), ts, "Where is my parcel?")
    held = list(shop.slack.events.held)
    held[0].payload["event"]["text"] = "Where is my parce?"  # as it was when it was told
    await shop.slack.events.release([1])
    await shop.world.worker.settle()
    early = await shop.heard()
    shop.slack.events.held = held
    await shop.slack.events.release([0])
    await shop.world.worker.settle()
    shop.clock.turn(seconds=5)
    await shop.settle()

    assert early == []
    assert await shop.heard() == ["Where is my parcel?"]


async def test_a_mention_that_is_edited_in_is_a_question(shop: Shop):
    """It named nobody before, so nobody had kept it."""
    ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
    ts = await shop.say(ana, "how long do I have?", place)
    unheard = await shop.heard()
    await shop.acts.edit(place, ts, f"{US} how long do I have?")
    await shop.settle()

    assert unheard == []
    assert await shop.heard() == ["how long do I have?"]
    assert len(shop.acts.texts(place, ts)) == 1


async def test_a_line_that_is_taken_back_is_gone(shop: Shop):
    """In a direct message, and as the root of a thread, which leaves a stone behind."""
    ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
    private = await shop.say(ana, "My number is 12")
    root = await shop.say(ana, f"{US} my number is 13", place)
    await shop.acts.delete(shop.slack.workspace.direct(ana), private)
    await shop.acts.delete(place, root)
    await shop.settle()

    assert [line.withdrawn_at is not None for line in await shop.lines()] == [True, True]


async def test_a_broadcast_reply_is_one_message_of_its_thread(shop: Shop):
    """It is told twice and stands in the channel, too."""
    ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
    ts = await shop.say(ana, f"{US} how long?", place)
    await shop.acts.broadcast(ana, "And for books?", place, ts)
    await shop.settle()

    assert await shop.heard() == ["how long?", "And for books?"]
    assert len(shop.acts.texts(place, ts)) == 2


async def test_bots_and_our_own_posts_are_not_customers(shop: Shop):
    """Our echo comes back as an event, and so do other apps."""
    ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
    await shop.acts.bot_says(f"{US} deploy finished", place)
    await shop.say(ana, "How long do I have?")
    echoes = [one for one in await shop.events() if b"B0TANDEM0" in one.body]

    assert await shop.heard() == ["How long do I have?"]
    assert {one.state for one in echoes} == {"ignored"}
    assert len(echoes) >= 2


async def test_links_names_and_channels_are_read_as_words(shop: Shop):
    """Slack's markup becomes what the person saw when typing."""
    ana = shop.acts.person("Ana")
    await shop.say(
        ana, "Is 3 &lt; 4 &amp; <https://example.com/a|this> in <#C1|general> for <!here>?"
    )

    assert await shop.heard() == ["Is 3 < 4 & this (https://example.com/a) in #general for @here?"]


async def test_people_of_other_workspaces_are_told_politely_once(shop: Shop):
    """Where they are not served, nothing of theirs becomes a talk."""
    eve = shop.acts.person("Eve", team=OTHER_TEAM)
    place = shop.acts.channel("shared", is_shared=True)
    ts = await shop.say(eve, f"{US} let me in", place)
    await shop.say(eve, f"{US} please", place, thread=ts)
    await shop.channel.courtesy.settled()

    assert await shop.heard() == []
    assert shop.acts.texts(place, ts) == ["I can only answer members of this workspace here."]


async def test_people_of_other_workspaces_are_served_where_the_settings_say_so(
    database: Database, clock: TurnedClock
):
    """`connect = "allow"`: a customer like any other."""
    async with open_shop(database, clock, "http", connect="allow") as shop:
        eve = shop.acts.person("Eve", team=OTHER_TEAM)
        place = shop.acts.channel("shared", is_shared=True)
        ts = await shop.say(eve, f"{US} how long?", place)

        assert shop.acts.texts(place, ts) == ["Within 30 days [1].\n[1] Returns"]


async def test_guests_are_refused_where_the_settings_say_so(database: Database, clock: TurnedClock):
    """A guest is told; a member in the same channel is answered."""
    async with open_shop(database, clock, "http", guests="refuse") as shop:
        gil, ana = shop.acts.person("Gil", is_guest=True), shop.acts.person("Ana")
        await shop.say(gil, "你好，怎么退货？")
        await shop.say(ana, "How long do I have?")
        await shop.channel.courtesy.settled()

        assert shop.acts.texts(shop.slack.workspace.direct(gil)) == [
            "在这里我只能回答本工作区成员的问题。"
        ]
        assert await shop.heard() == ["How long do I have?"]


async def test_who_cannot_be_looked_up_is_served(database: Database, clock: TurnedClock):
    """An answer to a guest is a smaller harm than none to a member."""
    async with open_shop(database, clock, "http", guests="refuse") as shop:
        ana = shop.acts.person("Ana")
        shop.slack.faults.plan("users.info", Answer(500, "ill"))
        await shop.say(ana, "How long do I have?")

        assert await shop.heard() == ["How long do I have?"]


async def test_places_that_are_switched_off_are_not_listened_to(
    database: Database, clock: TurnedClock
):
    """Only mentions: no direct messages, no unaddressed lines in threads."""
    async with open_shop(database, clock, "http", places=["mentions"]) as shop:
        ana, place = shop.acts.person("Ana"), shop.acts.channel("help")
        ts = await shop.say(ana, f"{US} how long?", place)
        await shop.say(ana, "and for books?", place, thread=ts)
        await shop.say(ana, "hello?")

        assert await shop.heard() == ["how long?"]
