"""SQL of the agent inbox: agents, cases and the lists people work through, paged by key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal

from sqlalchemy import bindparam, func, tuple_, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from agent_inbox.brief import Came, Spoken
from agent_inbox.models import Agent, Case
from gateway.history import labels_of
from gateway.models import Contact, Conversation, Message
from gateway.states import State

PAGE_MAX = 50
BRIEF_LINES = 50  # newest lines a brief is made from
SAID_CHARS = 200  # of the customer's newest words, in a list
EARLIER_MAX = 5  # earlier cases of the same person on a card
BEHIND_MAX = 200  # customers told at once that their place changed; a slow poll tells the rest

List = Literal["queue", "mine", "all"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the time it is ordered by, and the id that breaks a tie."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A conversation as a list shows it. `since` is what the list is ordered by."""

    conversation_id: str
    state: str
    case: int | None
    owner: str | None
    owner_name: str | None
    customer: str
    channel: str
    language: str
    said: str  # the customer's newest words
    reason: str | None  # the first signal that called a person
    since: datetime
    updated_at: datetime


# Agents


def find_agent(session: Session, email: str) -> Agent | None:
    return session.exec(select(Agent).where(Agent.email == email.strip().lower())).first()


def list_agents(session: Session) -> list[Agent]:
    """Everybody, disabled ones too, in the order they were added."""
    return list(session.exec(select(Agent).order_by(col(Agent.id))))


def has_admin(session: Session) -> bool:
    """Whether somebody can add the others."""
    found = select(Agent.id).where(Agent.role == "admin", col(Agent.enabled).is_(True)).limit(1)
    return session.exec(found).first() is not None


def names_of(session: Session, ids: Sequence[str | None]) -> Mapping[str, str]:
    """Names by id, of those that are known."""
    wanted = {one for one in ids if one}
    if not wanted:
        return {}
    return dict(session.exec(select(Agent.id, Agent.name).where(col(Agent.id).in_(wanted))).all())


# Cases


def open_case(session: Session, conversation_id: str) -> Case | None:
    """The open case of a conversation; its row is only written under the conversation's lock."""
    return session.exec(_open_case(), params={"conversation": conversation_id}).first()


@cache
def _open_case() -> SelectOfScalar[Case]:
    return (
        select(Case)
        .where(Case.conversation_id == bindparam("conversation"), Case.state != "closed")
        .execution_options(populate_existing=True)
    )


def give_to(session: Session, conversation_id: str, contact_id: str) -> None:
    """Let a conversation's cases, ended ones too, be history of that person."""
    session.connection().execute(
        update(Case)
        .where(col(Case.conversation_id) == conversation_id)
        .values(contact_id=contact_id)
    )


def place_of(session: Session, case: Case) -> int:
    """The place in the queue, from 1, of a case that waits (or is about to)."""
    mine = (case.opened_at, case.number)
    before = session.exec(
        select(func.count())
        .select_from(Case)
        .where(Case.state == "waiting", tuple_(col(Case.opened_at), col(Case.number)) < mine)
    ).one()
    return before + 1


def behind(session: Session, case: Case) -> list[str]:
    """The contacts that wait behind a case, the next ones first, `BEHIND_MAX` at most."""
    return list(
        session.exec(
            select(Case.contact_id)
            .where(Case.state == "waiting", Case.opened_at >= case.opened_at)
            .order_by(col(Case.opened_at), col(Case.number))
            .limit(BEHIND_MAX)
        )
    )


def waiting_count(session: Session) -> int:
    return session.exec(select(func.count()).select_from(Case).where(Case.state == "waiting")).one()


def cases_of(session: Session, agent_id: str) -> list[Case]:
    """What an agent has right now, oldest first."""
    held = select(Case).where(Case.owner == agent_id, Case.state == "owned")
    return list(session.exec(held.order_by(col(Case.opened_at), col(Case.number))))


def last_case(session: Session, conversation_id: str) -> Case | None:
    """The newest case of a conversation, open or not."""
    return session.exec(
        select(Case)
        .where(Case.conversation_id == conversation_id)
        .order_by(col(Case.number).desc())
        .limit(1)
    ).first()


def earlier_cases(session: Session, contact_id: str, *, before: int | None) -> list[Case]:
    """Older cases of the same person, newest first."""
    query = select(Case).where(Case.contact_id == contact_id, Case.state == "closed")
    if before is not None:
        query = query.where(col(Case.number) < before)
    return list(session.exec(query.order_by(col(Case.number).desc()).limit(EARLIER_MAX)))


