"""What the gateway needs from the world. Each port has a twin that ships with the product."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from sqlmodel import Session

from gateway.handoff import HandOver
from gateway.messages import (
    Address,
    Attachment,
    Capabilities,
    Inbound,
    OutboundMessage,
    RawEvent,
    Receipt,
    Sender,
)
from gateway.models import Conversation, Message
from rag.types import Answer, Question

Clock = Callable[[], datetime]
"""The current time, aware, UTC. `storage.ids.utc_now` ticks; tests turn it by hand."""


class Intake(Protocol):
    """What a channel hands its events to. A 2xx may go out only after it returned."""

    async def store(self, event: RawEvent) -> None:
        """Commit a raw event; the worker goes on from the database alone. A repeat is absorbed."""
        ...


class Channel(Protocol):
    """A way in and out. Built by its module's `build(settings, …)`; found by the section's name."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def routes(self) -> Sequence[Any]:
        """Web route handlers this channel needs; empty for one that polls."""
        ...

    def parse(self, event: RawEvent) -> Inbound | None:
        """What a stored raw event says; None for events that say nothing to us."""
        ...

    async def run(self, receive: Intake) -> None:
        """Fetch events until cancelled, for channels that have to; others just return."""
        ...

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        """Deliver once, without any retry. Raises a leaf of ChannelError."""
        ...


@runtime_checkable
class Edits(Protocol):
    """A channel that can change what it delivered."""

    async def edit(self, address: Address, external_id: str, message: OutboundMessage) -> None: ...


@runtime_checkable
class Deletes(Protocol):
    """A channel that can take back what it delivered."""

    async def delete(self, address: Address, external_id: str) -> None: ...


@runtime_checkable
class Reconciles(Protocol):
    """A channel that can find out what became of an ambiguous send."""

    async def reconcile(
        self, address: Address, delivery_id: str
    ) -> Receipt | Literal["absent"] | None:
        """The receipt if it arrived, "absent" if it certainly did not, None if nobody can tell."""
        ...


@runtime_checkable
class Types(Protocol):
    """A channel that can show that somebody is typing. Courtesy: never retried."""

    async def typing(self, address: Address) -> None: ...


@runtime_checkable
class Fetches(Protocol):
    """A channel whose files stay with the provider until somebody wants to see them."""

    async def fetch(self, attachment: Attachment, *, bytes_max: int) -> bytes:
        """The bytes behind `attachment.reference`. Raises Refused when there are more, or none."""
        ...


@runtime_checkable
class Introduces(Protocol):
    """A channel that can say more of an account than its messages do."""

    async def introduce(self, sender: Sender) -> Sender:
        """`sender` with name, language and verified e-mail, as far as the provider knows them."""
        ...


@runtime_checkable
class Invites(Protocol):
    """A channel that can be entered by a link."""

    def invitation(self, code: str) -> str | None:
        """The address that brings its reader here with `code`; None while it is not known."""
        ...


@runtime_checkable
class Reports(Protocol):
    """A channel that can be unwell while the rest works."""

    async def health(self) -> str:
        """ "ok", or what is wrong and what an operator can do. Answers at once, from memory."""
        ...


class Answerer(Protocol):
    """The bot's knowledge. In process `rag.answer.Librarian`, else `rag.client.RemoteLibrarian`."""

    def answer(self, question: Question) -> Awaitable[Answer]: ...

    def alike(self, text: str, others: Sequence[str]) -> Awaitable[list[float]]:
        """How far `text` asks the same as each of `others`, 0..1."""
        ...


@runtime_checkable
class Aloud(Protocol):
    """An answerer that can be read while it writes."""

    def answer_aloud(self, question: Question, show: Callable[[str], None]) -> Awaitable[Answer]:
        """Like `answer`; `show` is given as much of the text as may be seen already, again and
        again. What is shown is not the answer: that may come out otherwise."""
        ...


class Inbox(Protocol):
    """Where people take over. Each verb runs in the gateway's open transaction, so a hand-over
    and its case commit together."""

    def open(self, session: Session, conversation: Conversation, why: HandOver) -> int:
        """The case's place in the queue, from 1. Opening an open case changes nothing."""
        ...

    def show(self, session: Session, message: Message) -> None:
        """A new line for whoever has the case on a screen."""
        ...

    def moved(self, session: Session, conversation: Conversation) -> None:
        """The conversation's owner changed; a closed or handed-back one ends its case."""
        ...

    def joined(self, session: Session, gone: Conversation, kept: Conversation) -> None:
        """`gone` is part of `kept` now, whose owner is settled: of their two open cases one is
        left. With itself: only its person changed."""
        ...

    def parted(self, session: Session, whole: Conversation, part: Conversation) -> None:
        """`part` was taken out of `whole`, and the person who had it went along."""
        ...
