"""What a customer notices who goes on on another channel."""

import asyncio
import hashlib
import re
from datetime import timedelta

import pytest
from sqlmodel import Session, col, select

from channels.memory import MemoryChannel
from gateway.conversations import Draft
from gateway.crossing import CODES_OPEN_MAX
from gateway.history import items_after, transcript
from gateway.links import CannotJoin, Why
from gateway.messages import Item
from gateway.models import Contact, Conversation, Delivery, Identity, Link, LinkCode
from tests.gateway.world import ANA, World, answered


def code_in(items: list[Item]) -> str:
    """The one-time code of the newest link among `items`."""
    links = [found[1] for item in items if (found := re.search(r"start=([\w-]{32})", item.text))]
    return links[-1]


async def a_link(world: World, *, visitor: str = "v1") -> str:
    """A visitor of the website asks to go on elsewhere; the code of the link they are told."""
    world.memory.door = "https://memory.example/door"
    return code_in(await world.ask("/memory", visitor=visitor))


async def push(world: World, **fields: object) -> None:
    """Something arrives on the pushed channel, and everything settles."""
    await world.ingress.store(world.memory.event_of(**fields))
    await world.worker.settle()
    await world.outbox.drain()


async def person(world: World, account: str) -> str:
    """Whose account this is."""
    return await world.store.read(
        lambda s: s.exec(select(Identity.contact_id).where(Identity.external_id == account)).one()
    )


async def items_of(world: World, account: str) -> list[Item]:
    """All that the customer with this account may read."""
    contact_id = await person(world, account)
    return await world.store.read(lambda s: items_after(s, contact_id))


async def talk_of(world: World, account: str) -> list[str]:
    """The same, without the system's lines."""
    return [item.text for item in await items_of(world, account) if item.author != "system"]


async def merge(world: World, kept: str, gone: str) -> None:
    """An agent says that two accounts are one person's."""
    one, two = await person(world, kept), await person(world, gone)
    await world.store.write(lambda s: world.links.merge(s, one, two, Why("agent", "agent:ana")))


async def undo_newest(world: World) -> None:
    def work(session: Session) -> None:
        link = session.exec(select(Link).order_by(col(Link.id).desc())).first()
        assert link is not None
        world.links.undo(session, link.id, actor="agent:ana", reason="a mistake")

    await world.store.write(work)
    await world.worker.settle()
    await world.outbox.drain()


async def test_a_talk_that_began_on_the_website_goes_on_elsewhere(world: World) -> None:
    """By the link: the talk is one, an answer comes where the customer wrote, the website too."""
    await world.ask("How long can I return it?")
    code = await a_link(world)
    await push(world, chat="c1", code=code, verified=True)
    await push(world, chat="c1", text="And how do I send it?")

    assert [text.split(".")[0] for text in world.memory.texts()] == [
        "We go on in memory with your conversation from the chat on our website",
        "Within 30 days [1]",
    ]
    items = await items_of(world, "v1")
    assert [item.seq for item in items] == [1, 2, 3, 4, 6, 7, 8]  # 5 is a note for agents
    assert [item.author for item in items] == [
        "customer", "bot", "customer", "system", "system", "customer", "bot",
    ]  # fmt: skip


async def test_a_persons_answer_reaches_the_new_channel(world: World) -> None:
    """The agent who has the talk need not know that the customer went elsewhere."""
    await world.ask("How long can I return it?")
    await push(world, chat="c1", code=await a_link(world))
    await push(world, chat="c1", text="/human")

    def reply(session: Session, conversation: Conversation) -> None:
        world.conversations.claim(session, conversation, ANA)
        world.conversations.say(session, conversation, Draft(text="Hello!", author=ANA))

    await world.act(reply, "c1")
    await world.outbox.drain()

    assert world.memory.texts()[-1] == "Hello!"
    assert (await talk_of(world, "c1"))[-1] == "Hello!"