def spoken_lines(session: Session, conversation_id: str) -> list[Spoken]:
    """The newest lines as the brief reads them, oldest first. Notes are not the customer's talk."""
    rows = session.exec(
        select(Message)
        .where(
            Message.conversation_id == conversation_id,
            col(Message.note).is_(False),
            col(Message.withdrawn_at).is_(None),
        )
        .order_by(col(Message.seq).desc())
        .limit(BRIEF_LINES)
    ).all()
    return [_spoken(row) for row in reversed(rows)]


def _spoken(row: Message) -> Spoken:
    return Spoken(
        seq=row.seq, author=row.author,  # pyright: ignore[reportArgumentType]
        text=row.text, action=row.action, reply_kind=row.reply_kind,
        sources=tuple(citation["title"] for citation in row.citations),
        files=tuple(Came(one.kind, one.name) for one in labels_of(row.attachments)),
    )  # fmt: skip


# Lists


def list_rows(
    session: Session, which: List, agent_id: str, *, after: Cursor | None, limit: int
) -> list[Row]:
    """A page of a list. The queue and mine: who waits longest first; all: newest activity first."""
    limit = min(limit, PAGE_MAX)
    if which == "all":
        return _rows(session, _newest(session, after, limit))
    query = select(Case, Conversation).join(
        Conversation, col(Conversation.id) == col(Case.conversation_id)
    )
    if which == "queue":
        query = query.where(Case.state == "waiting")
    else:
        query = query.where(Case.owner == agent_id, Case.state == "owned")
    if after is not None:
        key = tuple_(col(Case.opened_at), col(Case.number))
        query = query.where(key > (after.at, int(after.id)))
    found = session.exec(query.order_by(col(Case.opened_at), col(Case.number)).limit(limit)).all()
    return _rows(session, [(conversation, case) for case, conversation in found])


def _newest(
    session: Session, after: Cursor | None, limit: int
) -> list[tuple[Conversation, Case | None]]:
    """Merged from one index scan per state: the index begins with the state."""
    found: list[Conversation] = []
    for state in State:
        query = select(Conversation).where(
            Conversation.state == state.value, col(Conversation.joined_into).is_(None)
        )
        if after is not None:
            key = tuple_(col(Conversation.updated_at), col(Conversation.id))
            query = query.where(key < (after.at, after.id))
        order = (col(Conversation.updated_at).desc(), col(Conversation.id).desc())
        found += session.exec(query.order_by(*order).limit(limit)).all()
    found.sort(key=lambda one: (one.updated_at, one.id), reverse=True)
    page = found[:limit]
    cases = _last_cases(session, [one.id for one in page])
    return [(one, cases.get(one.id)) for one in page]


def _last_cases(session: Session, conversation_ids: Sequence[str]) -> dict[str, Case]:
    newest = (
        select(func.max(Case.number))
        .where(col(Case.conversation_id).in_(conversation_ids))
        .group_by(col(Case.conversation_id))
    )
    found = session.exec(select(Case).where(col(Case.number).in_(newest)))
    return {case.conversation_id: case for case in found}


def _rows(session: Session, found: Sequence[tuple[Conversation, Case | None]]) -> list[Row]:
    conversations = [conversation for conversation, _ in found]
    contacts = _contact_names(session, [one.contact_id for one in conversations])
    said = _newest_words(session, conversations)
    agents = names_of(session, [one.owner for one in conversations])
    return [
        Row(
            conversation_id=one.id, state=one.state, case=case.number if case else None,
            owner=one.owner, owner_name=agents.get(one.owner or ""),
            customer=contacts.get(one.contact_id, ""), channel=one.reply_channel,
            language=one.language, said=said.get(one.id, ""),
            reason=case.reasons[0]["name"] if case and case.reasons else None,
            since=case.opened_at if case else one.opened_at, updated_at=one.updated_at,
        )
        for one, case in found
    ]  # fmt: skip


def _contact_names(session: Session, ids: Sequence[str]) -> Mapping[str, str]:
    return dict(
        session.exec(select(Contact.id, Contact.name).where(col(Contact.id).in_(set(ids)))).all()
    )


def _newest_words(session: Session, conversations: Sequence[Conversation]) -> Mapping[str, str]:
    """The customer's newest line of each, by the unique (conversation, seq): one row apiece.

    By a join: SQLite reads the whole table for (a, b) IN (list of pairs)."""
    found = session.exec(
        select(Conversation.id, func.substr(Message.text, 1, SAID_CHARS))
        .join(Message, col(Message.conversation_id) == col(Conversation.id))
        .where(
            Message.seq == Conversation.customer_seq,
            col(Conversation.id).in_([one.id for one in conversations]),
        )
    )
    return dict(found.all())
