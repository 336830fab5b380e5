"""Going on elsewhere: one-time links from one channel to another, and who comes in by them."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from sqlmodel import Session, col, select

from gateway.contacts import Person
from gateway.conversations import Conversations, Draft, language_of
from gateway.deliveries import Written, reply_address
from gateway.history import newest
from gateway.links import CannotJoin, Links, Proof, Why
from gateway.messages import Action, Address, InboundMessage
from gateway.models import Conversation, Identity, Link, LinkCode, VerifiedEmail
from gateway.store import insert, insert_once
from rag.types import Language

CODE_VALID = timedelta(minutes=10)
CODE_CHARS = 32
CODES_OPEN_MAX = 5  # of one account; the oldest stops working
MINUTES = CODE_VALID // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of a code: whose talk goes on, and where it did until now."""

    outcome: Literal["joined", "same", "spent", "refused", "asked", "apart"]
    person: Person
    link: Link | None = None
    from_place: Address | None = None


def may_join_by_email(email: str, domains: Collection[str]) -> bool:
    """Whether a verified e-mail is one of ours to judge by: never a public provider's."""
    _, _, domain = email.rpartition("@")
    return bool(domain) and domain in domains


class Crossings:
    """Makes links to other channels, and lets their readers in. In the caller's transaction."""

    def __init__(
        self, conversations: Conversations, links: Links, *, email_domains: Collection[str] = ()
    ) -> None:
        self.links = links
        self._domains = frozenset(domain.lower() for domain in email_domains)
        self._conversations = conversations
        self._entrances = conversations.entrances
        self._clock = conversations.clock
        self._phrases = conversations.phrases

    def is_code(self, text: str) -> bool:
        """Whether a link's parameter is one of ours: others count visitors of an advertisement."""
        return len(text) == CODE_CHARS

    def wanted(self, inbound: InboundMessage) -> str | None:
        """The channel that a customer wants to go on in, if this message says so."""
        return self._entrances.wanted(inbound)

    def show_way(self, session: Session, conversation: Conversation, channel: str) -> Written:
        """Tell the customer the link to `channel`, good once and for ten minutes."""
        language = language_of(conversation)
        named = {"channel": self._phrases.channel(channel, language)}
        code = secrets.token_urlsafe(CODE_CHARS * 3 // 4)  # 192 bits, that any link can carry
        # A link is for one person: where others read along, anybody could follow it.
        link = None if conversation.thread_key else self._entrances.address(channel, code)
        asker = conversation.reply_identity
        if link is None or asker is None:
            text = self._phrases.say("identity.no_way", language, **named)
            return self._conversations.say(session, conversation, Draft(text=text))
        self._keep_code(session, code, asker, channel)
        text = self._phrases.say("identity.link", language, link=link, minutes=MINUTES, **named)
        return self._conversations.say(session, conversation, Draft(text=text, reply_kind="link"))

    def _keep_code(self, session: Session, code: str, identity_id: str, channel: str) -> None:
        now = self._clock()
        live = session.exec(
            select(LinkCode)
            .where(
                LinkCode.identity_id == identity_id, col(LinkCode.used_at).is_(None),
                LinkCode.expires_at > now,
            )
            .order_by(col(LinkCode.created_at).desc())
        ).all()  # fmt: skip
        for old in live[CODES_OPEN_MAX - 1 :]:
            old.expires_at = now
            session.add(old)
        insert(session, LinkCode, {
            "code_hash": _digest(code), "identity_id": identity_id, "channel": channel,
            "created_at": now, "expires_at": now + CODE_VALID,
        })  # fmt: skip

    def redeem(
        self, session: Session, code: str, channel: str, person: Person, *, sure: bool = False
    ) -> Arrival:
        """`person` followed a link to `channel`: join them with who asked for it. Who has a talk of
        their own here is asked first, unless they are `sure`: a stranger may have sent the link."""
        now = self._clock()
        found = session.exec(
            select(LinkCode)
            .where(
                LinkCode.code_hash == _digest(code), LinkCode.channel == channel,
                col(LinkCode.used_at).is_(None), LinkCode.expires_at > now,
            )
            .with_for_update()
        ).first()  # fmt: skip
        if found is None:
            return Arrival("spent", person)
        own = newest(session, person.id, "")
        found.used_by = person.identity_id
        asks = not sure and own is not None and own.customer_seq > 0
        found.used_at = None if asks else now
        session.add(found)
        session.flush()
        return Arrival("asked", person) if asks else self._followed(session, found, person)

    def _followed(self, session: Session, code: LinkCode, person: Person) -> Arrival:
        asker = session.get_one(Identity, code.identity_id)
        if asker.contact_id == person.id:
            return Arrival("same", person)
        return self._joined(session, asker.contact_id, person, "deep_link")

    def confirm(self, session: Session, inbound: InboundMessage, talk: Conversation) -> bool:
        """Whether a press of yes or no was the answer to our asking; then it is done."""
        now, identity_id = self._clock(), talk.reply_identity
        if inbound.action not in ("yes", "no") or identity_id is None:
            return False
        asked = session.exec(
            select(LinkCode)
            .where(
                LinkCode.used_by == identity_id, col(LinkCode.used_at).is_(None),
                LinkCode.expires_at > now,
            )
            .with_for_update()
        ).first()  # fmt: skip
        if asked is None:
            return False
        asked.used_at = now
        session.add(asked)
        session.flush()
        language = language_of(talk)
        person = Person(talk.contact_id, language, identity_id)
        arrival = Arrival("apart", person)
        if inbound.action == "yes":
            arrival = self._followed(session, asked, person)
        self.arrive(session, arrival, inbound.address, language)
        return True

    def by_email(self, session: Session, person: Person) -> Arrival:
        """Join the account that had this verified e-mail first, inside the allowed domains."""
        email = person.new_email
        if not may_join_by_email(email, self._domains):
            return Arrival("same", person)
        row = {"email": email, "identity_id": person.identity_id, "created_at": self._clock()}
        if insert_once(session, VerifiedEmail, row):
            return Arrival("same", person)
        first = session.get_one(Identity, session.get_one(VerifiedEmail, email).identity_id)
        if first.contact_id == person.id:
            return Arrival("same", person)
        return self._joined(session, first.contact_id, person, "verified_email")

    def _joined(self, session: Session, kept_id: str, person: Person, proof: Proof) -> Arrival:
        place = self.links.place_of(session, kept_id)
        try:
            link = self.links.join(session, kept_id, person.id, Why(proof, "customer"))
        except CannotJoin:
            return Arrival("refused", person)
        return Arrival("joined", replace(person, id=kept_id), link, place)

    def arrive(
        self, session: Session, arrival: Arrival, here: Address, language: Language
    ) -> tuple[Conversation, Written]:
        """Go on `here`, and say so: the border in the transcript, shown in both places."""
        talk = self._conversations.reach(session, arrival.person, here, language)
        return talk, self.greet(session, talk, arrival)

    def greet(self, session: Session, talk: Conversation, arrival: Arrival) -> Written:
        """Say where the customer is now what became of it, and where they were."""
        language = language_of(talk)
        if arrival.link is not None:
            self.links.note_joined(session, talk, arrival.link)
        here, there = reply_address(talk), arrival.from_place or reply_address(talk)
        key = "gone_on" if arrival.outcome == "joined" else arrival.outcome
        text = self._phrases.say(
            f"identity.{key}", language, minutes=MINUTES,
            here=self.links.called(here, language), there=self.links.called(there, language),
        )  # fmt: skip
        choices: tuple[Action, ...] = ("yes", "no") if arrival.outcome == "asked" else ()
        buttons = tuple(self._phrases.button(action, language) for action in choices)
        also = (there,) if there != here else ()
        return self._conversations.say(session, talk, Draft(text=text, buttons=buttons), also=also)


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
