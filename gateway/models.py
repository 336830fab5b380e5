"""Tables of the gateway's store. Their constraints are the product's promises in SQL.

SQLModel does not validate a table class on construction: outside data passes through a value of
`messages.py` first. The triggers that guard `audit` and `delivery` are in the migration.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import declared_attr, registry
from sqlmodel import Field, SQLModel

from storage.columns import UtcDateTime, table_name

PROOFS = "('channel','host_token','deep_link','verified_email','agent')"


class GatewayTable(SQLModel, registry=registry()):
    """One metadata with the agent inbox: a hand-over and its case commit together."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return table_name(cls.__name__)


class InboxEvent(GatewayTable, table=True):
    """A raw event, committed before anybody is told that it arrived."""

    __table_args__ = (
        UniqueConstraint("channel", "account", "external_id"),
        Index("ix_inbox_event_open", "id",
              sqlite_where=text("state = 'new'"), postgresql_where=text("state = 'new'")),
    )  # fmt: skip
    id: str = Field(primary_key=True)
    channel: str
    account: str
    external_id: str
    headers: dict[str, str] = Field(sa_type=JSON)
    body: bytes = Field(sa_type=LargeBinary)
    state: str = "new"  # new → done | ignored | quarantined
    attempts: int = 0  # counted before the work
    crashes: int = 0  # raised before the work, lowered after it, failed or not
    reason: str | None = None
    due: datetime | None = Field(default=None, sa_type=UtcDateTime)  # parked until then
    received_at: datetime = Field(sa_type=UtcDateTime)


class Contact(GatewayTable, table=True):
    """A person. Profile, history and hand-over hang on it, never on an account."""

    id: str = Field(primary_key=True)
    name: str = ""
    language: str | None = None
    joined_into: str | None = None  # the contact that all its accounts were moved to
    created_at: datetime = Field(sa_type=UtcDateTime)


class Identity(GatewayTable, table=True):
    """An account on a channel, and the proof that made it this contact's."""

    __table_args__ = (
        UniqueConstraint("channel", "account", "external_id"),
        CheckConstraint(f"proof IN {PROOFS}", name="ck_identity_proof"),
    )
    id: str = Field(primary_key=True)
    contact_id: str = Field(foreign_key="contact.id", index=True)
    channel: str
    account: str
    external_id: str
    name: str = ""
    proof: str = "channel"
    verified: bool = False  # the channel vouches for the id: two such never become one person
    email: str | None = Field(default=None, index=True)  # verified by the channel, lower case
    numbering: int = 0  # counts how often the seqs that this account reads were given anew
    linked_at: datetime = Field(sa_type=UtcDateTime)


class VerifiedEmail(GatewayTable, table=True):
    """The account that had a verified e-mail first; a second one is joined or kept apart."""

    email: str = Field(primary_key=True)
    identity_id: str = Field(foreign_key="identity.id")
    created_at: datetime = Field(sa_type=UtcDateTime)


class Link(GatewayTable, table=True):
    """What made two contacts one: `kept` has the accounts of `gone` now. Undone, never deleted."""

    __table_args__ = (CheckConstraint(f"proof IN {PROOFS}", name="ck_link_proof"),)
    id: str = Field(primary_key=True)
    kept_id: str = Field(foreign_key="contact.id", index=True)
    gone_id: str = Field(foreign_key="contact.id", index=True)
    proof: str
    actor: str  # as in the audit
    reason: str = ""
    linked_at: datetime = Field(sa_type=UtcDateTime)
    undone_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    undone_by: str | None = None
    undone_reason: str = ""


class LinkedAccount(GatewayTable, table=True):
    """An account that a link moved: it goes back with all that was said through it."""

    link_id: str = Field(primary_key=True, foreign_key="link.id")
    identity_id: str = Field(primary_key=True, foreign_key="identity.id", index=True)


class LinkCode(GatewayTable, table=True):
    """A one-time code of a link to another channel, hashed. It brings whoever follows it to the
    person whose account asked."""

    code_hash: bytes = Field(sa_type=LargeBinary, primary_key=True)
    identity_id: str = Field(foreign_key="identity.id", index=True)
    channel: str  # the only one it works on
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_by: str | None = None  # the account that followed it


