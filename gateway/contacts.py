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
    that it was not seen for so long that `see` should note it. `numbering` changes when the `seq`s
    that this visitor has read up to mean other messages from now on."""

    id: str
    account: str
    language: str | None
    contact_id: str | None
    is_due: bool
    numbering: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """Who is behind an account, as far as routing needs it. `new_email`: one that the channel has
    verified, and that this account did not have before."""

    id: str
    language: str | None
    identity_id: str
    new_email: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A web chat visitor with the token that was made just now, which is shown once."""

    id: str
    token: str


def start_visit(
    session: Session, *, account: str, language: Language | None, now: datetime
) -> Visit:
    """A new visitor. The token is 256 random bits; only its hash is stored."""
    visit = Visit(new_id(), secrets.token_urlsafe(32))
    session.add(
        Visitor(
            id=visit.id, account=account, token_hash=_digest(visit.token), language=language,
            created_at=now, seen_at=now,
        )
    )  # fmt: skip
    session.flush()
    return visit


def rotate_visit(session: Session, visitor_id: str, now: datetime) -> Visit:
    """The visitor with another token; the old one opens nothing any more."""
    visit = Visit(visitor_id, secrets.token_urlsafe(32))
    visitor = session.get_one(Visitor, visitor_id)
    visitor.token_hash, visitor.seen_at = _digest(visit.token), now
    session.add(visitor)
    return visit


def revoke_visit(session: Session, visitor_id: str, now: datetime) -> None:
    """Let the visitor's token open nothing any more."""
    visitor = session.get_one(Visitor, visitor_id)
    visitor.revoked_at = now
    session.add(visitor)


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
        is_due=now - found.seen_at > SEEN_STEP, numbering=found.numbering or 0,
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
    known = _by_account(locked=True).first(session, account)
    if known is None:
        made = _new_contact(session, account, sender, now)
        return made or contact_of(session, address, sender, now)
    language = known.language or sender.language
    told = _Told(sender.name or known.name, language, known.verified or sender.verified,
                 _plain(sender.email) or known.email)  # fmt: skip
    if told != _Told(known.name, known.language, known.verified, known.email):
        _keep_profile(session, known.id, told)
    new_email = told.email if told.email != known.email else None
    return Person(known.contact_id, language, known.id, new_email or "")


def person_at(session: Session, address: Address, sender: Sender) -> str | None:
    """The contact behind an account, or None before its first message."""
    account = {
        "channel": address.channel, "account": address.account, "external_id": sender.external_id
    }  # fmt: skip
    known = _by_account(locked=False).first(session, account)
    return known.contact_id if known else None


def _new_contact(
    session: Session, account: Mapping[str, str], sender: Sender, now: datetime
) -> Person | None:
    """None when another worker met the same account first."""
    contact_id, identity_id, email = new_id(), new_id(), _plain(sender.email)
    insert(session, Contact, {
        "id": contact_id, "name": sender.name, "language": sender.language, "created_at": now,
    })  # fmt: skip
    made = insert_once(session, Identity, {
        "id": identity_id, "contact_id": contact_id, **account, "name": sender.name,
        "proof": "channel", "verified": sender.verified, "email": email, "numbering": 0,
        "linked_at": now,
    })  # fmt: skip
    if made:
        return Person(contact_id, sender.language, identity_id, email or "")
    session.delete(session.get_one(Contact, contact_id))
    return None


@dataclass(frozen=True, slots=True)
class _Told:
    """What a message may tell of its sender besides the id."""

    name: str
    language: str | None
    verified: bool
    email: str | None


def _plain(email: str) -> str | None:
    return email.strip().lower() or None


def _keep_profile(session: Session, identity_id: str, told: _Told) -> None:
    identity = session.get_one(Identity, identity_id)
    contact = session.get_one(Contact, identity.contact_id)
    if told.name != identity.name:
        identity.name = contact.name = told.name
    identity.verified, identity.email = told.verified, told.email
    contact.language = told.language
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
    numbering: int | None


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
            col(Identity.numbering),
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
    verified: bool
    email: str | None


@cache
def _by_account(*, locked: bool) -> Prepared[_Account]:
    """`locked`: whoever joins two people waits for us, or we for them."""
    statement = (
        select_columns(
            col(Identity.id),
            col(Identity.contact_id),
            col(Identity.name),
            col(Contact.language),
            col(Identity.verified),
            col(Identity.email),
        )
        .join(Contact, col(Contact.id) == col(Identity.contact_id))
        .where(
            col(Identity.channel) == bindparam("channel"),
            col(Identity.account) == bindparam("account"),
            col(Identity.external_id) == bindparam("external_id"),
        )
    )
    if locked:  # on PostgreSQL; SQLite has one writer anyway
        statement = statement.with_for_update(read=True, of=Identity)
    return Prepared(statement, _Account)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
