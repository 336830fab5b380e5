"""The emulators start, speak as the vendors' own clients expect, and end."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest

from tests.emulators.conftest import Hook, SlackServer, TelegramServer
from tests.emulators.program import served

SECRET = "hook-secret"


async def test_telegram_hands_on_texts_and_buttons_with_the_secret(
    telegram: TelegramServer, hook: Hook
):
    """A text, an answer with a button, the press of it: each reaches the webhook."""
    async with Bot(telegram.token, base_url=f"{telegram.url}/bot") as bot:
        await bot.set_webhook(hook.url, secret_token=SECRET)
        await telegram.write("hello")
        text = await hook.next()
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("A person", callback_data="human")]])
        sent = await bot.send_message(7, "Hello, Ana.", reply_markup=keyboard)
        await telegram.press("human", json.loads(sent.to_json()))
        press = await hook.next()

    assert text.headers["x-telegram-bot-api-secret-token"] == SECRET
    assert text.json()["message"]["text"] == "hello"
    assert press.json()["callback_query"]["data"] == "human"
    assert [said["text"] for said in await telegram.said()] == ["Hello, Ana."]


async def test_telegram_changes_a_message(telegram: TelegramServer):
    """An edit replaces the text."""
    async with Bot(telegram.token, base_url=f"{telegram.url}/bot") as bot:
        sent = await bot.send_message(7, "One moment.")
        await bot.edit_message_text("Within 30 days.", chat_id=7, message_id=sent.message_id)

    assert [said["text"] for said in await telegram.said()] == ["Within 30 days."]


async def test_telegram_refuses_what_it_does_not_know(telegram: TelegramServer):
    """A method that it lacks is a 400 with `ok: false`, as a client expects refusals."""
    async with Bot(telegram.token, base_url=f"{telegram.url}/bot") as bot:
        with pytest.raises(BadRequest, match="not supported"):
            await bot.send_chat_action(7, "typing")


async def test_slack_signs_events_and_keeps_threads(slack: SlackServer, hook: Hook):
    """A customer's text comes as a signed event; our reply in its thread can be read back."""
    customer = AsyncWebClient(slack.customer_token, base_url=slack.url, retry_handlers=[])
    bot = AsyncWebClient(slack.bot_token, base_url=slack.url, retry_handlers=[])
    listed: Any = await bot.conversations_list()
    [channel] = [one["id"] for one in listed["channels"] if one["name"] == "support"]
    asked: Any = await customer.chat_postMessage(channel=channel, text="hello")
    event = await hook.next()
    reply: Any = await bot.chat_postMessage(
        channel=channel, text="One moment.", thread_ts=asked["ts"]
    )
    await bot.reactions_add(channel=channel, timestamp=asked["ts"], name="eyes")
    await bot.chat_update(channel=channel, ts=reply["ts"], text="Within 30 days.")
    thread: Any = await bot.conversations_replies(channel=channel, ts=asked["ts"])

    verifier = SignatureVerifier(slack.signing_secret)
    assert verifier.is_valid_request(event.body, event.headers)
    assert event.json()["event"]["text"] == "hello"
    assert [line["text"] for line in thread["messages"]] == ["hello", "Within 30 days."]
    assert thread["messages"][0]["reactions"][0]["name"] == "eyes"


async def test_a_model_streams_and_can_be_busy(model: str):
    """Pieces, then usage with no choices; and 429 with Retry-After on demand."""
    asked = {
        "model": "any",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "When is my refund paid?"}],
    }
    async with httpx.AsyncClient(base_url=model) as client:
        streamed = await client.post("/chat/completions", json=asked)
        busy = await client.post(
            "/chat/completions", json=asked, headers={"x-aimock-chaos-ratelimit": "1"}
        )

    frames = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line]
    chunks = [json.loads(frame) for frame in frames[:-1]]
    words = [c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]]
    assert frames[-1] == "[DONE]"
    assert len(words) > 3
    assert "".join(words) == "Refunds are paid within five days [1]."
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")


def test_an_emulator_that_cannot_start_says_why(tmp_path: Path):
    """The reason is in the failure, not in a log that nobody finds."""
    with (
        pytest.raises(AssertionError, match="Cannot find module"),
        served(["none.mjs"], ready="ready", log=tmp_path / "none.txt"),
    ):
        pass
