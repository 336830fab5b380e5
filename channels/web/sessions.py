"""Starting a session: as nobody, as whom the host site vouches for, or by a one-time link.

One transaction each. A token is made anew whenever it begins to open more than before: whoever
knew the old one does not get to read what was joined to it.
"""

from dataclasses import dataclass

from sqlmodel import Session

from channels import Parts
from channels.web.identity import HostIdentity
from channels.web.problems import Problem
from channels.web.settings import NAME, Settings
from gateway.contacts import (
    KnownVisitor,
    Person,
    Visit,
    contact_of,
    revoke_visit,
    rotate_visit,
    start_visit,
    visitor_of,
)
from gateway.errors import Unauthorised
from gateway.links import CannotJoin, Why
from gateway.messages import Address, Sender
from rag.types import Language

_SUBJECT = "sub:"  # a visitor's id has no colon: the host's names and ours never meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a browser starts a session with. `token`: of the session that it had until now."""

    language: Language | None = None
    host: HostIdentity | None = None
    code: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session: its token, and the numbering that it reads by."""

    token: str
    numbering: int = 0


class Sessions:
    """Opens sessions of one widget, in the caller's transaction."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._account = settings.account
        self._clock = parts.clock
        self._crossings = parts.crossings

    def open(self, session: Session, asked: Asked) -> Opened:
        """Raises Problem: link-spent, cannot-join."""
        if asked.host is None and asked.code is None:
            return Opened(self._new(session, asked.language).token)
        visitor_id = self._known(session, asked.token)
        if asked.host is not None:
            visitor_id = self._identify(session, visitor_id, asked.language, asked.host)
        visitor_id = visitor_id or self._new(session, asked.language).id
        if asked.code is not None:
            self._arrive(session, visitor_id, asked.language, asked.code)
        token = rotate_visit(session, visitor_id, self._clock()).token
        session.flush()
        return Opened(token, self._visitor(session, token).numbering)

    def _known(self, session: Session, token: str | None) -> str | None:
        """Who the browser was until now. A token that opens nothing is none."""
        try:
            return self._visitor(session, token).id if token else None
        except Unauthorised:
            return None

    def _identify(
        self, session: Session, visitor_id: str | None, language: Language | None,
        host: HostIdentity,
    ) -> str:  # fmt: skip
        """The visitor as one of the accounts of whom the host vouches for."""
        vouched = self._vouched(session, host)
        visitor_id = visitor_id or self._new(session, language).id
        try:
            self._join(session, vouched, visitor_id)
        except CannotJoin:  # somebody else was signed in here: they keep their talk for themselves
            revoke_visit(session, visitor_id, self._clock())
            visitor_id = self._new(session, language).id
            self._join(session, vouched, visitor_id)
        return visitor_id

    def _vouched(self, session: Session, host: HostIdentity) -> Person:
        sender = Sender(
            external_id=_SUBJECT + host.subject, name=host.name, language=host.language,
            verified=True, email=host.email,
        )  # fmt: skip
        person = contact_of(session, self._place(""), sender, self._clock())
        return self._crossings.by_email(session, person).person if person.new_email else person

    def _join(self, session: Session, vouched: Person, visitor_id: str) -> None:
        me = self._person(session, visitor_id, None)
        if me.id != vouched.id:
            why = Why("host_token", "customer")
            self._crossings.links.merge(session, vouched.id, me.id, why)

    def _arrive(
        self, session: Session, visitor_id: str, language: Language | None, code: str
    ) -> None:
        person = self._person(session, visitor_id, language)
        arrival = self._crossings.redeem(session, code, NAME, person, sure=True)  # it asks itself
        if arrival.outcome == "spent":
            raise Problem("link-spent", language=language)
        if arrival.outcome == "refused":
            raise Problem("cannot-join", language=language)
        spoken = language or ("zh" if person.language == "zh" else "en")
        self._crossings.arrive(session, arrival, self._place(visitor_id), spoken)

    def _new(self, session: Session, language: Language | None) -> Visit:
        now = self._clock()
        return start_visit(session, account=self._account, language=language, now=now)

    def _person(self, session: Session, visitor_id: str, language: Language | None) -> Person:
        sender = Sender(external_id=visitor_id, language=language)
        return contact_of(session, self._place(visitor_id), sender, self._clock())

    def _place(self, chat: str) -> Address:
        return Address(channel=NAME, account=self._account, chat=chat)

    def _visitor(self, session: Session, token: str) -> KnownVisitor:
        return visitor_of(
            session, token=token, channel=NAME, account=self._account, now=self._clock()
        )
