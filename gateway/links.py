"""One person, several accounts: what may join two, what it does, and how it is undone.

Only proof joins: the host site's signature, a one-time link, an e-mail that both channels have
verified, or an agent who says why. Names never do. Every link can be undone, which parts the
history again (`joining.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from gateway import audit
from gateway.conversations import Conversations, Draft, language_of
from gateway.deliveries import reply_address
from gateway.errors import GatewayError
from gateway.history import newest
from gateway.joining import Joining
from gateway.messages import Address
from gateway.models import (
    Contact,
    Conversation,
    Identity,
    Link,
    LinkedAccount,
)
from gateway.store import touch
from rag.types import Language
from storage.ids import new_id

Proof = Literal["host_token", "deep_link", "verified_email", "agent"]


class CannotJoin(GatewayError):
    """Two accounts of one channel, both vouched for: they are two people."""


class NoSuchLink(LookupError):
    """There is no such link, or it was undone already."""


@dataclass(frozen=True, slots=True)
class Why:
    """What joins two people, who says so (as in the audit), and their reason."""

    proof: Proof
    actor: str
    reason: str = ""


def clash(some: Sequence[Identity], others: Sequence[Identity]) -> bool:
    """Whether a channel vouches for two different ids: these accounts are never one person's."""
    return any(
        one.verified
        and other.verified
        and (one.channel, one.account) == (other.channel, other.account)
        and one.external_id != other.external_id
        for one in some
        for other in others
    )


