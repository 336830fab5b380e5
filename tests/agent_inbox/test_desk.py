"""The desk: people take over, one at a time, on a view that still holds."""

import asyncio

import pytest
from sqlmodel import Session, select

from agent_inbox.desk import View
from gateway.errors import GatewayError, IllegalMove, StaleEpoch, StaleView, Unauthorised
from gateway.models import Audit, Delivery
from gateway.states import State
from tests.agent_inbox.bench import Bench
from tests.gateway.conftest import database

__all__ = ["database"]  # this page runs on both databases


async def test_a_handed_over_customer_stands_in_the_queue(bench: Bench):
    """One case is opened, with its reasons and a brief made of what was said."""
    await bench.waits("My order A-20391 is late.")

    case = await bench.case()
    assert case is not None
    assert (case.state, case.owner, case.number) == ("waiting", None, case.number)
    assert [reason["name"] for reason in case.reasons] == ["asked", "low_confidence"]
    assert case.brief["mentions"] == [{"kind": "code", "text": "A-20391", "seq": 1}]


async def test_asking_again_opens_no_second_case(bench: Bench):
    """However often a person is asked for: one case, one notice, the same place."""
    await bench.waits(visitor="v1")
    await bench.waits(visitor="v2")
    await bench.waits("Hello?", visitor="v2")

    notices = [line.text for line in await bench.lines("v2") if line.mark == "handed_over"]
    assert len(await bench.cases_of("v2")) == 1
    assert len(notices) == 1
    assert "number 2" in notices[0]


async def test_the_brief_keeps_up_while_the_customer_waits(bench: Bench):
    """What is added in the queue is in the brief when somebody claims."""
    await bench.waits("It is about my order.")
    await bench.says("The number is A-20391.")

    case = await bench.case()
    assert case is not None
    assert [quote["text"] for quote in case.brief["wants"]][-1] == "The number is A-20391."


async def test_two_agents_claim_and_one_gets_it(bench: Bench):
    """First commit wins; the other is told that it moved, and one notice goes out."""
    ana, ben = await bench.agent("Ana"), await bench.agent("Ben")
    await bench.waits()
    view = await bench.view()

    outcomes = await asyncio.gather(
        bench.desk.claim(ana, view), bench.desk.claim(ben, view), return_exceptions=True
    )

    conversation = await bench.world.conversation()
    case = await bench.case()
    assert sorted(type(one).__name__ for one in outcomes) == ["NoneType", "StaleEpoch"]
    assert conversation.owner in (ana.id, ben.id)
    assert case is not None
    assert (case.state, case.owner) == ("owned", conversation.owner)
    assert len([line for line in await bench.lines() if line.mark == "claimed"]) == 1


async def test_those_behind_are_told_when_the_line_moves(bench: Bench):
    """A claim moves everybody up: the next customer's screens are told at once."""
    ana = await bench.agent("Ana")
    await bench.waits(visitor="v1")
    second = await bench.waits(visitor="v2")
    async with bench.store.feed.subscribe(f"contact:{second.contact_id}") as screen:
        await bench.desk.claim(ana, await bench.view("v1"))
        changed, _ = await screen.wait(1.0)

    assert changed


async def test_two_agents_write_at_once_and_neither_talks_over_the_other(bench: Bench):
    """One reply goes out; the other is asked again, with the owner's name to read."""
    ana, ben = await bench.agent("Ana"), await bench.agent("Ben")
    await bench.waits()
    view = await bench.view()

    outcomes = await asyncio.gather(
        bench.desk.reply(ana, view, "I am Ana.", client_id="from-ana-1"),
        bench.desk.reply(ben, view, "I am Ben.", client_id="from-ben-1"),
        return_exceptions=True,
    )
    loser, words = (ben, "I am Ben.") if isinstance(outcomes[1], StaleEpoch) else (ana, "I am Ana.")
    await bench.desk.reply(loser, await bench.view(), words, client_id="second-try")

    replies = [line.text for line in await bench.lines() if line.author == "agent"]
    assert len([one for one in outcomes if isinstance(one, StaleEpoch)]) == 1
    assert sorted(replies) == ["I am Ana.", "I am Ben."]
    assert (await bench.world.conversation()).owner == loser.id


async def test_a_reply_on_an_old_view_is_held_back(bench: Bench):
    """The customer wrote meanwhile: nothing goes out until the agent has seen it."""
    ana = await bench.agent("Ana")
    await bench.waits()
    view = await bench.view()
    await bench.says("Never mind, I found it!")

    with pytest.raises(StaleView) as refused:
        await bench.desk.reply(ana, view, "Let me look.", client_id="one-reply")

    newest = (await bench.world.conversation()).next_seq - 1
    assert refused.value.newest_seq == newest
    assert [line for line in await bench.lines() if line.author == "agent"] == []
    assert (await bench.world.conversation()).state == State.WAITING


