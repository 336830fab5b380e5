"""A whole gateway over a real database: only the librarian and the agents' screens are twins."""

import asyncio
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlmodel import Session, col, select

from channels.memory import MemoryChannel
from gateway.conversations import Actor, Conversations
from gateway.crossing import Crossings
from gateway.entrances import Entrances
from gateway.feed import Feed
from gateway.handoff import HandOffRules, HandOver, Words
from gateway.history import items_after
from gateway.ingress import Ingress
from gateway.links import Links
from gateway.messages import (
    Action,
    Address,
    Capabilities,
    InboundMessage,
    Item,
    OutboundMessage,
    RawEvent,
    Receipt,
    Sender,
)
from gateway.models import Conversation, Message
from gateway.outbox import Outbox, OutboxLimits
from gateway.phrases import Phrases, make_phrases
from gateway.ports import Channel
from gateway.router import Received, Router
from gateway.running import RunningTurns
from gateway.showing import Screens, Typing
from gateway.store import Store
from gateway.turns import TurnLimits, Turns
from gateway.worker import Worker, WorkerLimits
from rag.types import Answer, Citation, Decision, Question, Reason
from storage.database import Database
from tests.conftest import TurnedClock

T = TypeVar("T")
CONFIG = Path(__file__).parents[2] / "config"
ANA = Actor(kind="agent", id="ana", name="Ana")
BEN = Actor(kind="agent", id="ben", name="Ben")


def phrases() -> Phrases:
    return make_phrases({
        language: tomllib.loads((CONFIG / f"phrases/{language}.toml").read_text())
        for language in ("en", "zh")
    })  # fmt: skip


def words() -> list[Words]:
    raw = [tomllib.loads((CONFIG / f"signals/{one}.toml").read_text()) for one in ("en", "zh")]
    return [Words.from_lists(one["asked"], one["how"]) for one in raw]


def answered(text: str = "Within 30 days [1].", *, version: int = 0) -> Answer:
    """An answer with one source."""
    return Answer(
        text=text, language="en", verdict="answered", knowledge_version=version, record_id="r1",
        citations=(Citation(n=1, title="Returns", source="returns.md", url=None, quote="30 days"),),
        decision=_decision("answer", Reason.CONFIDENT, p=0.9),
    )  # fmt: skip


def declined(reason: Reason = Reason.NO_PASSAGE) -> Answer:
    """A refusal to answer."""
    return Answer(text="", language="en", verdict="out_of_scope", citations=(),
                  decision=_decision("decline", reason, p=0.1))  # fmt: skip


def unsure(*suggestions: str) -> Answer:
    """An answer from the band between."""
    return Answer(text="", language="en", verdict="unsure", citations=(), suggestions=suggestions,
                  decision=_decision("suggest", Reason.BETWEEN, p=0.5))  # fmt: skip


def _decision(action: str, reason: Reason, *, p: float) -> Decision:
    return Decision(action=action, p=p, t_answer=0.7, t_suggest=0.4,  # pyright: ignore[reportArgumentType]
                    reasons=(reason,), calibration_id="c1")  # fmt: skip


class ScriptedAnswerer:
    """Says what the test told it to. `gate` holds every answer back until it is opened."""

    def __init__(self) -> None:
        self.reply: Callable[[Question], Answer] = lambda _: answered()
        self.similarity: Callable[[str, str], float] = lambda a, b: float(a == b)
        self.asked: list[Question] = []
        self.was_asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question)
        self.was_asked.set()
        await self.gate.wait()
        return self.reply(question)

    async def alike(self, text: str, others: Sequence[str]) -> list[float]:
        return [self.similarity(text, other) for other in others]


class ListInbox:
    """The twin of the agent inbox: lists of what it was told."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, HandOver]] = []
        self.shown: list[str] = []
        self.moves: list[str] = []

    def open(self, session: Session, conversation: Conversation, why: HandOver) -> int:
        if conversation.id not in [one for one, _ in self.opened]:
            self.opened.append((conversation.id, why))
        return len(self.opened)

    def show(self, session: Session, message: Message) -> None:
        self.shown.append(message.text)

    def moved(self, session: Session, conversation: Conversation) -> None:
        self.moves.append(conversation.state)

    def joined(self, session: Session, gone: Conversation, kept: Conversation) -> None:
        self.moves.append("joined")

    def parted(self, session: Session, whole: Conversation, part: Conversation) -> None:
        self.moves.append("parted")


class PulledChannel:
    """A channel whose customers read our own store, as the web's do."""

    name = "web"
    capabilities = Capabilities(
        text_units_max=40_000, buttons_max=10, markup="markdown", pulled=True,
        streaming=True,
    )  # fmt: skip

    def routes(self) -> Sequence[object]:
        return ()

    def parse(self, event: RawEvent) -> InboundMessage | None:
        return customer_message(event.body.decode(), external_id=event.external_id)

    async def run(self, receive: object) -> None:
        return

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        raise AssertionError("a pulled channel is never sent to")