class Visitor(GatewayTable, table=True):
    """A web chat token, hashed. It owns nothing until its first message makes it an identity."""

    id: str = Field(primary_key=True)
    account: str
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    language: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Conversation(GatewayTable, table=True):
    """One stretch of talk with one person. `next_seq` goes on from the previous conversation of
    the same contact and thread, so that a reader's position stays valid."""

    __table_args__ = (
        Index("ux_conversation_open", "contact_id", "thread_key", unique=True,
              sqlite_where=text("state <> 'closed'"), postgresql_where=text("state <> 'closed'")),
        CheckConstraint("(state = 'agent') = (owner IS NOT NULL)", name="ck_conversation_owner"),
        Index("ix_conversation_contact", "contact_id", "thread_key", "opened_at"),
        Index("ix_conversation_state", "state", "updated_at", "id"),
    )  # fmt: skip
    id: str = Field(primary_key=True)
    contact_id: str = Field(foreign_key="contact.id")
    thread_key: str = ""
    state: str = "bot"
    owner: str | None = None  # an agent's id while state is "agent"
    epoch: int = 0
    next_seq: int = 1
    customer_seq: int = 0  # seq of the newest customer message
    language: str = "en"
    reply_channel: str
    reply_account: str
    reply_chat: str
    reply_thread: str = ""
    reply_identity: str | None = None  # the account at the reply address
    previous_id: str | None = None
    joined_into: str | None = None  # the conversation that all its lines were moved to
    opened_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Message(GatewayTable, table=True):
    """A text, stored once. Where it is shown is in `delivery`."""

    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        Index("ix_message_contact", "contact_id", "thread_key", "seq"),
        Index("ux_message_album", "album", unique=True),
    )
    id: str = Field(primary_key=True)
    conversation_id: str = Field(foreign_key="conversation.id")
    contact_id: str  # the conversation's, repeated: a customer's history is one index scan
    thread_key: str = ""
    seq: int
    author: str
    author_id: str | None = None  # an agent's id
    author_name: str | None = None  # as shown when it was written
    note: bool = False
    text: str
    mark: str | None = None
    action: str | None = None
    channel: str
    identity_id: str | None = None  # the account it came through, or was said to
    language: str = "en"
    buttons: list[dict[str, str]] = Field(default_factory=list, sa_type=JSON)
    citations: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    attachments: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    reply_kind: str | None = None  # of a bot's: say, offer, decline, courtesy; a system's: link
    record_id: str | None = None  # the decision record in rag's store
    reply_to: str | None = None  # the id of the message that it answers
    album: str | None = None  # the place and the provider's id of a message of several events
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    edited_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Revision(GatewayTable, table=True):
    """An older text of an edited message. `key` is the provider's edit stamp or the text's hash."""

    __table_args__ = (UniqueConstraint("message_id", "key"),)
    id: str = Field(primary_key=True)
    message_id: str = Field(foreign_key="message.id")
    key: str
    text: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class Delivery(GatewayTable, table=True):
    """One place a message exists, or is to exist. States: pending → leased → sending → delivered |
    failed | unknown | cancelled; final is final (a trigger says so)."""

    __table_args__ = (
        UniqueConstraint("surface", "account", "chat", "external_id"),
        CheckConstraint(
            "state <> 'delivered' OR external_id IS NOT NULL", name="ck_delivery_proof"
        ),
        CheckConstraint(
            "state IN ('pending','leased','sending','delivered','failed','unknown','cancelled')",
            name="ck_delivery_state",
        ),
        Index("ix_delivery_due", "state", "due"),
        Index("ix_delivery_order", "conversation_id", "destination", "ord"),
        Index("ix_delivery_message", "message_id"),
        Index("ux_delivery_resends", "resends", unique=True),
        Index(
            "ix_delivery_placeholder",
            "state",
            sqlite_where=text("placeholder_id IS NOT NULL"),
            postgresql_where=text("placeholder_id IS NOT NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    message_id: str = Field(foreign_key="message.id")
    conversation_id: str
    surface: str  # a channel's name, or an inbox surface's
    account: str
    chat: str
    thread: str = ""
    destination: str  # surface, account, chat and thread in one comparable string
    external_id: str | None = None
    placeholder_id: str | None = None  # the far end's id of the line that is to be edited
    paced: bool = False  # its slot in the channel's rates is taken; `due` says when it comes
    resends: str | None = None  # the delivery whose fate nobody knew, sent again by a person
    part: int = 0
    ord: int  # the message's seq × 100 + part
    epoch: int | None = None  # of a bot's text: a later owner refuses it
    state: str = "pending"
    due: datetime = Field(sa_type=UtcDateTime)
    lease: datetime | None = Field(default=None, sa_type=UtcDateTime)
    fence: int = 0
    attempts: int = 0
    reason: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)


class KeptFile(GatewayTable, table=True):
    """A file in our own folder, uploaded before the message that carries it. The row comes before
    the bytes and goes after them, so that no file is ever without one."""

    __table_args__ = (
        Index("ix_kept_file_unused", "owner", "created_at",
              sqlite_where=text("message_id IS NULL"), postgresql_where=text("message_id IS NULL")),
    )  # fmt: skip
    id: str = Field(primary_key=True)  # its name on disk
    owner: str  # who uploaded it and may send it: "agent:ID", "visitor:ID"; "" once it must go
    message_id: str | None = Field(
        default=None, foreign_key="message.id", ondelete="SET NULL", index=True
    )
    kind: str
    name: str
    media_type: str
    size_bytes: int
    created_at: datetime = Field(sa_type=UtcDateTime)


class Attempt(GatewayTable, table=True):
    """What happened each time a delivery was tried. Append-only."""

    id: str = Field(primary_key=True)
    delivery_id: str = Field(foreign_key="delivery.id", index=True)
    fence: int
    outcome: str  # A not sent, B rejected, C ambiguous, D delivered
    detail: str = ""
    at: datetime = Field(sa_type=UtcDateTime)


class RateBucket(GatewayTable, table=True):
    """When a scope may be used next. In the database, so that limits hold over all workers."""

    scope: str = Field(primary_key=True)
    free_at: datetime = Field(sa_type=UtcDateTime)


class Turn(GatewayTable, table=True):
    """The bot's run for a conversation. One at most is open; newer messages restart it."""

    __table_args__ = (
        Index("ux_turn_open", "conversation_id", unique=True,
              sqlite_where=text("state IN ('scheduled','running')"),
              postgresql_where=text("state IN ('scheduled','running')")),
        Index("ix_turn_state", "state", "due"),
    )  # fmt: skip
    id: str = Field(primary_key=True)
    conversation_id: str = Field(foreign_key="conversation.id")
    epoch: int
    upto_seq: int = 0  # the newest customer message it has read; set when it starts
    state: str = "scheduled"  # scheduled → running → done | cancelled | failed
    restarts: int = 0
    attempts: int = 0  # counted before the work, and the fence: a late result is refused
    due: datetime = Field(sa_type=UtcDateTime)
    lease: datetime | None = Field(default=None, sa_type=UtcDateTime)
    record_id: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)


class Rating(GatewayTable, table=True):
    """Stars and words, once per conversation, editable for a day."""

    conversation_id: str = Field(primary_key=True, foreign_key="conversation.id")
    stars: int
    comment: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)


class Audit(GatewayTable, table=True):
    """Who did what, when and why. Append-only and hash-chained: `hash` covers `previous_hash`."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str  # "customer", "bot", "system", "agent:ID"
    action: str
    subject: str = Field(index=True)
    detail: dict[str, Any] = Field(sa_type=JSON)
    previous_hash: str = Field(unique=True)
    hash: str


class AuditHead(GatewayTable, table=True):
    """One row: the newest hash. Locking it keeps the chain from forking on PostgreSQL."""

    __table_args__ = (CheckConstraint("id = 1", name="ck_audit_head_single"),)
    id: int = Field(default=1, primary_key=True)
    hash: str = ""


class KnowledgeFloor(GatewayTable, table=True):
    """One row: answers read from an older version of the base must not be sent."""

    __table_args__ = (CheckConstraint("id = 1", name="ck_knowledge_floor_single"),)
    id: int = Field(default=1, primary_key=True)
    version: int = 0
