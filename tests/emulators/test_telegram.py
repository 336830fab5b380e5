"""Our Telegram channel on somebody else's Telegram, by polling and by webhook."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from litestar import Litestar

from channels.telegram import Settings
from channels.telegram.channel import TelegramChannel
from gateway.messages import Address, OutboundMessage
from storage.database import Database
from tests.channels.slack.shop import serving
from tests.emulators.conftest import TelegramServer
from tests.emulators.office import Office, until

ANSWER = "Within 30 days"


@dataclass(frozen=True, slots=True)
class Chat:
    """The gateway, and the customer's side of a private chat with its bot."""

    office: Office
    server: TelegramServer

    async def said(self, *, count: int) -> list[dict[str, Any]]:
        """What the bot has said, once it is so much and nothing of it is a placeholder."""

        async def look() -> list[dict[str, Any]]:
            said = await self.server.said()
            done = [line for line in said if not line["text"].startswith("One moment")]
            return said if len(done) >= count else []

        return await until(look)


@pytest.fixture(params=["polling", "webhook"])
async def chat(
    request: pytest.FixtureRequest, database: Database, telegram: TelegramServer
) -> AsyncIterator[Chat]:
    office = Office(database)
    section = {
        "token": telegram.token, "api_url": telegram.url, "mode": request.param,
        "poll_wait_s": 0, "retry_wait_s": 0.1,
    }  # fmt: skip
    channel = TelegramChannel(Settings.model_validate(section), office.parts)
    async with serving(Litestar(channel.routes(), logging_config=None)) as url:
        channel.parts = replace(channel.parts, public_url=url)
        async with office.working("telegram", channel):
            if request.param == "webhook":
                await until(telegram.hooked)
            yield Chat(office, telegram)


async def test_a_text_is_answered(chat: Chat):
    """By a placeholder that becomes the answer, with its buttons."""
    await chat.server.write("How long can I return it?")
    [answer] = await chat.said(count=1)
    [heard] = await chat.office.messages("customer")
    keys = [key["text"] for row in answer["reply_markup"]["inline_keyboard"] for key in row]

    assert answer["text"].startswith(ANSWER)
    assert str(answer["chat_id"]) == "7"
    assert keys[-1] == "Talk to a person"
    assert heard.text == "How long can I return it?"


async def test_a_pressed_button_calls_a_person(chat: Chat):
    """The press arrives as what it means, in the same conversation."""
    await chat.server.write("How long can I return it?")
    [answer] = await chat.said(count=1)
    keys = [key for row in answer["reply_markup"]["inline_keyboard"] for key in row]
    shown = {
        "message_id": answer["message_id"], "date": int(time.time()), "text": answer["text"],
        "chat": {"id": 7, "first_name": "Ana", "type": "private"},
    }  # fmt: skip
    await chat.server.press(keys[-1]["callback_data"], shown)
    [_, notice] = await chat.said(count=2)
    pressed = await chat.office.messages("customer")

    assert "number 1 in line" in notice["text"]
    assert [line.action for line in pressed] == [None, "human"]
    assert len({line.conversation_id for line in pressed}) == 1


async def test_our_line_can_be_changed_and_taken_back(chat: Chat):
    """An edit replaces the text where it stands; a deletion removes it."""
    channel = chat.office.world.channels["telegram"]
    assert isinstance(channel, TelegramChannel)
    address = Address(channel="telegram", account="main", chat="7")
    sent = await channel.send(address, OutboundMessage(text="One line.", delivery_id="d1"))
    await channel.edit(address, sent.external_ids[0], OutboundMessage(text="Another line."))
    changed = [line["text"] for line in await chat.server.said()]
    await channel.delete(address, sent.external_ids[0])

    assert changed == ["Another line."]
    assert await chat.server.said() == []
