"""Tables of the agent inbox. They live in the gateway's database, so that a hand-over and its
case commit together."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, text
from sqlmodel import Field

from gateway.models import GatewayTable
from storage.columns import UtcDateTime


class Agent(GatewayTable, table=True):
    """Somebody who answers customers. `name` is what customers read."""

    __table_args__ = (
        CheckConstraint("role IN ('agent', 'admin')", name="ck_agent_role"),
        CheckConstraint("email = lower(email)", name="ck_agent_email"),
    )
    id: str = Field(primary_key=True)
    name: str
    email: str = Field(unique=True)
    password_hash: str | None = None  # None until they opened their link
    role: str = "agent"
    enabled: bool = True
    language: str = "en"
    created_at: datetime = Field(sa_type=UtcDateTime)


class Case(GatewayTable, table=True):
    """One stretch of human help. Its number is its identifier: people say it aloud."""

    __table_args__ = (
        Index("ux_case_open", "conversation_id", unique=True,
              sqlite_where=text("state <> 'closed'"), postgresql_where=text("state <> 'closed'")),
        Index("ix_case_state", "state", "opened_at", "number"),
        Index("ix_case_owner", "owner", "state", "opened_at", "number"),
        Index("ix_case_contact", "contact_id", "number"),
        CheckConstraint("state IN ('waiting', 'owned', 'closed')", name="ck_case_state"),
        CheckConstraint("state <> 'owned' OR owner IS NOT NULL", name="ck_case_owner"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="ck_case_closed"),
    )  # fmt: skip
    number: int | None = Field(default=None, primary_key=True)
    conversation_id: str = Field(foreign_key="conversation.id", index=True)
    contact_id: str
    state: str = "waiting"
    owner: str | None = Field(default=None, foreign_key="agent.id")  # the last one, once closed
    reasons: list[dict[str, Any]] = Field(sa_type=JSON)
    brief: dict[str, Any] = Field(sa_type=JSON)
    outcome: str | None = None
    topic: str = ""
    opened_at: datetime = Field(sa_type=UtcDateTime)
    claimed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first_reply_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SignIn(GatewayTable, table=True):
    """A browser that is signed in. The token itself is only in its cookie."""

    __tablename__: ClassVar[str] = "session"  # pyright: ignore[reportIncompatibleVariableOverride]
    id: str = Field(primary_key=True)
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    agent_id: str = Field(foreign_key="agent.id", index=True)
    browser: str = ""  # what it calls itself, for the list of sign-ins
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Invitation(GatewayTable, table=True):
    """A link that works once: to set a password or, without an agent, to become the first admin."""

    token_hash: bytes = Field(sa_type=LargeBinary, primary_key=True)
    agent_id: str | None = Field(default=None, foreign_key="agent.id")
    expires_at: datetime = Field(sa_type=UtcDateTime)
