"""What the web chat does, whatever it is asked over: sessions, messages in, items out."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache

import structlog
from sqlalchemy import bindparam
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from channels import Parts, StandingOf
from channels.web.admission import Rate, Seats
from channels.web.fields import MessagePosted, StateFrame, canonical
from channels.web.identity import BadIdentity, HostIdentity
from channels.web.problems import Problem
from channels.web.sessions import Asked, Opened, Sessions
from channels.web.settings import NAME, Settings
from gateway.attachments import Attachments, uploaded
from gateway.contacts import KnownVisitor, see, visitor_of
from gateway.feed import Signal, Subscription
from gateway.history import news_after
from gateway.messages import Address, Attachment, InboundMessage, Item, RawEvent, Sender
from gateway.models import Conversation, Message
from gateway.router import Received
from rag.types import Language

log = structlog.get_logger()

NET_S = 15.0  # a push is only a hint: readers look again this often without one
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a reader has read, and in which numbering; None: it does not keep it."""

    after: int
    numbering: int | None = None

    def in_numbering(self, numbering: int) -> int:
        """The `seq` to go on from: numbers of another numbering say nothing."""
        return self.after if self.numbering in (None, numbering) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a visitor has not seen. `changed`: older items, edited or withdrawn since. `moment`:
    of the feed, before it was read."""

    moment: int
    visitor: KnownVisitor
    items: list[Item]
    changed: list[Item]

    @property
    def topics(self) -> tuple[str, ...]:
        """Where hints for this visitor come from; there is no contact before the first message."""
        own = (visitor_topic(self.visitor.id),)
        contact_id = self.visitor.contact_id
        return own if contact_id is None else (*own, f"contact:{contact_id}")

    @property
    def changes(self) -> set[tuple[int, datetime | None, bool]]:
        return {(item.seq, item.edited_at, item.withdrawn) for item in self.changed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(News):
    """The news, and who speaks now: what a socket shows."""

    conversation_id: str | None
    state: StateFrame


class Chat:
    """The web chat of one account."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings = settings
        self.parts = parts
        self.seats = Seats(settings.sockets_per_address)
        self.sessions = _per_minute(settings.sessions_per_minute)
        self.messages = _per_minute(settings.messages_per_minute)
        self.reads = _per_minute(settings.reads_per_minute)
        self.uploads = _per_minute(settings.uploads_per_minute)
        self.uploads_there = _per_minute(settings.uploads_per_address)
        self.downloads = _per_minute(settings.downloads_per_minute)
        self.attachments = Attachments(parts.store, parts.files, parts.clock, channels={})
        self._waiting: set[Subscription] = set()
        self._stop_watch: asyncio.Task[None] | None = None
        self._host_key = settings.host_key

    async def start(self, asked: Asked) -> Opened:
        """A session. Raises Problem."""
        opening = Sessions(self.settings, self.parts)
        return await self.parts.store.write(lambda session: opening.open(session, asked))

    def vouched(self, identity: str) -> HostIdentity:
        """Whom the host site's signed `identity` names. Raises Problem."""
        if self._host_key is None:
            raise Problem("identity-refused")
        now = self.parts.clock()
        try:
            return self._host_key.identity(identity, account=self.settings.account, now=now)
        except BadIdentity as error:
            log.info("identity_refused", account=self.settings.account, why=str(error))
            raise Problem("bad-identity") from None

    async def visitor(self, token: str) -> KnownVisitor:
        """Raises Unauthorised."""
        return await self.parts.store.read(lambda session: self._visitor(session, token))

    async def take(self, visitor: KnownVisitor, posted: MessagePosted) -> Received:
        """Take a cleaned message in. Raises like `Ingress.take`, and NoSuchFile."""
        event = event_of(visitor, posted, await self._named(visitor, posted.files))
        received = await self.parts.ingress.take(event, message_of(event, posted))
        if visitor.contact_id is None:  # made just now: its readers wait on the visitor's topic
            self.parts.store.feed.publish((visitor_topic(visitor.id),))
        if visitor.is_due:
            now = self.parts.clock()
            await self.parts.store.write(lambda session: see(session, visitor.id, now))
        return received

    async def _named(self, visitor: KnownVisitor, ids: Sequence[str]) -> tuple[Attachment, ...]:
        if not ids:
            return ()
        now = self.parts.clock()
        return await self.parts.store.read(
            lambda session: uploaded(session, owner_of(visitor), ids, now=now)
        )

    async def file(self, visitor: KnownVisitor, message_id: str, n: int) -> Attachment | None:
        """A file of ours in a message that the visitor may see."""

        def find(session: Session) -> Attachment | None:
            row = session.get(Message, message_id)
            if row is None or row.contact_id != visitor.contact_id or row.thread_key:
                return None
            if row.note or row.withdrawn_at is not None or not 0 <= n < len(row.attachments):
                return None
            return Attachment(**row.attachments[n])

        found = await self.parts.store.read(find)
        return found if found and self.parts.files.holds(found.reference) else None

    async def page(self, token: str, at: Position) -> Page:
        """Raises Unauthorised."""
        moment = self.parts.store.feed.moment
        return await self.parts.store.read(lambda session: self._page(session, token, at, moment))

    async def read(self, token: str, at: Position) -> News:
        """Raises Unauthorised."""
        moment = self.parts.store.feed.moment
        return await self.parts.store.read(lambda session: self._news(session, token, at, moment))

    async def wait(self, news: News, token: str, at: Position, wait_s: float) -> News:
        """`news`, or if there are none those of the next `wait_s` seconds at most.

        What changed before the wait began is no news: whoever resumes asks once with no wait.
        Raises Unauthorised.
        """
        known, deadline = news.changes, time.monotonic() + wait_s

        def enough(found: News) -> bool:
            late = self.is_stopping or time.monotonic() >= deadline
            anew = at.numbering not in (None, found.visitor.numbering)
            return late or anew or bool(found.items or found.changes - known)

        while not enough(news):
            topics = news.topics
            async with self.parts.store.feed.subscribe(
                *topics, since=news.moment, signals=False
            ) as hints:
                while news.topics == topics and not enough(news):
                    await self.hint(hints, max(0.0, min(deadline - time.monotonic(), NET_S)))
                    news = await self.read(token, at)
        return news

    @property
    def is_stopping(self) -> bool:
        return self.parts.stopping.is_set()

    async def hint(self, hints: Subscription, wait_s: float) -> tuple[bool, list[Signal]]:
        """`hints.wait`, ended early when the server stops."""
        if self.is_stopping:
            return False, []
        self._waiting.add(hints)
        if self._stop_watch is None:
            self._stop_watch = asyncio.create_task(self._wake_at_stop())
        try:
            return await hints.wait(wait_s)
        finally:
            self._waiting.discard(hints)
            if not self._waiting:
                self._stop_watch.cancel()
                self._stop_watch = None

    async def _wake_at_stop(self) -> None:
        """One watch for all who wait: two tasks for each of them cost more than their reads."""
        await self.parts.stopping.wait()
        for hints in self._waiting:
            hints.notify()

    def _visitor(self, session: Session, token: str) -> KnownVisitor:
        return visitor_of(
            session, token=token, channel=NAME, account=self.settings.account,
            now=self.parts.clock(),
        )  # fmt: skip

    def _news(self, session: Session, token: str, at: Position, moment: int) -> News:
        visitor = self._visitor(session, token)
        if visitor.contact_id is None:
            return News(moment=moment, visitor=visitor, items=[], changed=[])
        after = at.in_numbering(visitor.numbering)
        items, changed = news_after(session, visitor.contact_id, after=after)
        return News(moment=moment, visitor=visitor, items=items, changed=changed)

    def _page(self, session: Session, token: str, at: Position, moment: int) -> Page:
        news = self._news(session, token, at, moment)
        contact_id = news.visitor.contact_id
        conversation = _newest(session, contact_id) if contact_id else None
        return Page(
            moment=moment, visitor=news.visitor, items=news.items, changed=news.changed,
            conversation_id=conversation.id if conversation else None,
            state=_state(session, conversation, self.parts.standing),
        )  # fmt: skip