async def test_whoever_writes_owns(bench: Bench):
    """A reply to a conversation of the bot's takes it over and opens a case."""
    ana = await bench.agent("Ana")
    await bench.says("How long is shipping?")

    await bench.desk.reply(ana, await bench.view(), "Two days.", client_id="one-reply")

    case = await bench.case()
    assert (await bench.world.conversation()).owner == ana.id
    assert case is not None
    assert [reason["name"] for reason in case.reasons] == ["agent"]
    assert case.first_reply_at == bench.clock()


async def test_a_reply_sent_twice_arrives_once(bench: Bench):
    """The console repeats what it got no answer to; the customer reads it once."""
    ana = await bench.agent("Ana")
    await bench.waits()
    view = await bench.view()

    first = await bench.desk.reply(ana, view, "Hello!", client_id="one-reply")
    again = await bench.desk.reply(ana, view, "Hello!", client_id="one-reply")

    assert first == again
    assert [item.text for item in await bench.world.seen() if item.author == "agent"] == ["Hello!"]


async def test_a_note_never_reaches_the_customer(bench: Bench):
    """Notes are in the agents' transcript and in nothing that is sent or shown to customers."""
    ana = await bench.agent("Ana")
    conversation = await bench.waits()

    await bench.desk.note(ana, await bench.view(), "VIP, canary-77", client_id="one-note")

    def deliveries(session: Session) -> list[Delivery]:
        return list(session.exec(select(Delivery).where(Delivery.surface != "console")))

    note = [line for line in await bench.lines() if line.note]
    sent = await bench.store.read(deliveries)
    assert [line.text for line in note] == ["VIP, canary-77"]
    assert all("canary-77" not in item.text for item in await bench.world.seen())
    assert all(one.message_id != note[0].id for one in sent)
    assert (await bench.world.conversation()).epoch == conversation.epoch


async def test_a_note_is_no_first_reply(bench: Bench):
    """Writing for colleagues stops no clock."""
    ana = await bench.agent("Ana")
    await bench.waits()

    await bench.desk.note(ana, await bench.view(), "Looks easy.", client_id="one-note")

    case = await bench.case()
    assert case is not None
    assert case.first_reply_at is None


async def test_a_released_case_keeps_its_place(bench: Bench):
    """Who waited longest is next again, and is told the place."""
    ana = await bench.agent("Ana")
    await bench.waits(visitor="v1")
    bench.clock.turn(minutes=1)
    await bench.waits(visitor="v2")
    await bench.desk.claim(ana, await bench.view("v1"))

    await bench.desk.release(ana, await bench.view("v1"))

    case = await bench.case("v1")
    assert case is not None
    assert (case.state, case.owner) == ("waiting", None)
    assert "number 1" in (await bench.world.seen("v1"))[-1].text


async def test_what_a_gone_agent_had_goes_back_into_the_queue(bench: Bench):
    """Five customers do not wait for somebody who left: each is told, none is lost."""
    ana, ben = await bench.agent("Ana"), await bench.agent("Ben")
    visitors = [f"v{number}" for number in range(5)]
    for visitor in (*visitors, "other"):
        await bench.waits(visitor=visitor)
        await bench.desk.claim(ben if visitor == "other" else ana, await bench.view(visitor))
        bench.clock.turn(seconds=1)

    released = await bench.desk.release_all(ana)

    states = [(await bench.world.conversation(visitor)).state for visitor in visitors]
    told = [(await bench.world.seen(visitor))[-1].text for visitor in visitors]
    assert released == 5
    assert states == [State.WAITING] * 5
    assert [f"number {place}" in text for place, text in enumerate(told, 1)] == [True] * 5
    assert (await bench.world.conversation("other")).owner == ben.id


async def test_a_hand_back_ends_the_case_and_the_bot_answers_again(bench: Bench):
    """What was agreed is told; the next question is the bot's."""
    ana = await bench.agent("Ana")
    await bench.waits()
    await bench.desk.reply(ana, await bench.view(), "A new one is coming.", client_id="one-reply")

    await bench.desk.hand_back(ana, await bench.view(), "A replacement by Friday")
    items = await bench.world.ask("How do I return the old one?")

    assert [(case.state, case.outcome) for case in await bench.cases_of()] == [
        ("closed", "handed_back")
    ]
    assert any("A replacement by Friday" in item.text for item in await bench.world.seen())
    assert items[-1].author == "bot"