async def test_an_undone_link_parts_what_was_said(world: World) -> None:
    """Each side has what came in through its own account and what was said to it, and goes on."""
    await world.ask("From the website")
    await push(world, chat="c1", text="From elsewhere, before")
    await push(world, chat="c1", code=await a_link(world))
    await push(world, chat="c1", action="yes")
    await push(world, chat="c1", text="From elsewhere, since")
    await world.ask("From the website again")
    await undo_newest(world)

    assert [text for text in await talk_of(world, "v1") if "From" in text] == [
        "From the website", "From the website again",
    ]  # fmt: skip
    assert [text for text in await talk_of(world, "c1") if "From" in text] == [
        "From elsewhere, before", "From elsewhere, since",
    ]  # fmt: skip
    assert world.memory.texts()[-1].startswith("This conversation is no longer connected")
    await push(world, chat="c1", text="Still here?")
    assert world.memory.texts()[-1] == "Within 30 days [1].\n\n[1] Returns"


async def test_a_link_works_once_for_ten_minutes_in_its_own_channel(world: World) -> None:
    """Used, too old, meant for elsewhere, made up: each is said plainly, and nothing is joined."""
    used, late, elsewhere = [await a_link(world, visitor=one) for one in ("v1", "v2", "v3")]
    await push(world, chat="c1", code=used)
    world.memory.sent.clear()
    await push(world, chat="c2", code=used)
    await push(world, chat="c3", code="made-up-" * 4)
    await world.store.write(lambda s: _aim(s, elsewhere, "other"))
    await push(world, chat="c4", code=elsewhere)
    world.clock.turn(minutes=10)
    await push(world, chat="c5", code=late)

    assert len(world.memory.texts()) == 4
    assert {text.split(",")[0] for text in world.memory.texts()} == {"This link was used before"}
    assert len(await world.store.read(lambda s: s.exec(select(Link)).all())) == 1


def _aim(session: Session, code: str, channel: str) -> None:
    """As if the link had been made for another channel."""
    one = session.get_one(LinkCode, hashlib.sha256(code.encode()).digest())
    one.channel = channel
    session.add(one)


async def test_a_code_is_kept_as_a_hash_and_agents_do_not_see_the_link(world: World) -> None:
    """Whoever reads the table of codes, or the transcript, cannot follow it."""
    code = await a_link(world)
    conversation = await world.conversation()

    codes = await world.store.read(lambda s: s.exec(select(LinkCode)).all())
    lines = await world.store.read(lambda s: transcript(s, conversation.id))
    assert code.encode() not in codes[0].code_hash
    assert codes[0].expires_at - codes[0].created_at == timedelta(minutes=10)
    assert not any(code in line.text for line in lines)


async def test_of_many_links_the_oldest_stops_working(world: World) -> None:
    """One more than the limit: the first is dead, the second still lives."""
    codes: list[str] = []
    for _ in range(CODES_OPEN_MAX + 1):
        codes.append(await a_link(world))
        world.clock.turn(seconds=10)
    await push(world, chat="c1", code=codes[0])
    await push(world, chat="c2", code=codes[1])

    assert world.memory.texts()[0].startswith("This link was used before")
    assert world.memory.texts()[1].startswith("We go on in memory")


async def test_two_accounts_that_a_channel_vouches_for_stay_two_people(world: World) -> None:
    """The one who follows the link is told so, and an agent cannot do it either."""
    await push(world, chat="c1", text="I am one", verified=True)
    await world.ask("On the website")
    await push(world, chat="c1", code=await a_link(world), verified=True)
    await push(world, chat="c1", action="yes", verified=True)
    code = await a_link(world)
    await push(world, chat="c2", code=code, verified=True)

    assert world.memory.texts()[-1].startswith("This link leads to the conversation of another")
    with pytest.raises(CannotJoin):
        await merge(world, "c1", "c2")


