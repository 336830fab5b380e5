"""What customers and agents notice when a person takes over, and when the bot gets it back."""

import asyncio

import pytest

from gateway import audit
from gateway.conversations import Draft
from gateway.errors import IllegalMove
from gateway.history import transcript
from tests.gateway.world import ANA, BEN, World


async def test_the_whole_way_to_a_person_and_back(world: World) -> None:
    """Asked for, joined, answered, handed back with what was agreed, and the bot answers again."""
    talk = world.conversations
    await world.ask("How long can I return it?")
    await world.ask("a person, please")
    await world.act(lambda s, c: talk.claim(s, c, ANA))
    await world.act(lambda s, c: talk.say(s, c, Draft(text="I can help.", author=ANA)))
    await world.act(lambda s, c: talk.hand_back(s, c, ANA, agreed="refund on Friday"))
    [answer] = await world.ask("And how long does a refund take?")

    items = await world.seen()
    assert [item.author for item in items] == [
        "customer", "bot", "customer", "system", "system", "agent", "system", "customer", "bot",
    ]  # fmt: skip
    assert items[4].text == "Ana has joined."
    assert items[5].agent == "Ana"
    assert "refund on Friday" in items[6].text
    assert answer.author == "bot"
    assert [item.seq for item in items] == list(range(1, 10))


async def test_after_a_take_over_the_bots_finished_answer_is_discarded(world: World) -> None:
    """An answer that was being made when Ana claimed never reaches the customer."""
    world.answerer.gate.clear()
    await world.write_in("How long?")
    await world.worker.admit()
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA))
    world.answerer.gate.set()
    await world.worker.settle()

    assert [item.author for item in await world.seen()] == ["customer", "system"]


async def test_the_bots_unsent_text_is_cancelled_by_a_take_over(world: World) -> None:
    """A bot's text that still waits to be sent is withdrawn in the transaction of the claim."""
    event = world.memory.event_of(chat="c1", text="How long?")
    await world.ingress.store(event)
    await world.worker.admit()
    while world.worker._at_work():
        await asyncio.wait(world.worker._at_work())
        await world.worker.admit()
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.outbox.drain()

    assert world.memory.texts() == ["Ana has joined."]


async def test_hand_back_answers_what_nobody_has_answered(world: World) -> None:
    """A question asked while waiting is answered by the bot when it gets the talk back."""
    await world.ask("a person, please")
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA))
    await world.ask("How long can I return it?")
    await world.act(lambda s, c: world.conversations.hand_back(s, c, ANA))
    await world.worker.settle()

    assert [item.author for item in await world.seen()][-2:] == ["system", "bot"]
    assert "How long can I return it?" in world.answerer.asked[0].text


async def test_while_a_person_has_it_the_bot_says_nothing(world: World) -> None:
    """Not even when it is asked for a person again."""
    await world.ask("a person, please")
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA))
    replies = await world.ask("Are you there? talk to a human")

    assert replies == []
    assert world.answerer.asked == []


async def test_notes_stay_inside(world: World) -> None:
    """A note is a line for agents that no customer ever gets."""
    await world.ask("a person, please")
    note = Draft(text="looks like fraud", author=ANA, note=True)
    await world.act(lambda s, c: world.conversations.append(s, c, note))
    conversation = await world.conversation()
    lines = await world.store.read(lambda s: transcript(s, conversation.id))

    assert "looks like fraud" not in [item.text for item in await world.seen()]
    assert lines[-1].note
    assert lines[-1].text == "looks like fraud"


async def test_a_waiting_customer_may_go_back_to_the_bot(world: World) -> None:
    """The button under the notice gives the talk back."""
    [notice] = await world.ask("a person, please")
    replies = await world.ask("", action="bot")

    assert [button.action for button in notice.buttons] == ["bot"]
    assert replies[0].text.startswith("You are with the bot again")
    assert (await world.conversation()).state == "bot"


async def test_resolved_and_written_to_again_within_three_days_reopens(world: World) -> None:
    """The same conversation goes on; after three days a new one points back and seq goes on."""
    await world.ask("a person, please")
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA))
    await world.act(lambda s, c: world.conversations.resolve(s, c, ANA))
    first = await world.conversation()
    await world.ask("One more thing: how long?")
    reopened = await world.conversation()
    await world.act(lambda s, c: world.conversations.resolve(s, c, BEN))
    world.clock.turn(days=4)
    await world.ask("Hello again, how long?")
    later = await world.conversation()

    assert (reopened.id, reopened.state) == (first.id, "bot")
    assert later.id != first.id
    assert later.previous_id == first.id
    assert [item.seq for item in await world.seen()] == list(range(1, later.next_seq))


async def test_every_change_of_owner_raises_the_epoch_and_is_in_the_audit(world: World) -> None:
    """Who took it, who gave it back, in an unbroken chain."""
    talk = world.conversations
    await world.ask("a person, please")
    epochs = [(await world.conversation()).epoch]
    for verb in (
        lambda s, c: talk.claim(s, c, ANA),
        lambda s, c: talk.claim(s, c, ANA),
        lambda s, c: talk.claim(s, c, BEN),
        lambda s, c: talk.release(s, c, BEN, place=1),
        lambda s, c: talk.hand_back(s, c, ANA),
        lambda s, c: talk.resolve(s, c, ANA),
    ):
        await world.act(verb)
        epochs.append((await world.conversation()).epoch)

    assert epochs == [1, 2, 2, 3, 4, 5, 6]
    assert await world.store.read(audit.first_broken) is None


async def test_a_closed_conversation_cannot_be_handed_back(world: World) -> None:
    """The state table has no such move, and nothing changes."""
    await world.ask("How long?")
    await world.act(lambda s, c: world.conversations.resolve(s, c, ANA))
    with pytest.raises(IllegalMove):
        await world.act(lambda s, c: world.conversations.hand_back(s, c, ANA))

    assert (await world.conversation()).state == "closed"
