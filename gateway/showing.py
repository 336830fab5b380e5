"""What a customer sees of the bot's answer before there is one: typing, then the text so far.

Nothing of it is stored or promised. It is sent again and again, because a screen may begin to
listen late, and it is taken away when somebody else speaks or the bot begins anew.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from gateway.errors import StaleEpoch
from gateway.messages import Address
from gateway.models import Conversation
from gateway.ports import Aloud, Answerer, Channel, Types
from gateway.store import Store
from rag.types import Answer, Question

log = structlog.get_logger()

WATCH_EVERY_S = 2.0  # a look without a hint, in case one was lost
TYPING_AGAIN_S = 4.0  # networks show it for some five seconds
TYPING_WAIT_S = 3.0
TYPING_AT_ONCE_MAX = 50


class Typing:
    """Tells networks of others that the bot is at work. A courtesy: what fails is forgotten, and
    beyond so many at once it is left out."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self, address: Address) -> None:
        channel = self._channels.get(address.channel)
        if not isinstance(channel, Types) or len(self._tasks) >= TYPING_AT_ONCE_MAX:
            return
        task = asyncio.create_task(_type(channel, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _type(channel: Types, address: Address) -> None:
    try:
        async with asyncio.timeout(TYPING_WAIT_S):
            await channel.typing(address)
    except Exception as error:
        log.debug("typing_failed", channel=address.channel, error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class Screens:
    """How customers watch the bot at work. `aloud`: a text is shown while it is written."""

    typing: Typing
    aloud: bool = True

    def writer(self, answerer: Answerer) -> Aloud | None:
        """The answerer as one that can be read while it writes, if it is to be and can."""
        return answerer if self.aloud and isinstance(answerer, Aloud) else None


class Showing:
    """One turn's view on the customer's screens: ours by the feed, others' by `typing`."""

    def __init__(
        self, store: Store, contact_id: str, typing: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._topic = f"contact:{contact_id}"
        self._typing = typing
        self._typed_at = float("-inf")
        self._text = ""
        self._is_over = False

    def again(self) -> None:
        """Show what there is to show: the text so far, else that the bot is typing."""
        if self._text and not self._is_over:
            self._publish({"type": "partial", "text": self._text})
        elif not self._is_over:
            self._publish({"type": "typing", "author": "bot"})
        now = time.monotonic()
        if not self._is_over and now - self._typed_at >= TYPING_AGAIN_S:
            self._typed_at = now
            self._typing()

    def text(self, text: str) -> None:
        """The text so far, in place of what was shown."""
        if not self._is_over and text != self._text:
            self._text = text
            self.again()

    def stop(self) -> None:
        """Take away what was shown; nothing more is."""
        if self._text and not self._is_over:
            self._publish({"type": "partial", "text": ""})
        self._is_over = True

    def _publish(self, signal: dict[str, str]) -> None:
        self._store.feed.publish((self._topic,), signal)


async def read_aloud(
    answerer: Aloud, question: Question, showing: Showing, taken: Callable[[], Awaitable[None]]
) -> Answer:
    """The answer, shown while it is written. Raises StaleEpoch, and ends the writing, once
    `taken` returns: somebody else has the conversation."""
    started = asyncio.Event()

    def show(text: str) -> None:
        started.set()
        showing.text(text)

    async def watch() -> None:
        await started.wait()  # before that there is nothing to take away
        await taken()

    writing = asyncio.ensure_future(answerer.answer_aloud(question, show))
    watching = asyncio.ensure_future(watch())
    try:
        await asyncio.wait((writing, watching), return_when=asyncio.FIRST_COMPLETED)
        if not writing.done() and watching.exception() is None:
            showing.stop()
            raise StaleEpoch("somebody else has the conversation")
        return await writing
    finally:
        for task in (writing, watching):
            task.cancel()
        await asyncio.gather(writing, watching, return_exceptions=True)


async def until_taken(store: Store, conversation_id: str, epoch: int) -> None:
    """Return when somebody else has the conversation."""
    topic = f"conversation:{conversation_id}"
    async with store.feed.subscribe(topic, signals=False) as hints:
        while True:
            found = await store.read(lambda session: session.get(Conversation, conversation_id))
            if found is None or found.epoch != epoch:
                return
            await hints.wait(WATCH_EVERY_S)
