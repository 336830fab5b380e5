"""Reading a conversation: what its customer may see, and what agents see. Keyset-paged by `seq`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import bindparam, or_
from sqlalchemy import select as select_columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from gateway.messages import Action, Attachment, Author, Button, Item, Line, OutboundMessage
from gateway.models import Conversation, Delivery, Message
from rag.types import Citation
from storage.prepared import Prepared, PreparedObjects

_LINK = re.compile(r"https?://\S+")

PAGE_MAX = 100
UNANSWERED_MAX = 50  # lines of a customer that one answer is made for


def items_after(
    session: Session, contact_id: str, *, thread_key: str = "", after: int = 0,
    limit: int = PAGE_MAX,
) -> list[Item]:  # fmt: skip
    """What a customer has not seen yet, in `seq` order, over all conversations of the thread."""
    return news_after(session, contact_id, thread_key=thread_key, after=after, limit=limit)[0]


def news_after(
    session: Session, contact_id: str, *, thread_key: str = "", after: int = 0,
    limit: int = PAGE_MAX,
) -> tuple[list[Item], list[Item]]:  # fmt: skip
    """The items after `after`, and those up to it that were edited or withdrawn after the item at
    `after` was written; each in `seq` order.

    A reader who was away gets changed items again; applying one twice changes nothing, so no
    second position has to be kept.
    """
    most = min(limit, PAGE_MAX)
    items = _news_after().all(session, {
        "contact": contact_id, "thread": thread_key, "after": after, "most": most + PAGE_MAX,
    })  # fmt: skip
    changed = [item for item in items if item.seq <= after]
    return items[len(changed) :][:most], changed[:PAGE_MAX]


@cache
def _news_after() -> Prepared[Item]:
    known = aliased(Message)
    written = (
        select(known.created_at)
        .where(
            known.contact_id == bindparam("contact"),
            known.thread_key == bindparam("thread"),
            known.seq <= bindparam("after"),
        )
        .order_by(col(known.seq).desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select_columns(
            col(Message.seq), col(Message.id), col(Message.author), col(Message.text),
            col(Message.created_at), col(Message.author_name), col(Message.buttons),
            col(Message.citations), col(Message.action), col(Message.edited_at),
            col(Message.withdrawn_at),
        )
        .where(
            col(Message.contact_id) == bindparam("contact"),
            col(Message.thread_key) == bindparam("thread"),
            col(Message.note).is_(False),
            (col(Message.seq) > bindparam("after"))
            | (col(Message.edited_at) > written)
            | (col(Message.withdrawn_at) > written),
        )
        .order_by(col(Message.seq))
        .limit(bindparam("most"))
    )  # fmt: skip
    return Prepared(statement, lambda *columns: item_of(_Columns(*columns)))


def transcript(
    session: Session, conversation_id: str, *, after: int = 0, limit: int = PAGE_MAX
) -> list[Line]:
    """The lines of a conversation as agents see them, in `seq` order."""
    rows = session.exec(
        select(Message)
        .where(Message.conversation_id == conversation_id, Message.seq > after)
        .order_by(col(Message.seq))
        .limit(min(limit, PAGE_MAX))
    ).all()
    states = _delivery_states(session, rows)
    return [line_of(row, states.get(row.id)) for row in rows]


def before(
    session: Session, conversation_id: str, *, seq: int, limit: int = PAGE_MAX
) -> list[Line]:
    """The page of lines that ends just before `seq`, in `seq` order: for scrolling back."""
    rows = session.exec(
        select(Message)
        .where(Message.conversation_id == conversation_id, Message.seq < seq)
        .order_by(col(Message.seq).desc())
        .limit(min(limit, PAGE_MAX))
    ).all()[::-1]
    states = _delivery_states(session, rows)
    return [line_of(row, states.get(row.id)) for row in rows]


def _delivery_states(session: Session, rows: Sequence[Message]) -> dict[str, str]:
    ids = [row.id for row in rows if row.author != "customer"]
    if not ids:
        return {}
    found = session.exec(
        select(Delivery.message_id, Delivery.state)
        .where(col(Delivery.message_id).in_(ids))
        .order_by(col(Delivery.id))
    )
    return dict(found.all())


class _Columns(NamedTuple):
    """What `_news_after` reads of a message."""

    seq: int
    id: str
    author: Author
    text: str
    created_at: datetime
    author_name: str | None
    buttons: list[dict[str, Any]]
    citations: list[dict[str, Any]]
    action: Action | None
    edited_at: datetime | None
    withdrawn_at: datetime | None


def item_of(row: _Columns) -> Item:
    gone = row.withdrawn_at is not None
    return Item(
        seq=row.seq, id=row.id, author=row.author,
        text="" if gone else row.text, created_at=row.created_at,
        agent=row.author_name if row.author == "agent" else None,
        buttons=() if gone else tuple(Button(**button) for button in row.buttons),
        citations=() if gone else tuple(Citation(**citation) for citation in row.citations),
        action=row.action,
        edited_at=row.edited_at, withdrawn=gone,
    )  # fmt: skip


def line_of(row: Message, delivery: str | None) -> Line:
    return Line(
        seq=row.seq, id=row.id, author=row.author,  # pyright: ignore[reportArgumentType]
        author_id=row.author_id, author_name=row.author_name, text=_for_agents(row), note=row.note,
        mark=row.mark, action=row.action, channel=row.channel,  # pyright: ignore[reportArgumentType]
        buttons=tuple(Button(**button) for button in row.buttons),  # pyright: ignore[reportArgumentType]
        citations=tuple(Citation(**citation) for citation in row.citations),
        record_id=row.record_id, created_at=row.created_at, edited_at=row.edited_at,
        withdrawn=row.withdrawn_at is not None,
        delivery=delivery,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def _for_agents(row: Message) -> str:
    """A one-time link is the customer's alone: agents read that there was one."""
    return _LINK.sub("…", row.text) if row.reply_kind == "link" else row.text


