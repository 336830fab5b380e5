"""How updates reach a bot: fetched by it, or brought to its webhook; with what goes wrong there.

One queue for each chat, one for each person's button presses. A webhook that fails is tried again
after waits that double; a press lives 150 seconds, all else a day.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from tests.fakes.telegram.failures import Fail

Clock = Callable[[], datetime]
Update = dict[str, Any]
PRESS_LIVES, UPDATE_LIVES = timedelta(seconds=150), timedelta(hours=24)
WAIT_MAX = timedelta(seconds=60)
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
DEFAULT_KINDS = ("message", "edited_message", "callback_query", "my_chat_member")


@dataclass(slots=True)
class Webhook:
    url: str
    secret: str = ""
    error_at: datetime | None = None
    error: str = ""


@dataclass(slots=True)
class _Letter:
    """An update on its way."""

    update: Update
    at: datetime
    due: datetime
    wait: timedelta = field(default=timedelta(seconds=1))

    @property
    def lane(self) -> object:
        if press := self.update.get("callback_query"):
            return ("press", press["from"]["id"])
        said = self.update.get("message") or self.update.get("edited_message")
        return (said or self.update["my_chat_member"])["chat"]["id"]

    def is_dead(self, now: datetime) -> bool:
        lives = PRESS_LIVES if "callback_query" in self.update else UPDATE_LIVES
        return now - self.at > lives


class Mail:
    """The updates of one bot. `on_hold`: people write, and nothing reaches the bot meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._letters: list[_Letter] = []
        self._next_id = 700_000_001
        self._bell = asyncio.Event()
        self._pollers = 0
        self.kinds: Sequence[str] = DEFAULT_KINDS
        self.webhook: Webhook | None = None
        self.on_hold = False
        self.closed = False
        self.dropped: list[Update] = []

    # What people cause

    def add(self, kind: str, content: dict[str, Any]) -> Update:
        update: Update = {"update_id": self._next_id, kind: content}
        self._next_id += 1
        if kind in self.kinds:
            now = self._clock()
            self._letters.append(_Letter(update, now, now))
            self._ring()
        return update

    def again(self, update: Update, times: int = 1) -> None:
        """Bring an update once more, with the same number."""
        now = self._clock()
        self._letters += [_Letter(update, now, now) for _ in range(times)]
        self._ring()

    def newest(self) -> Update:
        return self._letters[-1].update

    def swap(self) -> None:
        """The two newest change places, and numbers: the later one comes first."""
        older, newer = self._letters[-2:]
        older.update["update_id"], newer.update["update_id"] = (
            newer.update["update_id"], older.update["update_id"],
        )  # fmt: skip
        self._letters[-2:] = [newer, older]

    def drop(self) -> None:
        """The newest never arrives."""
        self._letters.pop()

    def release(self) -> None:
        self.on_hold = False
        self._ring()

    def waiting(self) -> int:
        return len(self._letters)

    async def taken(self) -> None:
        """Wait until the bot has confirmed all there is."""
        while self._letters:
            await self._bell.wait()

    # Fetched

    async def fetch(self, offset: int | None, limit: int, timeout_s: float) -> list[Update]:
        """What getUpdates gives. Raises 409 for the one of two who asked first."""
        if self.webhook is not None:
            raise Fail(409, "Conflict: can't use getUpdates method while webhook is active; "
                            "use deleteWebhook to delete the webhook first")  # fmt: skip
        self._pollers += 1
        me = self._pollers
        self._ring()  # whoever waits already is sent away
        self._confirm(offset)
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not (found := self._ready(limit)) and loop.time() < until and not self.closed:
            try:
                await asyncio.wait_for(self._bell.wait(), until - loop.time())
            except TimeoutError:
                break
            if me != self._pollers:
                raise Fail(409, "Conflict: terminated by other getUpdates request; "
                                "make sure that only one bot instance is running")  # fmt: skip
        return found

    def _confirm(self, offset: int | None) -> None:
        if offset is not None:
            self._letters = [one for one in self._letters if one.update["update_id"] >= offset]
            self._ring()

    def _ready(self, limit: int) -> list[Update]:
        return [] if self.on_hold else [one.update for one in self._letters[:limit]]

    # Brought

    async def deliver(self, session: aiohttp.ClientSession) -> list[int]:
        """Bring what is due to the webhook, each lane in order; what was answered."""
        if self.webhook is None or self.on_hold:
            return []
        now, statuses, blocked = self._clock(), list[int](), set[object]()
        for letter in list(self._letters):
            if letter.is_dead(now):
                self.dropped.append(letter.update)
                self._letters.remove(letter)
            elif letter.due > now or letter.lane in blocked:
                blocked.add(letter.lane)
            elif await self._bring(session, self.webhook, letter, statuses):
                self._letters.remove(letter)
            else:
                blocked.add(letter.lane)
        self._ring()
        return statuses

    async def _bring(
        self, session: aiohttp.ClientSession, to: Webhook, letter: _Letter, statuses: list[int]
    ) -> bool:
        headers = {"Content-Type": "application/json", SECRET_HEADER: to.secret}
        try:
            async with session.post(
                to.url, data=json.dumps(letter.update).encode(), headers=headers
            ) as answer:
                status, wait = answer.status, answer.headers.get("Retry-After")
        except aiohttp.ClientError:
            status, wait = 0, None
        statuses.append(status)
        if 200 <= status < 300:
            return True
        now = self._clock()
        to.error_at = now
        to.error = f"Wrong response from the webhook: {status}" if status else "Connection refused"
        letter.due = now + (timedelta(seconds=min(int(wait), 3_600)) if wait else letter.wait)
        letter.wait = min(letter.wait * 2, WAIT_MAX)
        return False

    def close(self) -> None:
        """Let those who wait go home."""
        self.closed = True
        self._ring()

    def _ring(self) -> None:
        self._bell.set()
        self._bell = asyncio.Event()