def visitor_topic(visitor_id: str) -> str:
    return f"visitor:{visitor_id}"


def owner_of(visitor: KnownVisitor) -> str:
    """Whose uploads a visitor's are."""
    return f"visitor:{visitor.id}"


def event_of(
    visitor: KnownVisitor, posted: MessagePosted, files: Sequence[Attachment] = ()
) -> RawEvent:
    """What is committed for a message. The visitor's language is no part of its content, nor is
    what `files` are like: their ids are."""
    headers = {"language": visitor.language} if visitor.language else {}
    if files:
        headers["files"] = json.dumps([asdict(one) for one in files])
    return RawEvent(
        channel=NAME,
        account=visitor.account,
        external_id=f"{visitor.id}:{posted.client_message_id}",
        body=canonical(posted),
        headers=headers,
    )


def message_of(event: RawEvent, posted: MessagePosted) -> InboundMessage:
    visitor_id, _, _ = event.external_id.partition(":")
    language = event.headers.get("language")
    files = json.loads(event.headers.get("files", "[]"))
    return InboundMessage(
        address=Address(channel=NAME, account=event.account, chat=visitor_id),
        external_id=event.external_id,
        sender=Sender(external_id=visitor_id, language=_language(language)),
        text=posted.text or "",
        attachments=tuple(Attachment(**one) for one in files),
        action=posted.action,
        reply_to=posted.reply_to,
    )


def _language(tag: str | None) -> Language | None:
    if tag is None:
        return None
    return "zh" if tag == "zh" else "en"


def _newest(session: Session, contact_id: str) -> Conversation | None:
    """The conversation the customer is in, or was in last. Not locked: this only looks."""
    return session.exec(_newest_of(), params={"contact": contact_id}).first()


@cache
def _newest_of() -> SelectOfScalar[Conversation]:
    return (
        select(Conversation)
        .where(
            Conversation.contact_id == bindparam("contact"),
            Conversation.thread_key == "",
            col(Conversation.joined_into).is_(None),
        )
        .order_by(col(Conversation.opened_at).desc(), col(Conversation.id).desc())
        .limit(1)
    )


def _state(
    session: Session, conversation: Conversation | None, standing_of: StandingOf
) -> StateFrame:
    if conversation is None:
        return StateFrame(state="bot")
    frame = StateFrame(state=conversation.state)  # pyright: ignore[reportArgumentType]
    if frame.state in ("waiting", "agent"):
        standing = standing_of(session, conversation)
        if frame.state == "agent" and standing.agent:
            frame.agent = standing.agent
        if frame.state == "waiting" and standing.place:
            frame.place = standing.place
    return frame


def _per_minute(count: int) -> Rate:
    return Rate(count, window_s=MINUTE_S, monotonic=time.monotonic)


def new_changes(page: Page, known: Iterable[tuple[int, datetime | None, bool]]) -> list[Item]:
    """The changed items of `page` that are not among the `known` ones."""
    seen = set(known)
    return [item for item in page.changed if (item.seq, item.edited_at, item.withdrawn) not in seen]