@pytest.mark.parametrize(
    ("email", "people"), [("li@example.com", 1), ("Li@Example.COM", 1), ("li@elsewhere.net", 2)]
)
async def test_a_verified_email_joins_inside_the_allowed_domains_only(
    world: World, email: str, people: int
) -> None:
    """A public provider's addresses say nothing about who somebody is."""
    world.channels["other"] = other = MemoryChannel(name="other")
    world.conversations.capabilities["other"] = other.capabilities  # pyright: ignore[reportIndexIssue]
    await push(world, chat="c1", text="First", email="li@" + email.partition("@")[2].lower())
    await world.ingress.store(other.event_of(chat="o1", text="Second", email=email))
    await world.worker.settle()
    await world.outbox.drain()

    owners = {await person(world, one) for one in ("c1", "o1")}
    told = [text for text in world.memory.texts() if "Both are one now" in text]
    assert len(owners) == people
    assert len(told) == 2 - people
    if people == 1:
        assert await talk_of(world, "o1") == [
            "First", "Within 30 days [1].", "Second", "Within 30 days [1].",
        ]  # fmt: skip


async def test_a_name_joins_nobody(world: World) -> None:
    """Two people called Li Wei are two people."""
    await push(world, chat="c1", text="I am Li", name="Li Wei")
    await push(world, chat="c2", text="I am Li, too", name="Li Wei")

    assert await talk_of(world, "c1") == ["I am Li", "Within 30 days [1]."]


async def test_a_question_that_waits_is_answered_though_the_other_talk_was(world: World) -> None:
    """Joined while the bot has not begun: the reply that is already there answered another one."""
    await push(world, chat="c1", text="Answered elsewhere")
    await world.write_in("Still waiting")
    await merge(world, "v1", "c1")
    await world.worker.settle()

    assert world.answerer.asked[-1].text == "Still waiting"
    assert (await talk_of(world, "v1"))[-2:] == ["Still waiting", "Within 30 days [1]."]


async def test_joined_while_the_bot_thinks_the_answer_comes_once_where_the_customer_is(
    world: World,
) -> None:
    """What was begun for the website is thrown away; the question is answered at the new place."""
    code = await a_link(world)
    world.answerer.gate.clear()
    world.answerer.reply = lambda _: answered("By post [1].")
    await world.write_in("How do I send it?")
    working = asyncio.create_task(world.worker.settle())
    while not world.answerer.asked:  # noqa: ASYNC110 - the bot offers no event to wait for
        await asyncio.sleep(0)
    await world.ingress.store(world.memory.event_of(chat="c1", code=code))
    await world.worker.admit()
    while not await world.store.read(lambda s: s.exec(select(Link)).all()):  # noqa: ASYNC110
        await asyncio.sleep(0)
    world.answerer.gate.set()
    await working
    await world.worker.settle()
    await world.outbox.drain()

    assert [text for text in world.memory.texts() if "By post" in text] == [
        "By post [1].\n\n[1] Returns"
    ]
    assert (await talk_of(world, "c1")).count("By post [1].") == 1


async def test_parted_while_a_person_has_it_nobody_who_waits_is_lost(world: World) -> None:
    """The person goes along with where the customer wrote last; the other side waits on."""
    await push(world, chat="c1", text="Elsewhere first")
    await push(world, chat="c1", code=await a_link(world))
    await push(world, chat="c1", action="yes")
    await push(world, chat="c1", text="/human")
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), "c1")
    await world.write_in("And on the website")
    await undo_newest(world)

    here, there = await world.conversation("v1"), await world.conversation("c1")
    assert (here.state, here.owner) == ("agent", "ana")
    assert there.state == "waiting"


async def test_an_agents_merge_is_told_in_both_places(world: World) -> None:
    """One line in the talk, shown to the customer on either side."""
    await world.ask("On the website")
    await push(world, chat="c1", text="Elsewhere")
    await merge(world, "v1", "c1")
    await world.outbox.drain()

    assert world.memory.texts()[-1].startswith("Your conversations in memory and in the chat")
    items = await items_of(world, "v1")
    places = await world.store.read(
        lambda s: s.exec(select(Delivery.surface).where(Delivery.message_id == items[-1].id)).all()
    )
    assert items[-1].text == world.memory.texts()[-1]
    assert sorted(places) == ["memory", "web"]


