"""The desk: cases as the gateway sees them, and the verbs of the agents who work on them.

`Cases` runs inside the gateway's transactions and knows only tables and the brief. `Desk` opens a
transaction per verb: it checks that the agent may and that their view still holds, then acts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlmodel import Session, select

from agent_inbox import store as cases_sql
from agent_inbox.brief import Profile, make_brief
from agent_inbox.models import Case
from agent_inbox.ports import Surface
from gateway import audit
from gateway.attachments import uploaded
from gateway.conversations import Actor, Conversations, Draft, expect
from gateway.deliveries import Written, destination
from gateway.errors import IllegalMove, StaleEpoch, Unauthorised
from gateway.handoff import HandOver, Signal
from gateway.history import newest
from gateway.messages import Address
from gateway.models import Contact, Conversation, Delivery, Message
from gateway.ports import Clock
from gateway.states import State
from gateway.store import Store, lock_conversation, touch
from storage.ids import new_id

Outcome = Literal["solved", "unsolved", "no_reply", "spam"]
"""How an agent says it ended. The desk itself writes `handed_back` and `left` (by the customer)."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Role = Literal["agent", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The agent who acts. `name` is what customers read."""

    id: str
    name: str
    role: Role = "agent"

    @property
    def actor(self) -> Actor:
        return Actor(kind="agent", id=self.id, name=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the agent had on their screen when they acted. None means: I know, do it anyway."""

    conversation_id: str
    epoch: int | None = None
    seen_seq: int | None = None


class Unknown(LookupError):
    """No such conversation."""


class Cases:
    """The gateway's `Inbox`: one case per stretch of human help, in the gateway's transaction."""

    def __init__(self, clock: Clock, surfaces: tuple[Surface, ...] = ()) -> None:
        self._clock = clock
        self._surfaces = surfaces

    def open(self, session: Session, conversation: Conversation, why: HandOver) -> int:
        """The case's place in the queue, from 1. Opening an open case changes nothing."""
        case = cases_sql.open_case(session, conversation.id)
        return cases_sql.place_of(session, case or self._begin(session, conversation, why))

    def show(self, session: Session, message: Message) -> None:
        """A new line for whoever has the case on a screen."""
        case = cases_sql.open_case(session, message.conversation_id)
        if case is None:
            return
        if message.author == "agent" and not message.note and case.first_reply_at is None:
            case.first_reply_at = message.created_at
        if message.author == "customer" and case.state == "waiting":
            conversation = session.get_one(Conversation, message.conversation_id)
            case.brief = self._brief(session, conversation, _signals(case))
        session.add(case)
        for surface in self._surfaces:
            surface.append(session, case, message)

    def moved(self, session: Session, conversation: Conversation) -> None:
        """The conversation's owner changed; a closed or handed-back one ends its case."""
        case = cases_sql.open_case(session, conversation.id)
        if case is None and conversation.state != State.AGENT:
            return
        if case is None:  # an agent took what nobody had handed over
            case = self._begin(session, conversation, HandOver((Signal("agent"),)))
        now = self._clock()
        match conversation.state:
            case State.WAITING:
                case.state, case.owner = "waiting", None
            case State.AGENT:
                case.state, case.owner = "owned", conversation.owner
                case.claimed_at = case.claimed_at or now
            case _:
                if conversation.state == State.BOT and case.outcome is None:
                    case.outcome = "left"  # an agent would have said how it ended
                case.state, case.closed_at = "closed", now
        session.add(case)
        session.flush()
        touch(session, *(f"contact:{contact}" for contact in cases_sql.behind(session, case)))
        for surface in self._surfaces:
            surface.refresh(session, case)

    def joined(self, session: Session, gone: Conversation, kept: Conversation) -> None:
        """`gone` is part of `kept` now, whose owner is settled: of their two open cases the one of
        that owner is left, or the one that has waited longer. With itself: only its person changed.
        """
        cases_sql.give_to(session, gone.id, kept.contact_id)
        both = (cases_sql.open_case(session, one) for one in {gone.id, kept.id})
        cases = sorted(filter(None, both), key=lambda one: _claim_to(one, kept))
        for case in cases[1:]:
            self._end_joined(session, case)
        for case in cases[:1]:
            case.conversation_id = kept.id
            self._place(session, case, kept)

    def parted(self, session: Session, whole: Conversation, part: Conversation) -> None:
        """`part` was taken out of `whole`, and the person who had it went along."""
        case = cases_sql.open_case(session, whole.id)
        if case is not None:
            case.conversation_id, case.contact_id = part.id, part.contact_id
            self._place(session, case, part)

    def _end_joined(self, session: Session, case: Case) -> None:
        case.outcome, case.state, case.closed_at = "joined", "closed", self._clock()
        session.add(case)
        session.flush()
        for surface in self._surfaces:
            surface.refresh(session, case)

    def _place(self, session: Session, case: Case, conversation: Conversation) -> None:
        """Let a case that came from elsewhere stand as its conversation does."""
        case.brief = self._brief(session, conversation, _signals(case))
        session.add(case)
        session.flush()
        for surface in self._surfaces:
            surface.refresh(session, case)

    def _begin(self, session: Session, conversation: Conversation, why: HandOver) -> Case:
        case = Case(
            conversation_id=conversation.id, contact_id=conversation.contact_id,
            reasons=[asdict(signal) for signal in why.signals],
            brief=self._brief(session, conversation, why.signals), opened_at=self._clock(),
        )  # fmt: skip
        session.add(case)
        session.flush()
        for surface in self._surfaces:
            surface.present(session, case)
        return case

    def _brief(
        self, session: Session, conversation: Conversation, reasons: tuple[Signal, ...]
    ) -> dict[str, object]:
        contact = session.get_one(Contact, conversation.contact_id)
        profile = Profile(
            name=contact.name, language=conversation.language, channel=conversation.reply_channel
        )
        return make_brief(
            cases_sql.spoken_lines(session, conversation.id), reasons, profile
        ).as_data()


def _claim_to(case: Case, conversation: Conversation) -> tuple[bool, datetime, int]:
    """The first of two open cases by this is the one that stays."""
    return case.owner != conversation.owner, case.opened_at, case.number or 0


def _signals(case: Case) -> tuple[Signal, ...]:
    return tuple(Signal(**reason) for reason in case.reasons)


class Desk:
    """What an agent can do with a conversation. One transaction each; whoever writes owns."""

    def __init__(self, store: Store, conversations: Conversations, clock: Clock) -> None:
        self._store = store
        self._conversations = conversations
        self._clock = clock

    async def claim(self, agent: Worker, view: View) -> None:
        """Become the owner. Of two, the first commit wins; the other gets StaleEpoch."""

        def work(session: Session) -> None:
            conversation = self._conversation(session, agent, view)
            self._claim(session, conversation, agent)

        await self._store.write(work)

    async def reply(
        self, agent: Worker, view: View, text: str, *, client_id: str, files: Sequence[str] = ()
    ) -> int:
        """Write to the customer, claiming first if need be; the line's `seq`. The same
        `client_id` again is the same line. `files` are uploads of this agent. Raises StaleView
        when the customer wrote meanwhile, NoSuchFile."""

        def work(session: Session) -> int:
            if (said := _sent_before(session, agent, view, client_id)) is not None:
                return said
            conversation = self._conversation(session, agent, view)
            expect(conversation, seen_seq=view.seen_seq)
            self._claim(session, conversation, agent)
            proof = new_id()  # made first: the customer's copy stays the newest delivery
            attached = uploaded(session, agent.actor.in_audit, files, now=self._clock())
            draft = Draft(text=text, author=agent.actor, attachments=attached)
            written = self._conversations.say(session, conversation, draft)
            self._remember(session, _console(agent, conversation.id), written, proof, client_id)
            return written.seq

        return await self._store.write(work)

    async def note(self, agent: Worker, view: View, text: str, *, client_id: str) -> int:
        """Write a line that only agents read. Anybody may, at any time; nobody's view matters."""

        def work(session: Session) -> int:
            if (said := _sent_before(session, agent, view, client_id)) is not None:
                return said
            conversation = locked(session, view.conversation_id)
            draft = Draft(text=text, author=agent.actor, note=True)
            written = self._conversations.append(session, conversation, draft)
            self._remember(session, _console(agent, conversation.id), written, new_id(), client_id)
            return written.seq

        return await self._store.write(work)

    async def resend(self, agent: Worker, view: View, message_id: str) -> int:
        """Send once more what failed or may not have arrived; how many deliveries that were. What
        has arrived, or is on its way again, stays as it is: pressing twice makes one copy."""

        def work(session: Session) -> int:
            conversation = locked(session, view.conversation_id)
            _refuse_others(conversation, agent)
            again = self._conversations.resend(session, conversation, message_id, agent.actor)
            return len(again)

        return await self._store.write(work)

    async def release(self, agent: Worker, view: View) -> None:
        """Put it back into the queue, where it stood: it has waited since it was opened."""

        def work(session: Session) -> None:
            conversation = self._conversation(session, agent, view, owners=True)
            case = cases_sql.open_case(session, conversation.id)
            place = cases_sql.place_of(session, case) if case else 1
            self._conversations.release(session, conversation, agent.actor, place)

        await self._store.write(work)

    async def release_all(self, agent: Worker) -> int:
        """Somebody is gone: what they had goes back into the queue, and each customer is told."""

        def work(session: Session) -> int:
            held = cases_sql.cases_of(session, agent.id)
            for case in held:
                conversation = locked(session, case.conversation_id)
                if (conversation.state, conversation.owner) == (State.AGENT, agent.id):
                    place = cases_sql.place_of(session, case)
                    self._conversations.release(session, conversation, agent.actor, place)
            return len(held)

        return await self._store.write(work)

    async def hand_back(self, agent: Worker, view: View, agreed: str = "") -> None:
        """Give it to the bot. `agreed` is told to the customer, and to the bot as history."""

        def work(session: Session) -> None:
            conversation = self._conversation(session, agent, view, owners=True)
            expect(conversation, seen_seq=view.seen_seq)
            self._close(session, conversation, agent, "handed_back", "")
            self._conversations.hand_back(session, conversation, agent.actor, agreed)

        await self._store.write(work)

    async def resolve(
        self, agent: Worker, view: View, *, outcome: Outcome, topic: str = ""
    ) -> None:
        """Close it. Never over the customer's head: what they just wrote is shown first."""

        def work(session: Session) -> None:
            conversation = self._conversation(session, agent, view, owners=True)
            expect(conversation, seen_seq=view.seen_seq)
            self._close(session, conversation, agent, outcome, topic)
            self._conversations.resolve(session, conversation, agent.actor)

        await self._store.write(work)

    def _conversation(
        self, session: Session, agent: Worker, view: View, *, owners: bool = False
    ) -> Conversation:
        """The locked conversation, if `view` is still how it stands. `owners`: while somebody has
        it, only they and admins may."""
        conversation = locked(session, view.conversation_id)
        expect(conversation, epoch=view.epoch)
        if owners:
            _refuse_others(conversation, agent)
        if owners and conversation.state == State.CLOSED:
            raise IllegalMove("the conversation is closed")
        return conversation

    def _claim(self, session: Session, conversation: Conversation, agent: Worker) -> None:
        if conversation.state == State.CLOSED:
            latest = newest(session, conversation.contact_id, conversation.thread_key)
            if latest is not None and latest.id != conversation.id:
                raise IllegalMove("this person has a newer conversation")
        self._conversations.claim(session, conversation, agent.actor)

    def _close(
        self, session: Session, conversation: Conversation, agent: Worker, outcome: str, topic: str
    ) -> None:
        """Write down how it ended, before the move closes the case."""
        case = cases_sql.open_case(session, conversation.id)
        if case is None:
            return
        case.outcome, case.topic = outcome, topic
        case.owner = case.owner or agent.id
        session.add(case)
        session.flush()
        audit.note_down(
            session, at=self._clock(), actor=agent.actor.in_audit, action="case_closed",
            subject=f"case:{case.number}", outcome=outcome, topic=topic,
        )  # fmt: skip

    def _remember(
        self, session: Session, place: Address, written: Written, proof: str, client_id: str
    ) -> None:
        """The console is a place the line exists, too: its id there makes a repeat harmless."""
        session.add(Delivery(
            id=proof, message_id=written.id, conversation_id=place.chat,
            surface=place.channel, account=place.account, chat=place.chat,
            destination=destination(place), external_id=client_id, ord=written.seq,
            state="delivered", due=self._clock(), created_at=self._clock(),
        ))  # fmt: skip


SURFACE = "console"


def _console(agent: Worker, conversation_id: str) -> Address:
    return Address(channel=SURFACE, account=agent.id, chat=conversation_id)


def _sent_before(session: Session, agent: Worker, view: View, client_id: str) -> int | None:
    place = _console(agent, view.conversation_id)
    return session.exec(
        select(Message.seq)
        .join(Delivery, Delivery.message_id == Message.id)  # pyright: ignore[reportArgumentType]
        .where(
            Delivery.surface == place.channel,
            Delivery.account == place.account,
            Delivery.chat == place.chat,
            Delivery.external_id == client_id,
        )
    ).first()


def _refuse_others(conversation: Conversation, agent: Worker) -> None:
    """While somebody has it, only they and admins may."""
    others = conversation.state == State.AGENT and conversation.owner != agent.id
    if others and agent.role != "admin":
        raise Unauthorised("somebody else has this conversation")


def locked(session: Session, conversation_id: str) -> Conversation:
    """The conversation, locked. Raises Unknown, and StaleEpoch for one that was joined."""
    conversation = lock_conversation(session, conversation_id)
    if conversation is None:
        raise Unknown("no such conversation")
    if conversation.joined_into is not None:
        raise StaleEpoch("its lines are in another conversation of the same person by now")
    return conversation
