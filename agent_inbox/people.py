"""Who is who: the accounts of a person, people to be found, and an agent who joins or parts them.

Joining and parting change whose conversation it is, so they need the same right as ending it: while
somebody has it, only they and admins may.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from agent_inbox.desk import Unknown, View, Worker, locked
from agent_inbox.models import Case
from agent_inbox.store import names_of
from gateway.contacts import accounts_of
from gateway.conversations import expect
from gateway.errors import IllegalMove, Unauthorised
from gateway.history import newest
from gateway.links import CannotJoin, Links, NoSuchLink, Why
from gateway.models import Contact, Conversation, Identity, Link, LinkedAccount
from gateway.states import State
from gateway.store import Store

FOUND_MAX = 20  # people in one page of a search
ACCOUNTS_MAX = 30  # of a person on a screen, the newest ones: each browser is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where a person can be met, and what made it theirs. `link_id`: what an agent can undo."""

    channel: str
    name: str
    proof: str
    since: datetime
    link_id: str | None = None
    by: str | None = None  # the agent who joined it
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A person that a search found."""

    id: str
    name: str
    channels: tuple[str, ...]
    since: datetime


class People:
    """What agents do about who is who. One transaction each."""

    def __init__(self, store: Store, links: Links) -> None:
        self._store = store
        self._links = links

    async def find(self, words: str, *, after: str = "") -> list[Found]:
        """People by part of a name, a whole e-mail, account id or case number; newest first."""
        return await self._store.read(lambda session: find(session, words, after=after))

    async def join(self, agent: Worker, view: View, other_id: str, reason: str) -> None:
        """Make `other` and the person on the screen one. Raises IllegalMove for two who cannot."""

        def work(session: Session) -> None:
            kept = self._conversation(session, agent, view)
            if session.get(Contact, other_id) is None or not accounts_of(session, other_id):
                raise Unknown("no such person")
            theirs = newest(session, other_id, kept.thread_key)
            if theirs is not None:
                _refuse_others(agent, theirs)
            try:
                why = Why("agent", agent.actor.in_audit, reason)
                self._links.merge(session, kept.contact_id, other_id, why)
            except CannotJoin as error:
                raise IllegalMove(str(error)) from None

        await self._store.write(work)

    async def part(self, agent: Worker, view: View, link_id: str, reason: str) -> None:
        """Undo a link of the person on the screen."""

        def work(session: Session) -> None:
            conversation = self._conversation(session, agent, view)
            if link_id not in {one.link_id for one in accounts(session, conversation.contact_id)}:
                raise Unknown("no such link of this person")
            try:
                self._links.undo(session, link_id, actor=agent.actor.in_audit, reason=reason)
            except NoSuchLink:
                raise Unknown("no such link") from None

        await self._store.write(work)

    def _conversation(self, session: Session, agent: Worker, view: View) -> Conversation:
        conversation = locked(session, view.conversation_id)
        expect(conversation, epoch=view.epoch)
        _refuse_others(agent, conversation)
        return conversation


def _refuse_others(agent: Worker, conversation: Conversation) -> None:
    others = conversation.state == State.AGENT and conversation.owner != agent.id
    if others and agent.role != "admin":
        raise Unauthorised("somebody else has this conversation")


def accounts(session: Session, contact_id: str) -> list[Account]:
    """A person's accounts with the newest link that brought each, `ACCOUNTS_MAX` at most."""
    own = accounts_of(session, contact_id)[-ACCOUNTS_MAX:]
    links = _links(session, [one.id for one in own])
    agents = names_of(session, [_agent_of(link) for link in links.values()])
    return [
        Account(
            channel=one.channel, name=one.name, proof=one.proof,
            since=link.linked_at if link else one.linked_at,
            link_id=link.id if link else None, reason=link.reason if link else "",
            by=agents.get(_agent_of(link) or "") if link else None,
        )
        for one in own
        for link in [links.get(one.id)]
    ]  # fmt: skip


def numbering(session: Session, contact_id: str) -> str:
    """A word that changes whenever a person's lines may have got other numbers."""
    own = (f"{one.id}:{one.numbering}" for one in accounts_of(session, contact_id))
    return hashlib.sha256(" ".join(own).encode()).hexdigest()[:16]


def _links(session: Session, identity_ids: Sequence[str]) -> dict[str, Link]:
    """The newest link of each account that is not undone."""
    found = session.exec(
        select(LinkedAccount.identity_id, Link)
        .join(Link, col(Link.id) == col(LinkedAccount.link_id))
        .where(col(LinkedAccount.identity_id).in_(identity_ids), col(Link.undone_at).is_(None))
        .order_by(col(Link.id))
    )
    return dict(found.all())


def _agent_of(link: Link) -> str | None:
    kind, _, agent_id = link.actor.partition(":")
    return agent_id if kind == "agent" else None


def find(session: Session, words: str, *, after: str = "") -> list[Found]:
    """A page of people, newest first, who are before the id `after`."""
    words = words.strip().lower()
    if not words:
        return []
    named = func.lower(col(Contact.name)).contains(words, autoescape=True)
    account = select(Identity.contact_id).where(
        (col(Identity.email) == words)
        | (func.lower(col(Identity.external_id)) == words)
        | func.lower(col(Identity.name)).contains(words, autoescape=True)
    )
    number = words.removeprefix("#")
    of_case = select(Case.contact_id).where(
        Case.number == (int(number) if number.isdecimal() and len(number) < 10 else -1)
    )
    query = select(Contact).where(
        col(Contact.joined_into).is_(None),
        named | col(Contact.id).in_(account) | col(Contact.id).in_(of_case),
        col(Contact.id).in_(select(Identity.contact_id)),
    )
    if after:
        query = query.where(Contact.id < after)
    people = session.exec(query.order_by(col(Contact.id).desc()).limit(FOUND_MAX)).all()
    channels = _channels(session, [one.id for one in people])
    return [
        Found(id=one.id, name=one.name, channels=channels[one.id], since=one.created_at)
        for one in people
    ]


def _channels(session: Session, contact_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {one: [] for one in contact_ids}
    rows = session.exec(
        select(Identity.contact_id, Identity.channel)
        .where(col(Identity.contact_id).in_(contact_ids))
        .distinct()
    )
    for contact_id, channel in rows:
        found[contact_id].append(channel)
    return {one: tuple(sorted(names)) for one, names in found.items()}