async def test_resolving_closes_the_case_with_its_outcome(bench: Bench):
    """How it ended, and about what, is kept, with who did it in the audit."""
    ana = await bench.agent("Ana")
    await bench.waits()
    await bench.desk.claim(ana, await bench.view())

    await bench.desk.resolve(ana, await bench.view(), outcome="solved", topic="delivery")

    def audited(session: Session) -> list[Audit]:
        return list(session.exec(select(Audit).where(Audit.action == "case_closed")))

    case = (await bench.cases_of())[0]
    entries = await bench.store.read(audited)
    assert (case.state, case.outcome, case.topic) == ("closed", "solved", "delivery")
    assert case.closed_at == bench.clock()
    assert [(one.actor, one.detail["outcome"]) for one in entries] == [
        (f"agent:{ana.id}", "solved")
    ]


async def test_resolving_waits_for_what_the_customer_just_wrote(bench: Bench):
    """Nobody is closed off in the middle of a sentence."""
    ana = await bench.agent("Ana")
    await bench.waits()
    await bench.desk.claim(ana, await bench.view())
    view = await bench.view()
    await bench.says("One more thing…")

    with pytest.raises(StaleView):
        await bench.desk.resolve(ana, view, outcome="solved")

    assert (await bench.world.conversation()).state == State.AGENT


async def test_a_customer_who_goes_back_to_the_bot_ends_the_case(bench: Bench):
    """The queue holds nobody who has left it."""
    await bench.waits()
    await bench.says("", action="bot")

    assert [(case.state, case.outcome) for case in await bench.cases_of()] == [("closed", "left")]


async def test_a_colleagues_conversation_is_theirs_to_end(bench: Bench):
    """Only the owner and admins release, hand back or resolve; anybody may take over."""
    ana, ben = await bench.agent("Ana"), await bench.agent("Ben")
    chief = await bench.agent("Chen", role="admin")
    await bench.waits()
    await bench.desk.claim(ana, await bench.view())

    with pytest.raises(Unauthorised):
        await bench.desk.resolve(ben, await bench.view(), outcome="spam")
    with pytest.raises(Unauthorised):
        await bench.desk.release(ben, await bench.view())
    with pytest.raises(Unauthorised):
        await bench.desk.hand_back(ben, await bench.view())
    await bench.desk.resolve(chief, await bench.view(), outcome="unsolved")

    assert (await bench.world.conversation()).state == State.CLOSED


async def test_writing_into_a_closed_conversation_reopens_it(bench: Bench):
    """A person may come back to it; a new case counts the new stretch."""
    ana = await bench.agent("Ana")
    await bench.waits()
    await bench.desk.resolve(ana, await bench.view(), outcome="solved")

    await bench.desk.reply(ana, await bench.view(), "One more thing.", client_id="one-reply")

    assert (await bench.world.conversation()).owner == ana.id
    assert [case.state for case in await bench.cases_of()] == ["closed", "owned"]


async def test_an_old_conversation_stays_closed_when_a_newer_one_is_open(bench: Bench):
    """The customer has one open conversation; the old one says so instead of breaking."""
    ana = await bench.agent("Ana")
    old = await bench.waits()
    await bench.desk.resolve(ana, await bench.view(), outcome="solved")
    bench.clock.turn(days=9)
    await bench.says("Hello again")

    with pytest.raises(IllegalMove):
        await bench.desk.reply(
            ana, View(conversation_id=old.id, epoch=None), "Hi", client_id="one-reply"
        )


async def test_a_taken_over_agent_cannot_write_on_unawares(bench: Bench):
    """After a colleague took over, the next send asks first."""
    ana, ben = await bench.agent("Ana"), await bench.agent("Ben")
    await bench.waits()
    await bench.desk.claim(ana, await bench.view())
    view = await bench.view()
    await bench.desk.claim(ben, view)

    with pytest.raises(StaleEpoch):
        await bench.desk.reply(ana, view, "As I said…", client_id="one-reply")


async def test_the_bots_turn_is_cancelled_by_a_claim(bench: Bench):
    """An answer in the making when a person takes over is never shown."""
    ana = await bench.agent("Ana")
    await bench.says("How long is shipping?")
    await bench.desk.claim(ana, await bench.view())

    await bench.world.worker.settle()

    assert [item for item in await bench.world.seen() if item.author == "bot"] == []


async def test_earlier_cases_do_not_hide_the_place_in_the_queue(bench: Bench):
    """Places are counted over those who wait, not over all cases that ever were."""
    ana = await bench.agent("Ana")
    for visitor in ("v1", "v2", "v3"):
        await bench.waits(visitor=visitor)
        bench.clock.turn(seconds=1)
    await bench.desk.claim(ana, await bench.view("v1"))

    await bench.waits(visitor="v4")

    notice = [item for item in await bench.world.seen("v4") if item.author == "system"][-1]
    assert "number 3" in notice.text


async def test_an_unknown_conversation_is_said_to_be_unknown(bench: Bench):
    """A made-up id is no server error."""
    ana = await bench.agent("Ana")

    with pytest.raises(LookupError):
        await bench.desk.claim(ana, View(conversation_id="nothing", epoch=0))
    assert not issubclass(LookupError, GatewayError)
