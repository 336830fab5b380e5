"""What is done for a customer's screen beside the answer: never waited for, never tried again."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog

from channels.telegram.api import Api
from channels.telegram.reading import Reader
from channels.telegram.sending import Sender
from channels.telegram.settings import NAME
from gateway.errors import ChannelError
from gateway.messages import Address, OutboundMessage, RawEvent
from gateway.phrases import Phrases
from gateway.ports import Clock

log = structlog.get_logger()

AT_ONCE_MAX = 20
REFUSED_AGAIN_AFTER = timedelta(hours=1)  # in one group
GROUPS_MAX = 1_000


class Courtesies:
    """Stops the wheel on a pressed button; tells a group once that we only talk in private."""

    def __init__(
        self, api: Api, sender: Sender, reader: Reader, phrases: Phrases, clock: Clock
    ) -> None:
        self._api = api
        self._sender = sender
        self._reader = reader
        self._phrases = phrases
        self._clock = clock
        self._at_work: set[asyncio.Task[None]] = set()
        self._refused: dict[str, datetime] = {}

    def after(self, event: RawEvent) -> None:
        """Do what `event`, which is committed, asks for; more than a few at once are left out."""
        if len(self._at_work) >= AT_ONCE_MAX:
            return
        try:
            work = self._due(event)
        except Exception as error:  # it is set aside when it is read
            log.debug("courtesy_unreadable", channel=NAME, error=type(error).__name__)
            return
        if work is not None:
            task = asyncio.create_task(self._kindly(work))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def done(self) -> None:
        """Wait for those that are at work."""
        await asyncio.gather(*self._at_work)

    def _due(self, event: RawEvent) -> Coroutine[Any, Any, None] | None:
        query = json.loads(event.body).get("callback_query")
        if query:
            return self._answer(str(query["id"]))
        place = self._reader.declined(event)
        if place is not None and self._may_refuse(place.chat):
            return self._refuse(place)
        return None

    def _may_refuse(self, chat: str) -> bool:
        now = self._clock()
        if now - self._refused.get(chat, now - REFUSED_AGAIN_AFTER) < REFUSED_AGAIN_AFTER:
            return False
        if len(self._refused) >= GROUPS_MAX:
            self._refused.pop(next(iter(self._refused)))
        self._refused[chat] = now
        return True

    async def _answer(self, query_id: str) -> None:
        with self._api.calling():
            await self._api.bot.answer_callback_query(query_id)

    async def _refuse(self, place: Address) -> None:
        """In both languages: a group has no language of its own."""
        link = f"https://t.me/{self._api.username}"
        text = "\n".join(
            self._phrases.say("place.private_only", one, link=link) for one in ("en", "zh")
        )
        await self._sender.send(place, OutboundMessage(text=text))

    async def _kindly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ChannelError as error:  # such as a press that is too old by now
            log.debug("courtesy_failed", channel=NAME, error=str(error))
