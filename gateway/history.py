"""Reading a conversation: what its customer may see, and what agents see. Keyset-paged by `seq`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import bindparam, or_
from sqlalchemy import select as select_columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from gateway.deliveries import Fate, fates
from gateway.files import is_own, label_of
from gateway.messages import Action, Attachment, Author, Button, FileLabel, Item, Line
from gateway.models import Conversation, Message
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
            col(Message.withdrawn_at), col(Message.attachments),
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
    return _lines(session, rows)


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
    return _lines(session, rows)


def _lines(session: Session, rows: Sequence[Message]) -> list[Line]:
    found = fates(session, [row.id for row in rows if row.author != "customer"])
    return [line_of(row, found.get(row.id)) for row in rows]


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
    attachments: list[dict[str, Any]]


def item_of(row: _Columns) -> Item:
    gone = row.withdrawn_at is not None
    return Item(
        seq=row.seq, id=row.id, author=row.author,
        text="" if gone else row.text, created_at=row.created_at,
        agent=row.author_name if row.author == "agent" else None,
        buttons=() if gone else tuple(Button(**button) for button in row.buttons),
        citations=() if gone else tuple(Citation(**citation) for citation in row.citations),
        action=row.action,
        attachments=() if gone else labels_of(row.attachments),
        edited_at=row.edited_at, withdrawn=gone,
    )  # fmt: skip


def line_of(row: Message, fate: Fate | None) -> Line:
    return Line(
        seq=row.seq, id=row.id, author=row.author,  # pyright: ignore[reportArgumentType]
        author_id=row.author_id, author_name=row.author_name, text=_for_agents(row), note=row.note,
        mark=row.mark, action=row.action, channel=row.channel,  # pyright: ignore[reportArgumentType]
        buttons=tuple(Button(**button) for button in row.buttons),  # pyright: ignore[reportArgumentType]
        citations=tuple(Citation(**citation) for citation in row.citations),
        attachments=labels_of(row.attachments),
        record_id=row.record_id, created_at=row.created_at, edited_at=row.edited_at,
        withdrawn=row.withdrawn_at is not None,
        delivery=fate.state if fate else None, reason=fate.reason if fate else None,
    )  # fmt: skip


def _for_agents(row: Message) -> str:
    """A one-time link is the customer's alone: agents read that there was one."""
    return _LINK.sub("…", row.text) if row.reply_kind == "link" else row.text


def labels_of(stored: Sequence[Mapping[str, Any]]) -> tuple[FileLabel, ...]:
    """A message's attachments as its readers see them."""
    return tuple(_label(n, Attachment(**one)) for n, one in enumerate(stored))


def _label(n: int, one: Attachment) -> FileLabel:
    held = "here" if is_own(one.reference) else "there" if one.reference else "nowhere"
    return FileLabel(
        n=n, kind=one.kind, name=label_of(one.name) if one.name else "",
        media_type=one.media_type, size_bytes=one.size_bytes, held=held,
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
