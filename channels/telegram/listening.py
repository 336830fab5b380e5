"""How updates come to us: fetched by long polling, or brought by Telegram to a webhook.

In both cases an update is committed first; only then is it over for Telegram.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

import structlog
from telegram import BotCommand, WebhookInfo

from channels.telegram.api import Api
from channels.telegram.condition import Condition
from channels.telegram.courtesies import Courtesies
from channels.telegram.reading import USERNAME
from channels.telegram.settings import NAME, Settings
from gateway.errors import BadToken, ChannelError, RateLimited
from gateway.messages import Action, RawEvent
from gateway.phrases import Phrases
from gateway.ports import Clock, Intake
from rag.types import Language
from storage.database import DatabaseError

log = structlog.get_logger()
T = TypeVar("T")

COMMANDS: tuple[Action, ...] = ("human", "bot")
_TAGS: tuple[tuple[Language, str | None], ...] = (("en", None), ("zh", "zh"))
ERROR_AGE_MAX = timedelta(minutes=10)  # an older trouble of the webhook is over
_OTHERS = "another program uses this bot's token: stop it, or make a bot for each with @BotFather"
_TAKEN = (
    "another program has set the bot's webhook to its own address:"
    " stop it, or make a bot for each with @BotFather"
)


class Waits:
    """The wait before the next try, doubled each time up to a limit; `over` begins anew."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = self._next_s = min(first_s, most_s)
        self._most_s = most_s

    def over(self) -> None:
        self._next_s = self._first_s

    async def wait(self, at_least_s: float = 0.0) -> None:
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self._most_s)
        await asyncio.sleep(max(wait_s, at_least_s))


class Listener:
    """Takes updates in for one bot."""

    def __init__(
        self, settings: Settings, api: Api, condition: Condition, courtesies: Courtesies
    ) -> None:
        self._settings = settings
        self._api = api
        self._condition = condition
        self._courtesies = courtesies

    async def begin(self, phrases: Phrases, webhook_url: str | None) -> None:
        """Who are we, and how do updates come? Waits for Telegram as long as it takes."""
        await self._patiently(self._api.learn_name)
        if webhook_url is None:
            await self._patiently(self._api.take_webhook_off)
        else:
            await self._patiently(lambda: self._api.set_webhook(webhook_url))
        try:
            for language, tag in _TAGS:
                await self._api.set_commands(_commands(phrases, language), tag)
        except BadToken:
            raise
        except ChannelError as error:  # a courtesy: the commands work unlisted, too
            log.warning("commands_not_listed", channel=NAME, error=str(error))

    async def poll(self, receive: Intake) -> None:
        """Fetch for ever. What was not committed is fetched again."""
        waits = self._waits()
        offset: int | None = None
        while True:
            try:
                for update in in_order(await self._api.updates(offset)):
                    await self.take(receive, update["update_id"], _dumped(update))
                    offset = update["update_id"] + 1
            except BadToken:
                raise
            except (ChannelError, DatabaseError) as error:
                self._note(error)
                log.warning("polling_failed", channel=NAME, error=str(error))
                await waits.wait(error.wait_s if isinstance(error, RateLimited) else 0.0)
            else:
                self._condition.well("polling")
                waits.over()

    async def take(self, receive: Intake, update_id: object, body: bytes) -> None:
        """Commit one update; then, as a courtesy, let its sender's screen know."""
        event = RawEvent(
            channel=NAME, account=self._settings.account, external_id=str(update_id), body=body,
            headers={USERNAME: self._api.username},
        )  # fmt: skip
        await receive.store(event)
        self._courtesies.after(event)

    async def watch(self, url: str, clock: Clock) -> None:
        """Look after the webhook for ever: set again when it is gone, told when it fails."""
        waits = self._waits()
        while True:
            try:
                await self._look_at(await self._api.webhook(), url, clock)
            except BadToken:
                raise
            except ChannelError as error:
                await waits.wait(error.wait_s if isinstance(error, RateLimited) else 0.0)
            else:
                waits.over()
                await asyncio.sleep(self._settings.check_wait_s)

    async def _look_at(self, found: WebhookInfo, url: str, clock: Clock) -> None:
        recent = found.last_error_date and clock() - found.last_error_date <= ERROR_AGE_MAX
        if found.url and found.url != url:
            self._condition.ails("webhook", _TAKEN)
        elif not found.url:
            log.warning("webhook_was_gone", channel=NAME)
            self._condition.ails("webhook", "the webhook was taken off; it is being set again")
            await self._api.set_webhook(url)
        elif recent:
            self._condition.ails(
                "webhook",
                f"Telegram cannot deliver to {url} ({found.last_error_message}):"
                " check that it can be reached from outside, with a valid certificate",
            )
        else:
            self._condition.well("webhook")

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        waits = self._waits()
        while True:
            try:
                return await call()
            except BadToken:
                raise
            except ChannelError as error:
                log.warning("telegram_not_ready", channel=NAME, error=str(error))
                await waits.wait(error.wait_s if isinstance(error, RateLimited) else 0.0)

    def _waits(self) -> Waits:
        return Waits(self._settings.retry_wait_s, self._settings.retry_wait_s_max)

    def _note(self, error: Exception) -> None:
        if "conflict" in str(error).lower():
            self._condition.ails("polling", _OTHERS)


def in_order(updates: object) -> list[dict[str, Any]]:
    """The updates of a batch that have a number, by their number."""
    several = cast("list[object]", updates) if isinstance(updates, list) else []
    known = [cast("dict[str, Any]", one) for one in several if isinstance(one, dict)]
    return sorted(
        (one for one in known if isinstance(one.get("update_id"), int)),
        key=lambda one: one["update_id"],
    )


def _dumped(update: dict[str, Any]) -> bytes:
    return json.dumps(update, separators=(",", ":")).encode()


def _commands(phrases: Phrases, language: Language) -> list[BotCommand]:
    return [BotCommand(one, phrases.button(one, language).label) for one in COMMANDS]
