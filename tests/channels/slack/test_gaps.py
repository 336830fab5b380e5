"""What was said while no events came."""

import asyncio

from tests.channels.slack.shop import Shop
from tests.fakes.faults import Answer
from tests.fakes.slack import refused
from tests.fakes.slack.workspace import BOT_USER

US = f"<@{BOT_USER}>"


async def test_an_outage_loses_nothing_and_doubles_nothing(shop: Shop):
    """Twenty minutes without events: each line of open talks is read once, in order."""
    ana, ben = shop.acts.person("Ana"), shop.acts.person("Ben")
    place = shop.acts.channel("help")
    await shop.say(ana, "How long?")
    ts = await shop.say(ben, f"{US} how long?", place)
    shop.slack.events.is_dropping = True
    await shop.acts.say(ana, "Are you there?")
    await shop.acts.say(ben, "And for books?", place, thread=ts)
    await shop.acts.say(ana, "I need it today")
    shop.clock.turn(minutes=20)
    shop.slack.events.is_dropping = False
    await shop.say(ana, "Hello?")  # a later event comes before anybody looks
    await shop.channel.look_around(shop.world.ingress)
    brought = await shop.channel.gaps.fill(shop.world.ingress)
    await shop.settle()
    again = await shop.channel.gaps.fill(shop.world.ingress)

    assert (brought, again) == (3, 0)
    assert sorted(await shop.heard()) == sorted([
        "How long?", "how long?", "Are you there?", "And for books?", "I need it today", "Hello?",
    ])  # fmt: skip


async def test_a_start_reads_back_what_was_said_before_it(shop: Shop):
    """The server was down longer than Slack tries; running again is all it takes."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long?")
    shop.slack.events.is_dropping = True
    await shop.acts.say(ana, "Are you there?")
    shop.slack.events.is_dropping = False
    running = asyncio.create_task(shop.channel.run(shop.world.ingress))
    async with asyncio.timeout(10):
        while len(await shop.heard()) < 2:
            await shop.settle()
    running.cancel()
    await asyncio.wait([running])

    assert await shop.heard() == ["How long?", "Are you there?"]
    assert await shop.channel.health() == "ok"


async def test_an_event_that_comes_after_all_changes_nothing(shop: Shop):
    """First read back, then told by Slack's retry: one message."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long?")
    shop.slack.events.is_holding = True
    await shop.acts.say(ana, "And for books?")
    await shop.channel.look_around(shop.world.ingress)
    await shop.channel.gaps.fill(shop.world.ingress)
    await shop.settle()
    await shop.slack.events.release()
    await shop.settle()

    assert await shop.heard() == ["How long?", "And for books?"]


async def test_an_edit_during_the_outage_is_found(shop: Shop):
    """The line has the newer words afterwards."""
    ana = shop.acts.person("Ana")
    ts = await shop.say(ana, "How lon?")
    shop.slack.events.is_dropping = True
    await shop.acts.edit(shop.slack.workspace.direct(ana), ts, "How long?")
    shop.slack.events.is_dropping = False
    await shop.channel.look_around(shop.world.ingress)
    await shop.channel.gaps.fill(shop.world.ingress)
    await shop.settle()

    assert await shop.heard() == ["How long?"]


async def test_slack_saying_that_it_told_too_much_leads_to_a_look(shop: Shop):
    """`app_rate_limited` is stored, answered, and wakes the reader of gaps."""
    await shop.slack.events.rate_limited()

    assert shop.slack.events.parcels[-1].status == 200
    assert shop.channel.gaps.wake.is_set()


async def test_five_minutes_of_silence_lead_to_a_look(shop: Shop):
    """Not before, and after a look not again at once."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long?")
    shop.clock.turn(minutes=4)
    early = shop.channel.gaps.is_silent()
    shop.clock.turn(minutes=2)
    late = shop.channel.gaps.is_silent()
    await shop.channel.gaps.fill(shop.world.ingress)

    assert (early, late, shop.channel.gaps.is_silent()) == (False, True, False)


async def test_a_gap_that_cannot_be_filled_is_named(shop: Shop):
    """Health says that lines may be missing, until they were read."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long?")
    await shop.channel.look_around(shop.world.ingress)
    shop.slack.faults.plan("conversations.history", Answer(200, refused("fatal_error")))
    await shop.channel.gaps.fill(shop.world.ingress)
    ill = await shop.channel.health()
    await shop.channel.gaps.fill(shop.world.ingress)

    assert "lines may be missing" in ill
    assert await shop.channel.health() == "ok"


async def test_long_histories_are_read_page_by_page(shop: Shop):
    """Five hundred lines of an outage, and the talk is whole."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "How long?")
    await shop.agent_says("I am here.")
    await shop.settle()
    shop.slack.events.is_dropping = True
    for n in range(500):
        await shop.acts.say(ana, f"line {n}")
    shop.slack.events.is_dropping = False
    await shop.channel.look_around(shop.world.ingress)
    await shop.channel.gaps.fill(shop.world.ingress)
    await shop.settle()

    assert (await shop.heard())[1:] == [f"line {n}" for n in range(500)]