class Links:
    """Joins accounts, and undoes it. Each verb runs in the caller's transaction."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self._joining = Joining(conversations)
        self._clock = conversations.clock
        self._phrases = conversations.phrases

    # Joining

    def merge(self, session: Session, kept_id: str, gone_id: str, why: Why) -> Link:
        """Join two contacts and tell both what happened. Raises CannotJoin."""
        there = self.place_of(session, kept_id)
        here = self.place_of(session, gone_id)
        link = self.join(session, kept_id, gone_id, why)
        talk = newest(session, kept_id, "")
        if talk is None:
            return link
        self.note_joined(session, talk, link)
        if there and here and there.channel != here.channel:
            language = language_of(talk)
            places = {"here": self.called(here, language), "there": self.called(there, language)}
            text = self._phrases.say("identity.merged", language, **places)
            other = there if reply_address(talk) == here else here
            self._conversations.say(session, talk, Draft(text=text), also=(other,))
        return link

    def place_of(self, session: Session, contact_id: str) -> Address | None:
        """Where a person's talk goes on at present; None if they have said nothing yet."""
        talk = newest(session, contact_id, "")
        return reply_address(talk) if talk else None

    def called(self, place: Address, language: Language) -> str:
        return self._phrases.channel(place.channel, language)

    def note_joined(self, session: Session, talk: Conversation, link: Link) -> None:
        """What agents read at the border: by what proof, whose accounts, and why."""
        language = language_of(talk)
        accounts = session.exec(
            select(Identity)
            .join(LinkedAccount, col(LinkedAccount.identity_id) == col(Identity.id))
            .where(LinkedAccount.link_id == link.id)
        )
        names = (f"{self._phrases.channel(one.channel, language)} {one.name}" for one in accounts)
        text = self._phrases.say(
            "identity.note_joined", language, reason=link.reason,
            accounts=", ".join(sorted(name.strip() for name in names)),
            proof=self._phrases.say(f"proof.{link.proof}", language),
        )  # fmt: skip
        draft = Draft(text=text.strip(), note=True, mark="joined")
        self._conversations.append(session, talk, draft)

    def join(self, session: Session, kept_id: str, gone_id: str, why: Why) -> Link:
        """Make two contacts one: `kept`. Raises CannotJoin."""
        kept, gone = self._accounts(session, kept_id), self._accounts(session, gone_id)
        if kept_id == gone_id or clash(kept, gone):
            raise CannotJoin("these two accounts stay two people")
        now = self._clock()
        link = Link(id=new_id(), kept_id=kept_id, gone_id=gone_id, proof=why.proof,
                    actor=why.actor, reason=why.reason, linked_at=now)  # fmt: skip
        session.add(link)
        session.flush()
        session.add_all(LinkedAccount(link_id=link.id, identity_id=one.id) for one in gone)
        for one in gone:
            one.contact_id, one.proof = kept_id, why.proof
        self._merge_profiles(session, kept_id, gone_id)
        renumbered = self._joining.join(session, kept_id, gone_id)
        _number_anew(session, (*gone, *kept) if renumbered else gone)
        touch(session, f"contact:{kept_id}", f"contact:{gone_id}")
        self._note_down(session, link, "join", why, gone)
        return link

    def undo(self, session: Session, link_id: str, *, actor: str, reason: str) -> Link:
        """Part again what a link joined: its accounts, and what was said through them and to them,
        before and since. Raises NoSuchLink."""
        link = session.get(Link, link_id, with_for_update=True, populate_existing=True)
        if link is None or link.undone_at is not None:
            raise NoSuchLink(link_id)
        whole_id = _lives_on_as(session, link.kept_id)
        everything = self._accounts(session, whole_id)
        moved = set(session.exec(_moved_by(link.id)))
        going = [one for one in everything if one.id in moved]
        link.undone_at, link.undone_by, link.undone_reason = self._clock(), actor, reason
        session.add(link)
        session.get_one(Contact, link.gone_id).joined_into = None
        session.flush()
        for one in going:
            one.contact_id = link.gone_id
            one.proof = _proof_before(session, one)
        _number_anew(session, everything)
        session.flush()
        self._joining.part(session, whole_id, link.gone_id, {one.id for one in going})
        touch(session, f"contact:{whole_id}", f"contact:{link.gone_id}")
        self._note_down(session, link, "part", Why("agent", actor, reason), going)
        self._tell_parted(session, whole_id, link.gone_id)
        return link

    def _accounts(self, session: Session, contact_id: str) -> list[Identity]:
        """A contact's accounts, locked: nobody's message comes in through one meanwhile."""
        return list(
            session.exec(
                select(Identity)
                .where(Identity.contact_id == contact_id)
                .order_by(col(Identity.id))
                .with_for_update()
                .execution_options(populate_existing=True)
            )
        )

    def _merge_profiles(self, session: Session, kept_id: str, gone_id: str) -> None:
        kept, gone = session.get_one(Contact, kept_id), session.get_one(Contact, gone_id)
        kept.name = kept.name or gone.name
        kept.language = kept.language or gone.language
        gone.joined_into = kept_id
        session.add_all((kept, gone))
        session.flush()

    def _note_down(
        self, session: Session, link: Link, action: str, why: Why, accounts: Sequence[Identity]
    ) -> None:
        audit.note_down(
            session, at=self._clock(), actor=why.actor, action=action,
            subject=f"contact:{link.kept_id}", link=link.id, other=link.gone_id, proof=link.proof,
            reason=why.reason, accounts=[one.id for one in accounts],
        )  # fmt: skip

    def _tell_parted(self, session: Session, *contact_ids: str) -> None:
        for contact_id in contact_ids:
            talk = newest(session, contact_id, "")
            if talk is not None and talk.next_seq > 1:
                text = self._phrases.say("identity.parted", language_of(talk))
                self._conversations.say(session, talk, Draft(text=text, mark="parted"))


def _proof_before(session: Session, account: Identity) -> str:
    """What made the account its contact's, once a later link is undone."""
    found = session.exec(
        select(Link.proof)
        .join(LinkedAccount, col(LinkedAccount.link_id) == col(Link.id))
        .where(LinkedAccount.identity_id == account.id, col(Link.undone_at).is_(None))
        .order_by(col(Link.id).desc())
        .limit(1)
    ).first()
    return found or "channel"


def _number_anew(session: Session, accounts: Sequence[Identity]) -> None:
    """Whoever reads through these accounts has to read from the beginning."""
    for one in accounts:
        one.numbering += 1
        session.add(one)


def _lives_on_as(session: Session, contact_id: str) -> str:
    """The contact that `contact_id` was joined into, however often."""
    contact = session.get_one(Contact, contact_id, populate_existing=True)
    return contact_id if contact.joined_into is None else _lives_on_as(session, contact.joined_into)


def _moved_by(link_id: str) -> SelectOfScalar[str]:
    return select(LinkedAccount.identity_id).where(LinkedAccount.link_id == link_id)