def customer_message(
    text: str, *, external_id: str, visitor: str = "v1", action: Action | None = None
) -> InboundMessage:
    return InboundMessage(
        address=Address(channel="web", account="main", chat=visitor), external_id=external_id,
        sender=Sender(external_id=visitor), text=text, action=action,
    )  # fmt: skip


class World:
    """The gateway's parts, wired as the composition root does."""

    def __init__(
        self, database: Database, clock: TurnedClock, answerer: ScriptedAnswerer | None = None
    ) -> None:
        self.clock = clock
        self.answerer = answerer or ScriptedAnswerer()
        self.inbox = ListInbox()
        self.memory = MemoryChannel()
        self.channels: dict[str, Channel] = {"web": PulledChannel(), "memory": self.memory}
        self.store = Store(database, Feed())
        behind = Store(database, self.store.feed, patient=True)
        capabilities = {name: channel.capabilities for name, channel in self.channels.items()}
        entrances = Entrances(self.channels)
        self.conversations = Conversations(clock, phrases(), self.inbox, capabilities, entrances)
        self.links = Links(self.conversations)
        self.crossings = Crossings(self.conversations, self.links, email_domains=("example.com",))
        rules = HandOffRules()
        self.router = Router(self.conversations, self.crossings, words=words(), rules=rules)
        self.shows_typing: dict[str, Channel] = {}  # none: typing comes when it likes
        self.turns = Turns(
            behind, self.conversations, self.answerer, rules=rules, limits=TurnLimits(),
            screens=Screens(Typing(self.shows_typing)),
        )  # fmt: skip
        limits = WorkerLimits(retry_s=0.0)
        self.running = RunningTurns(behind, self.turns, at_once_max=limits.turns_at_once_max)
        self.ingress = Ingress(self.store, self.router, self.running)
        full = RunningTurns(behind, self.turns, at_once_max=0)
        self.full_ingress = Ingress(self.store, self.router, full)
        self.outbox = Outbox(
            behind,
            self.conversations,
            self.channels,
            OutboxLimits(reconcile_first_s=0, reconcile_again_s=0),
        )
        self.worker = Worker(
            behind, self.router, self.running, self.outbox,
            channels=self.channels, limits=limits,
        )  # fmt: skip
        self._count = 0

    def add_memory(self, name: str) -> MemoryChannel:
        """Another channel of the same kind."""
        channel = self.channels[name] = MemoryChannel(name=name)
        self.conversations.capabilities = {
            one: known.capabilities for one, known in self.channels.items()
        }
        return channel

    async def write_in(
        self, text: str, *, visitor: str = "v1", action: Action | None = None
    ) -> Received:
        """A customer on the web says something to a process with no place for a turn: the bot's
        waits in the database."""
        return await self._write_in(self.full_ingress, text, visitor, action)

    async def _write_in(
        self, ingress: Ingress, text: str, visitor: str, action: Action | None
    ) -> Received:
        self._count += 1
        message_id = f"{visitor}:{self._count}"
        message = customer_message(text, external_id=message_id, visitor=visitor, action=action)
        event = RawEvent(
            channel="web", account="main", external_id=message_id,
            body=f"{text}|{message.action}".encode(),
        )  # fmt: skip
        return await ingress.take(event, message)

    async def begin(self, text: str, *, visitor: str = "v1") -> Received:
        """A customer on the web says something, and the bot's turn starts with it."""
        return await self._write_in(self.ingress, text, visitor, None)

    async def ask(
        self, text: str, *, visitor: str = "v1", action: Action | None = None
    ) -> list[Item]:
        """A customer says something, everything settles; what they see since."""
        received = await self._write_in(self.ingress, text, visitor, action)
        await self.worker.settle()
        return await self.seen(visitor, after=received.seq)

    async def seen(self, visitor: str = "v1", after: int = 0) -> list[Item]:
        conversation = await self.conversation(visitor)
        return await self.store.read(
            lambda session: items_after(session, conversation.contact_id, after=after)
        )

    async def conversation(self, visitor: str = "v1") -> Conversation:
        def find(session: Session) -> Conversation:
            return (
                session.exec(
                    select(Conversation)
                    .where(Conversation.reply_chat == visitor)
                    .order_by(col(Conversation.id).desc())
                ).first()
                or _missing()
            )

        return await self.store.read(find)

    async def act(self, verb: Callable[[Session, Conversation], T], visitor: str = "v1") -> T:
        """Let somebody do something to a visitor's conversation, in one transaction."""
        found = await self.conversation(visitor)
        return await self.store.write(
            lambda session: verb(session, session.get_one(Conversation, found.id))
        )


def _missing() -> Conversation:
    raise LookupError("the visitor has no conversation")
