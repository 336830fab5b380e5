"""Who is writing: visitors of the web chat, accounts on channels, and the people behind them."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from sqlalchemy import bindparam
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from gateway.errors import Unauthorised
from gateway.messages import Address, Sender
from gateway.models import Contact, Identity, Visitor
from gateway.store import insert, insert_once
from rag.types import Language
from storage.ids import new_id
from storage.prepared import Prepared

VISITOR_IDLE_MAX = timedelta(days=30)
SEEN_STEP = timedelta(hours=1)  # how exactly "last seen" is kept: not one write per request


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVisitor:
    """A web chat token that is good. `contact_id` is None until its first message; `is_due` says
    that it was not seen for so long that `see` should note it."""

    id: str
    account: str
    language: str | None
    contact_id: str | None
    is_due: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Who is behind an account, as far as routing needs it."""

    id: str
    language: str | None


def start_visit(session: Session, *, account: str, language: Language | None, now: datetime) -> str:
    """A new visitor's token: 256 random bits. Only its hash is stored."""
    token = secrets.token_urlsafe(32)
    session.add(
        Visitor(
            id=new_id(), account=account, token_hash=_digest(token), language=language,
            created_at=now, seen_at=now,
        )
    )  # fmt: skip
    return token


def visitor_of(
    session: Session, *, token: str, channel: str, account: str, now: datetime
) -> KnownVisitor:
    """Whose token this is. Raises Unauthorised: unknown, of another widget, revoked or idle."""
    key = {"digest": _digest(token), "channel": channel}
    found = _by_token().first(session, key)
    if found is None or found.account != account or found.revoked_at is not None:
        raise Unauthorised("the visitor token is not known")
    if now - found.seen_at > VISITOR_IDLE_MAX:
        raise Unauthorised("the visitor token has expired")
    return KnownVisitor(
        id=found.id, account=found.account, language=found.language, contact_id=found.contact_id,
        is_due=now - found.seen_at > SEEN_STEP,
    )  # fmt: skip


def see(session: Session, visitor_id: str, now: datetime) -> None:
    """Keep a visitor's token alive."""
    visitor = session.get_one(Visitor, visitor_id)
    visitor.seen_at = now
    session.add(visitor)


def contact_of(session: Session, address: Address, sender: Sender, now: datetime) -> Person:
    """The person behind an account, made at its first message."""
    account = {
        "channel": address.channel, "account": address.account, "external_id": sender.external_id
    }  # fmt: skip
    known = _by_account().first(session, account)
    if known is None:
        made = _new_contact(session, account, sender, now)
        return made or contact_of(session, address, sender, now)
    language = known.language or sender.language
    if sender.name not in ("", known.name) or language != known.language:
        _keep_profile(session, known.id, sender.name or known.name, language)
    return Person(known.contact_id, language)


def person_at(session: Session, address: Address, sender: Sender) -> str | None:
    """The contact behind an account, or None before its first message."""
    account = {
        "channel": address.channel, "account": address.account, "external_id": sender.external_id
    }  # fmt: skip
    known = _by_account().first(session, account)
    return known.contact_id if known else None


def _new_contact(
    session: Session, account: Mapping[str, str], sender: Sender, now: datetime
) -> Person | None:
    """None when another worker met the same account first."""
    contact_id = new_id()
    insert(session, Contact, {
        "id": contact_id, "name": sender.name, "language": sender.language, "created_at": now,
    })  # fmt: skip
    made = insert_once(session, Identity, {
        "id": new_id(), "contact_id": contact_id, **account, "name": sender.name,
        "proof": "channel", "linked_at": now,
    })  # fmt: skip
    if made:
        return Person(contact_id, sender.language)
    session.delete(session.get_one(Contact, contact_id))
    return None


def _keep_profile(session: Session, identity_id: str, name: str, language: str | None) -> None:
    identity = session.get_one(Identity, identity_id)
    contact = session.get_one(Contact, identity.contact_id)
    if name != identity.name:
        identity.name = contact.name = name
    contact.language = language
    session.add_all((identity, contact))


def accounts_of(session: Session, contact_id: str) -> list[Identity]:
    """Where a person can be met, oldest link first."""
    return list(
        session.exec(
            select(Identity).where(Identity.contact_id == contact_id).order_by(col(Identity.id))
        )
    )


class _Token(NamedTuple):
    id: str
    account: str
    language: str | None
    seen_at: datetime
    revoked_at: datetime | None
    contact_id: str | None


@cache
def _by_token() -> Prepared[_Token]:
    own_account = (
        (col(Identity.channel) == bindparam("channel"))
        & (col(Identity.account) == col(Visitor.account))
        & (col(Identity.external_id) == col(Visitor.id))
    )
    statement = (
        select_columns(
            col(Visitor.id),
            col(Visitor.account),
            col(Visitor.language),
            col(Visitor.seen_at),
            col(Visitor.revoked_at),
            col(Identity.contact_id),
        )
        .outerjoin(Identity, own_account)
        .where(col(Visitor.token_hash) == bindparam("digest"))
    )
    return Prepared(statement, _Token)


class _Account(NamedTuple):
    id: str
    contact_id: str
    name: str
    language: str | None


@cache
def _by_account() -> Prepared[_Account]:
    statement = (
        select_columns(
            col(Identity.id), col(Identity.contact_id), col(Identity.name), col(Contact.language)
        )
        .join(Contact, col(Contact.id) == col(Identity.contact_id))
        .where(
            col(Identity.channel) == bindparam("channel"),
            col(Identity.account) == bindparam("account"),
            col(Identity.external_id) == bindparam("external_id"),
        )
    )
    return Prepared(statement, _Account)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
