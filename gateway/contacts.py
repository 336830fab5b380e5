"""Who is writing: visitors of the web chat, accounts on channels, and the people behind them."""

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Update, bindparam, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from gateway.errors import Unauthorised
from gateway.messages import Address, Sender
from gateway.models import Contact, Identity, Visitor
from gateway.store import insert_once
from rag.types import Language
from storage.ids import new_id

VISITOR_IDLE_MAX = timedelta(days=30)
SEEN_STEP = timedelta(hours=1)  # how exactly "last seen" is kept: not one write per request


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


def visitor_of(session: Session, *, token: str, account: str, now: datetime) -> Visitor:
    """Whose token this is. Raises Unauthorised: unknown, of another widget, revoked or idle."""
    found = session.exec(_by_token(), params={"digest": _digest(token)}).first()
    if found is None or found.account != account or found.revoked_at is not None:
        raise Unauthorised("the visitor token is not known")
    if now - found.seen_at > VISITOR_IDLE_MAX:
        raise Unauthorised("the visitor token has expired")
    return found


def seen(session: Session, visitor_id: str, now: datetime) -> None:
    """Keep a visitor's token alive."""
    session.connection().execute(
        _seen(), {"visitor": visitor_id, "now": now, "before": now - SEEN_STEP}
    )


def identity_of(
    session: Session, *, channel: str, account: str, external_id: str
) -> Identity | None:
    key = {"channel": channel, "account": account, "external_id": external_id}
    return session.exec(_by_account(), params=key).first()


def contact_of(session: Session, address: Address, sender: Sender, now: datetime) -> Contact:
    """The person behind an account, made at its first message."""
    known = identity_of(
        session, channel=address.channel, account=address.account, external_id=sender.external_id
    )
    if known is None:
        contact = Contact(id=new_id(), name=sender.name, language=sender.language, created_at=now)
        session.add(contact)
        session.flush()
        made = insert_once(session, Identity, {
            "id": new_id(), "contact_id": contact.id, "channel": address.channel,
            "account": address.account, "external_id": sender.external_id, "name": sender.name,
            "proof": "channel", "linked_at": now,
        })  # fmt: skip
        if made:
            return contact
        session.delete(contact)  # another worker met the same account first
        return contact_of(session, address, sender, now)
    return _with_profile(session, known, sender)


def _with_profile(session: Session, identity: Identity, sender: Sender) -> Contact:
    contact = session.get_one(Contact, identity.contact_id)
    if sender.name and sender.name != identity.name:
        identity.name = sender.name
        contact.name = sender.name
        session.add(identity)
    if sender.language and contact.language is None:
        contact.language = sender.language
    session.add(contact)
    return contact


def accounts_of(session: Session, contact_id: str) -> list[Identity]:
    """Where a person can be met, oldest link first."""
    return list(
        session.exec(
            select(Identity).where(Identity.contact_id == contact_id).order_by(col(Identity.id))
        )
    )


@cache
def _by_token() -> SelectOfScalar[Visitor]:
    return select(Visitor).where(Visitor.token_hash == bindparam("digest"))


@cache
def _by_account() -> SelectOfScalar[Identity]:
    return select(Identity).where(
        Identity.channel == bindparam("channel"),
        Identity.account == bindparam("account"),
        Identity.external_id == bindparam("external_id"),
    )


@cache
def _seen() -> Update:
    return (
        update(Visitor)
        .where(col(Visitor.id) == bindparam("visitor"), col(Visitor.seen_at) < bindparam("before"))
        .values(seen_at=bindparam("now"))
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