def outbound(row: Message) -> OutboundMessage:
    """A stored message as a channel is to show it."""
    return OutboundMessage(
        text=row.text, language="zh" if row.language == "zh" else "en",
        buttons=tuple(Button(**button) for button in row.buttons),  # pyright: ignore[reportArgumentType]
        citations=tuple(Citation(**citation) for citation in row.citations),
        attachments=tuple(Attachment(**file) for file in row.attachments),
        reply_to=row.reply_to,
    )  # fmt: skip


def newest(session: Session, contact_id: str, thread_key: str) -> Conversation | None:
    """The newest conversation of a person in a thread, locked until commit."""
    return _newest().first(session, {"contact": contact_id, "thread": thread_key})


@cache
def _newest() -> PreparedObjects[Conversation]:
    statement = (
        select(Conversation)
        .where(
            col(Conversation.contact_id) == bindparam("contact"),
            col(Conversation.thread_key) == bindparam("thread"),
            col(Conversation.joined_into).is_(None),
        )
        .order_by(col(Conversation.opened_at).desc(), col(Conversation.id).desc())
        .limit(1)
        .with_for_update()
    )
    return PreparedObjects(Conversation, statement)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line as the bot is shown it."""

    seq: int
    author: str
    text: str
    action: str | None
    reply_kind: str | None


def unanswered(session: Session, conversation: Conversation) -> list[Spoken]:
    """The customer's words that neither bot nor person has replied to, oldest first. Presses of
    buttons are not words, except a chosen suggestion."""
    return asked_and_before(session, conversation, limit=0)[0]


def asked_and_before(
    session: Session, conversation: Conversation, *, limit: int
) -> tuple[list[Spoken], list[Spoken]]:
    """`unanswered`, and at most `limit` lines that customer, bot and agents said before it; each
    oldest first. Both from one look at the newest lines."""
    newest_first = _spoken().all(
        session, {"conversation": conversation.id, "most": UNANSWERED_MAX + limit}
    )
    since_reply = list(takewhile(lambda line: line.author == "customer", newest_first))
    asked = [line for line in since_reply[:UNANSWERED_MAX] if _is_words(line)][::-1]
    if not asked:
        return [], []
    return asked, [line for line in newest_first if line.seq < asked[0].seq][:limit][::-1]


def _is_words(line: Spoken) -> bool:
    return line.action is None or line.action.startswith("choose-")


@cache
def _spoken() -> Prepared[Spoken]:
    statement = (
        select_columns(
            col(Message.seq), col(Message.author), col(Message.text), col(Message.action),
            col(Message.reply_kind),
        )
        .where(
            col(Message.conversation_id) == bindparam("conversation"),
            col(Message.note).is_(False),
            col(Message.withdrawn_at).is_(None),
            # Not as a list: those cannot be prepared.
            or_(*(col(Message.author) == author for author in ("customer", "bot", "agent"))),
        )
        .order_by(col(Message.seq).desc())
        .limit(bindparam("most"))
    )  # fmt: skip
    return Prepared(statement, Spoken)