async def test_going_on_elsewhere_is_offered_while_waiting_where_there_is_a_door(
    world: World,
) -> None:
    """With the notice that a person comes; not where the customer is known already."""
    world.channels["telegram"] = telegram = MemoryChannel(name="telegram")
    world.conversations.capabilities["telegram"] = telegram.capabilities  # pyright: ignore[reportIndexIssue]
    [without] = await world.ask("/human", visitor="v2")
    telegram.door = "https://t.example/bot"
    [notice] = await world.ask("/human")
    pressed = await world.ask("", action="continue_on-telegram")
    refused = await world.ask("", action="continue_on-slack")

    assert [button.action for button in without.buttons] == ["bot"]
    assert [button.action for button in notice.buttons] == ["bot", "continue_on-telegram"]
    assert "https://t.example/bot?start=" in pressed[-1].text
    assert "within 10 minutes" in pressed[-1].text
    assert refused[-1].text == "I cannot take you to Slack from here."


async def test_a_link_is_told_in_the_customers_language(world: World) -> None:
    """Chinese words about it for who writes Chinese."""
    world.memory.door = "https://memory.example/door"
    await world.ask("我可以退货吗？")
    items = await world.ask("/memory")
    await push(world, chat="c1", code=code_in(items))

    assert items[-1].text.startswith("请在 10 分钟内打开此链接")
    assert world.memory.texts()[-1].startswith("您来自 网站上的聊天窗口 的对话将在 memory 继续")


async def test_a_repeat_of_the_arriving_message_changes_nothing(world: World) -> None:
    """The network brings it twice: one greeting, one link."""
    event = world.memory.event_of(chat="c1", code=await a_link(world))
    for copy in (event, event):
        await world.ingress.store(copy)
    await world.worker.settle()
    await world.outbox.drain()

    assert len(world.memory.texts()) == 1
    people = await world.store.read(
        lambda s: s.exec(select(Contact).where(col(Contact.joined_into).is_(None))).all()
    )
    assert len(people) == 1


async def test_who_has_a_talk_of_their_own_is_asked_before_it_is_shared(world: World) -> None:
    """A stranger may have sent the link: nothing is joined before yes, or after no."""
    await push(world, chat="c1", text="My own words")
    code = await a_link(world)
    await push(world, chat="c1", code=code)
    asked = world.memory.sent[-1].message
    before = await person(world, "c1") != await person(world, "v1")
    await push(world, chat="c1", action="no")
    await push(world, chat="c1", code=code)

    assert asked is not None
    assert [button.action for button in asked.buttons] == ["yes", "no"]
    assert before
    apart, spent = world.memory.texts()[-2:]
    assert apart == "Nothing was connected. Go on writing here."
    assert spent.startswith("This link was used before")
    assert "My own words" not in await talk_of(world, "v1")


async def test_yes_joins_and_the_press_is_in_the_talk_once(world: World) -> None:
    """What was written on both sides is one talk, which goes on here."""
    await push(world, chat="c1", text="My own words")
    await push(world, chat="c1", code=await a_link(world))
    await push(world, chat="c1", action="yes")
    await push(world, chat="c1", text="Since then")

    talk = await talk_of(world, "v1")
    assert [text for text in talk if text in ("My own words", "Yes", "Since then")] == [
        "My own words", "Yes", "Since then",
    ]  # fmt: skip
    assert world.memory.texts()[-1].startswith("Within 30 days")


async def test_an_advertisements_link_is_no_code(world: World) -> None:
    """Another parameter than ours is ignored, and the message counts."""
    await push(world, chat="c1", text="Hello there", code="spring-sale")

    assert world.memory.texts() == ["Within 30 days [1].\n\n[1] Returns"]


async def test_no_link_is_told_where_others_read_along(world: World) -> None:
    """In a shared place anybody could follow it: it is neither offered nor told."""
    world.channels["telegram"] = telegram = MemoryChannel(name="telegram")
    world.conversations.capabilities["telegram"] = telegram.capabilities  # pyright: ignore[reportIndexIssue]
    telegram.door = "https://t.example/bot"
    await push(world, chat="group", thread="t1", text="/telegram", **{"from": "u1"})
    await push(world, chat="group", thread="t1", text="/human", **{"from": "u1"})

    assert world.memory.texts()[0] == "I cannot take you to Telegram from here."
    notice = world.memory.sent[-1].message
    assert notice is not None
    assert [button.action for button in notice.buttons] == ["bot"]
