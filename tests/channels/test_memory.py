"""The twin of all channels does what a test tells it to."""

import asyncio

import pytest

from channels.memory import MemoryChannel
from gateway.errors import Ambiguous, BadToken, RateLimited, Refused, Unreachable
from gateway.messages import Address, OutboundMessage, RawEvent
from gateway.ports import Deletes, Edits, Reconciles, Types

CHAT = Address(channel="memory", account="main", chat="c1")


class ListIntake:
    """Keeps what it was handed."""

    def __init__(self) -> None:
        self.events: list[RawEvent] = []

    async def store(self, event: RawEvent) -> None:
        self.events.append(event)


async def test_it_remembers_what_it_sent_in_order():
    """Each verb with its place, and a proof that is different every time."""
    channel = MemoryChannel()
    first = await channel.send(CHAT, OutboundMessage(text="one"))
    second = await channel.send(CHAT, OutboundMessage(text="two"))
    await channel.edit(CHAT, first.external_ids[0], OutboundMessage(text="one, corrected"))
    await channel.delete(CHAT, second.external_ids[0])
    await channel.typing(CHAT)

    assert channel.texts() == ["one", "two"]
    assert [one.verb for one in channel.sent] == ["send", "send", "edit", "delete", "typing"]
    assert first != second


@pytest.mark.parametrize("error", [
    Unreachable("no route"), RateLimited("slow down", wait_s=3), Refused("no"),
    Ambiguous("cut off"), BadToken("revoked"),
])  # fmt: skip
async def test_it_fails_once_as_it_is_told(error):
    """The next call raises, the one after it works, and nothing is sent twice."""
    channel = MemoryChannel()
    channel.fail_next(error)
    with pytest.raises(type(error)):
        await channel.send(CHAT, OutboundMessage(text="one"))
    await channel.send(CHAT, OutboundMessage(text="one"))

    assert channel.texts() == ["one"]


async def test_what_is_pushed_arrives_as_a_raw_event():
    """In order, through the same door as a provider's events."""
    channel, intake = MemoryChannel(), ListIntake()
    running = asyncio.create_task(channel.run(intake))
    events = [channel.event_of(chat="c1", text=text) for text in ("one", "two")]
    for event in events:
        channel.push(event)
    await channel.settled()
    running.cancel()

    assert intake.events == events
    said = [message for event in events if (message := channel.parse(event))]

    assert [getattr(message, "text", None) for message in said] == ["one", "two"]


def test_its_abilities_can_be_changed():
    """So that degrading can be tried on any channel."""
    channel = MemoryChannel()
    channel.can(buttons_max=0, text_units_max=100)

    assert (channel.capabilities.buttons_max, channel.capabilities.text_units_max) == (0, 100)


def test_it_has_every_optional_ability():
    """The small protocols are all there, so that whoever uses them can be tested."""
    channel = MemoryChannel()

    assert all(isinstance(channel, ability) for ability in (Edits, Deletes, Reconciles, Types))
