"""Reading a conversation: what its customer may see, and what agents see. Keyset-paged by `seq`."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import ColumnElement, bindparam, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from gateway.messages import Button, Item, Line, OutboundMessage
from gateway.models import Conversation, Delivery, Message
from rag.types import Citation

PAGE_MAX = 100
UNANSWERED_MAX = 50  # lines of a customer that one answer is made for


def items_after(
    session: Session, contact_id: str, *, thread_key: str = "", after: int = 0,
    limit: int = PAGE_MAX,
) -> list[Item]:  # fmt: skip
    """What a customer has not seen yet, in `seq` order, over all conversations of the thread."""
    rows = session.exec(_items_after(), params={
        "contact": contact_id, "thread": thread_key, "after": after, "most": min(limit, PAGE_MAX),
    })  # fmt: skip
    return [item_of(row) for row in rows]


@cache
def _items_after() -> SelectOfScalar[Message]:
    return (
        select(Message)
        .where(*_shown_to_customer(), Message.seq > bindparam("after"))
        .order_by(col(Message.seq))
        .limit(bindparam("most"))
    )


def _shown_to_customer() -> tuple[ColumnElement[bool], ...]:
    return (
        col(Message.contact_id) == bindparam("contact"),
        col(Message.thread_key) == bindparam("thread"),
        col(Message.note).is_(False),
    )


def changed_since(
    session: Session, contact_id: str, *, thread_key: str = "", after: int
) -> list[Item]:
    """Items up to `after` that were edited or withdrawn after the item at `after` was written.

    A reader who was away gets them again; applying one twice changes nothing, so no second
    position has to be kept.
    """
    key = {"contact": contact_id, "thread": thread_key, "after": after}
    return [item_of(row) for row in session.exec(_changed_since(), params=key)]


@cache
def _changed_since() -> SelectOfScalar[Message]:
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
    return (
        select(Message)
        .where(
            *_shown_to_customer(),
            Message.seq <= bindparam("after"),
            (col(Message.edited_at) > written) | (col(Message.withdrawn_at) > written),
        )
        .order_by(col(Message.seq))
        .limit(PAGE_MAX)
    )


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


def item_of(row: Message) -> Item:
    gone = row.withdrawn_at is not None
    return Item(
        seq=row.seq, id=row.id, author=row.author,  # pyright: ignore[reportArgumentType]
        text="" if gone else row.text, created_at=row.created_at,
        agent=row.author_name if row.author == "agent" else None,
        buttons=() if gone else tuple(Button(**button) for button in row.buttons),  # pyright: ignore[reportArgumentType]
        citations=() if gone else tuple(Citation(**citation) for citation in row.citations),
        action=row.action,  # pyright: ignore[reportArgumentType]
        edited_at=row.edited_at, withdrawn=gone,
    )  # fmt: skip


def line_of(row: Message, delivery: str | None) -> Line:
    return Line(
        seq=row.seq, id=row.id, author=row.author,  # pyright: ignore[reportArgumentType]
        author_id=row.author_id, author_name=row.author_name, text=row.text, note=row.note,
        mark=row.mark, action=row.action, channel=row.channel,  # pyright: ignore[reportArgumentType]
        buttons=tuple(Button(**button) for button in row.buttons),  # pyright: ignore[reportArgumentType]
        citations=tuple(Citation(**citation) for citation in row.citations),
        record_id=row.record_id, created_at=row.created_at, edited_at=row.edited_at,
        withdrawn=row.withdrawn_at is not None,
        delivery=delivery,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def outbound(row: Message) -> OutboundMessage:
    """A stored message as a channel is to show it."""
    return OutboundMessage(
        text=row.text, language="zh" if row.language == "zh" else "en",
        buttons=tuple(Button(**button) for button in row.buttons),  # pyright: ignore[reportArgumentType]
        citations=tuple(Citation(**citation) for citation in row.citations),
        reply_to=row.reply_to,
    )  # fmt: skip


def newest(session: Session, contact_id: str, thread_key: str) -> Conversation | None:
    """The newest conversation of a person in a thread, locked until commit."""
    return session.exec(_newest(), params={"contact": contact_id, "thread": thread_key}).first()


@cache
def _newest() -> SelectOfScalar[Conversation]:
    return (
        select(Conversation)
        .where(
            Conversation.contact_id == bindparam("contact"),
            Conversation.thread_key == bindparam("thread"),
        )
        .order_by(col(Conversation.opened_at).desc(), col(Conversation.id).desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def unanswered(session: Session, conversation: Conversation) -> list[Message]:
    """The customer's words that neither bot nor person has replied to, oldest first. Presses of
    buttons are not words, except a chosen suggestion."""
    lines = session.exec(_unanswered(), params={"conversation": conversation.id}).all()
    return [line for line in lines[::-1] if (line.action or "choose-").startswith("choose-")]


@cache
def _unanswered() -> SelectOfScalar[Message]:
    visible = (
        Message.conversation_id == bindparam("conversation"),
        col(Message.note).is_(False),
        col(Message.withdrawn_at).is_(None),
    )
    replied = (
        select(Message.seq)
        .where(*visible, col(Message.author).in_(("bot", "agent")))
        .order_by(col(Message.seq).desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(Message)
        .where(*visible, Message.author == "customer", Message.seq > func.coalesce(replied, 0))
        .order_by(col(Message.seq).desc())
        .limit(UNANSWERED_MAX)
    )
