"""Where a message is to be delivered: the rows that the outbox works from, and what became of them.

Every function that is given a session runs inside a transaction that the caller opened.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlmodel import Session, col, func, or_, select

from gateway.messages import Address, Attachment, Button, Capabilities, OutboundMessage
from gateway.models import Conversation, Delivery, Message
from gateway.phrases import Phrases
from gateway.render import fit, with_excuses
from gateway.store import insert, touch
from rag.types import Citation
from storage.ids import new_id

PARTS_MAX = 100  # parts a long text may be split into; `ord` leaves room for as many
LOST = ("unknown", "failed")  # what a person may send again

State = Literal["pending", "sending", "delivered", "failed", "unknown", "cancelled"]

# What an agent has to know first.
_WORST_FIRST = ("unknown", "failed", "sending", "pending", "leased", "cancelled", "delivered")


@dataclass(frozen=True, slots=True)
class Written:
    """A line that is stored, and its place."""

    id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message as a whole: the worst of its parts, and why."""

    state: State
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What rows are made with: for which place, what it can show, in whose words, when, and under
    which epoch."""

    to: Address
    can: Capabilities
    phrases: Phrases
    now: datetime
    epoch: int | None = None


def outbound(row: Message) -> OutboundMessage:
    """A stored message as a channel is to show it."""
    return OutboundMessage(
        text=row.text, language="zh" if row.language == "zh" else "en",
        buttons=tuple(Button(**button) for button in row.buttons),  # pyright: ignore[reportArgumentType]
        attachments=tuple(Attachment(**one) for one in row.attachments),
        citations=tuple(Citation(**citation) for citation in row.citations),
        reply_to=row.reply_to,
    )  # fmt: skip


def parts_of(
    message: OutboundMessage, can: Capabilities, phrases: Phrases
) -> list[OutboundMessage]:
    """`message` as it is sent, one delivery each. Files that the place does not take are left out,
    and said so."""
    return fit(with_excuses(message, can, phrases), can)


def send(session: Session, conversation: Conversation, written: Written, terms: Post) -> None:
    """Deliver a new line to a place."""
    parts = 1
    if not terms.can.pulled:
        message = outbound(session.get_one(Message, written.id))
        parts = len(parts_of(message, terms.can, terms.phrases))
        touch(session, "deliveries")
    for part in range(parts):
        row = _row(conversation, written.id, terms)
        ord_ = written.seq * PARTS_MAX + part
        insert(session, Delivery, {**row, "part": part, "ord": ord_, "epoch": terms.epoch})


def send_again(
    session: Session, conversation: Conversation, message: Message, terms: Post
) -> list[str]:
    """Deliver what got lost of a message once more, to a place; the ids of the deliveries that
    this stands in for. Nothing lost: nothing is sent.

    If the place is on another channel all of it goes there: its parts are others.
    """
    to = terms.to
    old = lost(_deliveries(session, [message.id])[message.id])
    if not old:
        return []
    parts: Sequence[int] = [row.part for row in old]
    if any(row.surface != to.channel for row in old):
        parts = range(len(parts_of(outbound(message), terms.can, terms.phrases)))
    parts = [0] if terms.can.pulled else parts
    last = _last_ord(session, conversation.id, destination(to), message.id)
    for place, part in enumerate(parts):
        row = _row(conversation, message.id, terms)
        resends = old[place].id if place < len(old) else None
        insert(session, Delivery, {
            **row, "part": part, "ord": last + 1 + place, "epoch": None, "resends": resends,
        })  # fmt: skip
    touch(session, "deliveries")
    return [row.id for row in old]


def _row(conversation: Conversation, message_id: str, terms: Post) -> Mapping[str, Any]:
    to, pulled = terms.to, terms.can.pulled
    return {
        "id": new_id(), "message_id": message_id, "conversation_id": conversation.id,
        "surface": to.channel, "account": to.account, "chat": to.chat, "thread": to.thread,
        "destination": destination(to),
        # The far end reads this very store: the commit is the delivery.
        "state": "delivered" if pulled else "pending",
        "external_id": message_id if pulled else None, "due": terms.now, "created_at": terms.now,
    }  # fmt: skip


def _last_ord(session: Session, conversation_id: str, place: str, message_id: str) -> int:
    """The end of the line at a place; a later generation of a message has a greater `ord`, too."""
    return (
        session.exec(
            select(func.max(Delivery.ord)).where(
                or_(
                    (col(Delivery.conversation_id) == conversation_id)
                    & (col(Delivery.destination) == place),
                    col(Delivery.message_id) == message_id,
                )
            )
        ).one()
        or 0
    )


# What became of them


def fates(session: Session, message_ids: Collection[str]) -> Mapping[str, Fate]:
    """What became of each message that was to be delivered at all."""
    found = _deliveries(session, message_ids)
    return {message_id: fate_of(rows) for message_id, rows in found.items()}


def fate_of(rows: Sequence[Delivery]) -> Fate:
    """The worst of a message's deliveries, without those that another one stands in for."""
    valid = [row for row in rows if not _is_stood_in_for(row, rows)]
    worst = min(valid, key=lambda row: _WORST_FIRST.index(row.state))
    state = "pending" if worst.state == "leased" else worst.state
    return Fate(cast("State", state), worst.reason if state in (*LOST, "cancelled") else None)


def lost(rows: Sequence[Delivery]) -> list[Delivery]:
    """Those that nobody can promise to have arrived, and that no other one stands in for."""
    return [row for row in rows if row.state in LOST and not _is_stood_in_for(row, rows)]


def _is_stood_in_for(row: Delivery, rows: Sequence[Delivery]) -> bool:
    """Whether it was sent again; elsewhere, the whole message was."""
    return any(
        other.resends == row.id
        or (other.resends and other.surface != row.surface and other.ord > row.ord)
        for other in rows
    )


def _deliveries(session: Session, message_ids: Collection[str]) -> Mapping[str, list[Delivery]]:
    found: defaultdict[str, list[Delivery]] = defaultdict(list)
    rows = select(Delivery).where(col(Delivery.message_id).in_(message_ids))
    fresh = rows.order_by(col(Delivery.ord)).execution_options(populate_existing=True)
    for row in session.exec(fresh):
        found[row.message_id].append(row)
    return found


# Places


def reply_address(conversation: Conversation) -> Address:
    return Address(
        channel=conversation.reply_channel,
        account=conversation.reply_account,
        chat=conversation.reply_chat,
        thread=conversation.reply_thread,
    )


def destination(address: Address) -> str:
    """One comparable string for a place. Ids are opaque, so the separator is one none can hold."""
    return "\x1f".join((address.channel, address.account, address.chat, address.thread))


def thread_key(address: Address) -> str:
    """What keeps a threaded place's talk apart from the person's other talk, which has ""."""
    return destination(address) if address.thread else ""
