"""A conversation: its lines in gapless order, and its one owner.

Every function here runs inside a transaction that the caller opened (`Store.write`). A change of
owner raises the epoch and, in the same transaction, cancels the bot's turn and its unsent texts,
tells the customer, marks the border in the transcript and writes the audit.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, col

from gateway import audit, deliveries, states
from gateway.attachments import carry
from gateway.contacts import Person, accounts_of
from gateway.deliveries import Written, reply_address, thread_key
from gateway.entrances import Entrances
from gateway.errors import NoSuchMessage, StaleEpoch, StaleView
from gateway.handoff import HandOver, as_words
from gateway.history import newest, unanswered
from gateway.messages import Action, Address, Attachment, Author, Button, Capabilities, Mark
from gateway.models import Conversation, Delivery, Message, Turn
from gateway.phrases import Phrases
from gateway.ports import Clock, Inbox
from gateway.render import excuses
from gateway.states import Move, State
from gateway.store import change, insert, insert_once, touch, touch_conversation
from rag.types import Citation, Language
from storage.ids import new_id

REOPEN_WITHIN = timedelta(days=3)

_MARKS: Mapping[Move, Mark] = {
    Move.ASK: "handed_over",
    Move.CLAIM: "claimed",
    Move.RELEASE: "released",
    Move.HAND_BACK: "handed_back",
    Move.RESOLVE: "resolved",
    Move.CUSTOMER_WRITES: "reopened",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something. `name` is what customers read."""

    kind: Author
    id: str | None = None
    name: str | None = None

    @property
    def in_audit(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


SYSTEM = Actor(kind="system")
BOT = Actor(kind="bot")
CUSTOMER = Actor(kind="customer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message about to be stored."""

    text: str
    author: Actor = SYSTEM
    note: bool = False
    mark: Mark | None = None
    action: Action | None = None
    buttons: tuple[Button, ...] = ()
    citations: tuple[Citation, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    reply_kind: str | None = None
    record_id: str | None = None
    reply_to: str | None = None  # the id of the message that is answered
    album: str | None = None
    sent_at: datetime | None = None


class Conversations:
    """The verbs on a conversation. Holds no state of its own."""

    def __init__(
        self,
        clock: Clock,
        phrases: Phrases,
        inbox: Inbox,
        capabilities: Mapping[str, Capabilities],
        entrances: Entrances | None = None,
    ) -> None:
        self.clock = clock
        self.phrases = phrases
        self.inbox = inbox
        self.capabilities = capabilities
        self.entrances = entrances or Entrances({})

    # Finding and opening

    def reach(
        self, session: Session, person: Person, address: Address, language: Language
    ) -> Conversation:
        """The open conversation a customer's new message belongs to, locked. The last one is
        reopened within `REOPEN_WITHIN`; after that a new one points back to it."""
        last = newest(session, person.id, thread_key(address))
        if last is not None and last.state == State.CLOSED and not self._may_reopen(last):
            last = self._open(session, person, address, language, previous=last)
        elif last is None:
            last = self._open(session, person, address, language)
        elif last.state == State.CLOSED:
            self.move(session, last, Move.CUSTOMER_WRITES, CUSTOMER)
        self.reply_to(session, last, address, person.identity_id)
        return last

    def _may_reopen(self, closed: Conversation) -> bool:
        return closed.closed_at is not None and self.clock() - closed.closed_at <= REOPEN_WITHIN

    def _open(
        self, session: Session, person: Person, address: Address, language: Language,
        previous: Conversation | None = None,
    ) -> Conversation:  # fmt: skip
        now = self.clock()
        insert_once(session, Conversation, {
            "id": new_id(), "contact_id": person.id, "thread_key": thread_key(address),
            "state": State.BOT.value, "epoch": 0, "customer_seq": 0, "language": language,
            "next_seq": previous.next_seq if previous else 1,
            "reply_channel": address.channel, "reply_account": address.account,
            "reply_chat": address.chat, "reply_thread": address.thread,
            "reply_identity": person.identity_id,
            "previous_id": previous.id if previous else None,
            "opened_at": now, "updated_at": now,
        })  # fmt: skip
        opened = newest(session, person.id, thread_key(address))
        if opened is None:
            raise LookupError("a conversation that was just opened is gone")
        return opened

    def reply_to(
        self, session: Session, conversation: Conversation, address: Address, identity_id: str
    ) -> None:
        """Let what is said from now on go to `address`, where this account is met."""
        if (reply_address(conversation), conversation.reply_identity) == (address, identity_id):
            return
        conversation.reply_channel = address.channel
        conversation.reply_account = address.account
        conversation.reply_chat = address.chat
        conversation.reply_thread = address.thread
        conversation.reply_identity = identity_id
        session.add(conversation)

    # Lines

    def append(self, session: Session, conversation: Conversation, draft: Draft) -> Written:
        """Store a line at the next `seq`, for every screen. Delivers nothing."""
        now = self.clock()
        written = Written(new_id(), conversation.next_seq)
        insert(session, Message, {
            "id": written.id, "conversation_id": conversation.id,
            "contact_id": conversation.contact_id, "thread_key": conversation.thread_key,
            "seq": written.seq, "author": draft.author.kind,
            "author_id": draft.author.id, "author_name": draft.author.name, "note": draft.note,
            "text": draft.text, "mark": draft.mark, "action": draft.action,
            "channel": conversation.reply_channel, "identity_id": conversation.reply_identity,
            "language": conversation.language,
            "buttons": [asdict(button) for button in draft.buttons],
            "citations": [asdict(citation) for citation in draft.citations],
            "attachments": [asdict(attachment) for attachment in draft.attachments],
            "reply_kind": draft.reply_kind, "record_id": draft.record_id,
            "reply_to": draft.reply_to, "album": draft.album, "sent_at": draft.sent_at,
            "created_at": now,
        })  # fmt: skip
        if draft.attachments:
            carry(session, written.id, draft.attachments)
        self._advance(session, conversation, draft.author, now)
        if conversation.state != State.BOT or draft.mark:  # else nobody has it on a screen
            self.inbox.show(session, session.get_one(Message, written.id))
        touch_conversation(session, conversation)
        return written

    def _advance(
        self, session: Session, conversation: Conversation, author: Actor, now: datetime
    ) -> None:
        """Count a line. Written at once, past the session's bookkeeping: every line pays for it."""
        values: dict[str, Any] = {"next_seq": conversation.next_seq + 1, "updated_at": now}
        if author.kind == "customer":
            values["customer_seq"] = conversation.next_seq
        change(session, Conversation, conversation.id, **values)
        for name, value in values.items():
            set_committed_value(conversation, name, value)

    def say(
        self, session: Session, conversation: Conversation, draft: Draft, *,
        also: tuple[Address, ...] = (),
    ) -> Written:  # fmt: skip
        """Store a line and send it where the customer last wrote, and to `also`. A bot's text
        carries the epoch it was made under: the outbox refuses it under another owner."""
        written = self.append(session, conversation, draft)
        epoch = conversation.epoch if draft.author.kind == "bot" else None
        for place in (reply_address(conversation), *also):
            deliveries.send(session, conversation, written, self._terms(place, epoch))
        if draft.attachments:
            self._tell_left_out(session, conversation, draft.attachments)
        return written

    def resend(
        self, session: Session, conversation: Conversation, message_id: str, agent: Actor
    ) -> list[str]:
        """Send once more what failed or may not have arrived; which deliveries that were. A person
        decides it, so no epoch holds it back. What has arrived or is on its way stays as it is."""
        message = session.get(Message, message_id, populate_existing=True)
        if message is None or message.conversation_id != conversation.id:
            raise NoSuchMessage("there is no such message in this conversation")
        if message.withdrawn_at is not None:
            return []
        terms = self._terms(reply_address(conversation))
        again = deliveries.send_again(session, conversation, message, terms)
        if again:
            audit.note_down(
                session, at=self.clock(), actor=agent.in_audit, action="resend",
                subject=f"conversation:{conversation.id}", message=message_id, deliveries=again,
            )  # fmt: skip
            touch_conversation(session, conversation)
        return again

    def _terms(self, to: Address, epoch: int | None = None) -> deliveries.Post:
        can = self.capabilities[to.channel]
        return deliveries.Post(
            to=to, can=can, phrases=self.phrases, now=self.clock(), epoch=epoch
        )  # fmt: skip

    def _tell_left_out(
        self, session: Session, conversation: Conversation, files: tuple[Attachment, ...]
    ) -> None:
        """Agents read which files the customer does not get, and why."""
        can, language = self.capabilities[conversation.reply_channel], language_of(conversation)
        if told := excuses(files, can, self.phrases, language):
            self.append(session, conversation, Draft(text="\n".join(told), note=True))

    # Owner

    def hand_over(
        self, session: Session, conversation: Conversation, why: HandOver, actor: Actor
    ) -> None:
        """Call a person. However often it is asked for: one case, one notice. While an agent has
        the conversation nothing changes, they see the line anyway."""
        if conversation.state == State.AGENT:
            return
        place = self.inbox.open(session, conversation, why)
        if conversation.state == State.WAITING:
            return
        failed = any(signal.name == "failed" for signal in why.signals)
        key = "notice.handed_over_failed" if failed else "notice.handed_over"
        known = {one.channel for one in accounts_of(session, conversation.contact_id)}
        shared = bool(conversation.thread_key)  # a link is for one person's eyes
        buttons: tuple[Action, ...] = ("bot", *(() if shared else self.entrances.buttons(known)))
        self.move(session, conversation, Move.ASK, actor, say=(key, {"place": place}),
                  detail=as_words(why), buttons=buttons)  # fmt: skip

    def claim(self, session: Session, conversation: Conversation, agent: Actor) -> None:
        """`agent` becomes the owner: by claiming, by taking over, or by writing to the customer."""
        if (conversation.state, conversation.owner) == (State.AGENT, agent.id):
            return
        self.move(session, conversation, Move.CLAIM, agent,
                  say=("notice.claimed", {"agent": agent.name}))  # fmt: skip

    def release(
        self, session: Session, conversation: Conversation, agent: Actor, place: int
    ) -> None:
        """The agent puts it back into the queue, at `place`."""
        self.move(session, conversation, Move.RELEASE, agent,
                  say=("notice.released", {"agent": agent.name, "place": place}))  # fmt: skip

    def hand_back(
        self, session: Session, conversation: Conversation, actor: Actor, agreed: str = ""
    ) -> None:
        """The bot owns it again, and answers what nobody has answered yet."""
        key = "notice.handed_back_agreed" if agreed else "notice.handed_back"
        if actor.kind == "customer":
            key = "notice.back_by_customer"
        self.move(session, conversation, Move.HAND_BACK, actor,
                  say=(key, {"agent": actor.name, "agreed": agreed}),
                  buttons=("human",))  # fmt: skip
        if unanswered(session, conversation):
            self.schedule_turn(session, conversation)

    def resolve(self, session: Session, conversation: Conversation, agent: Actor) -> None:
        """Close it. The customer may write again at any time."""
        self.move(session, conversation, Move.RESOLVE, agent,
                  say=("notice.resolved", {"agent": agent.name}))  # fmt: skip

    def move(
        self, session: Session, conversation: Conversation, move: Move, actor: Actor, *,
        say: tuple[str, Mapping[str, Any]] | None = None, detail: Mapping[str, str] | None = None,
        buttons: tuple[Action, ...] = (),
    ) -> None:  # fmt: skip
        """Do one move of the state table, with all that belongs to it (T5). Raises IllegalMove.

        `say` is the notice's phrase and its slots: told by the system, never by a model.
        """
        before = (State(conversation.state), conversation.owner)
        state = states.after(before[0], move)
        now = (state, actor.id if state is State.AGENT and move is Move.CLAIM else None)
        if state is State.AGENT and move is not Move.CLAIM:
            now = before
        if not states.changes_owner(before, now):
            return
        self._set_owner(session, conversation, *now)
        self._silence_bot(session, conversation)
        if say is not None:
            self._notice(session, conversation, move, say, buttons)
        self.inbox.moved(session, conversation)
        audit.note_down(
            session, at=self.clock(), actor=actor.in_audit, action=move.value,
            subject=f"conversation:{conversation.id}", epoch=conversation.epoch,
            **{"from": before[0].value, "to": state.value}, why=dict(detail or {}),
        )  # fmt: skip
        touch_conversation(session, conversation)

    def _set_owner(
        self, session: Session, conversation: Conversation, state: State, owner: str | None
    ) -> None:
        conversation.state, conversation.owner = state.value, owner
        conversation.epoch += 1
        conversation.closed_at = self.clock() if state is State.CLOSED else None
        conversation.updated_at = self.clock()
        session.add(conversation)
        session.flush()

    def _silence_bot(self, session: Session, conversation: Conversation) -> None:
        session.connection().execute(
            update(Turn)
            .where(
                col(Turn.conversation_id) == conversation.id,
                col(Turn.state).in_(("scheduled", "running")),
            )
            .values(state="cancelled")
        )
        session.connection().execute(
            update(Delivery)
            .where(
                col(Delivery.conversation_id) == conversation.id,
                col(Delivery.epoch) < conversation.epoch,
                # A text already on the wire ("sending") shows before the person's: see P17.
                col(Delivery.state).in_(("pending", "leased")),
            )
            .values(state="cancelled", reason="somebody else has the conversation")
        )

    def _notice(
        self, session: Session, conversation: Conversation, move: Move,
        say: tuple[str, Mapping[str, Any]], buttons: tuple[Action, ...],
    ) -> None:  # fmt: skip
        language = language_of(conversation)
        labels = tuple(self.phrases.button(action, language) for action in buttons)
        text = self.phrases.say(say[0], language, **say[1])
        self.say(session, conversation, Draft(text=text, mark=_MARKS[move], buttons=labels))

    # The bot's turn

    def schedule_turn(self, session: Session, conversation: Conversation) -> None:
        """Let the bot answer. An open turn takes the newer messages along by itself."""
        insert_once(session, Turn, {
            "id": new_id(), "conversation_id": conversation.id, "epoch": conversation.epoch,
            "upto_seq": 0, "state": "scheduled", "restarts": 0, "attempts": 0,
            "due": self.clock(), "created_at": self.clock(),
        })  # fmt: skip
        touch(session, "turns")


def expect(
    conversation: Conversation, *, epoch: int | None = None, seen_seq: int | None = None
) -> None:
    """Refuse work that was begun on an older view. Raises StaleEpoch or StaleView."""
    if epoch is not None and epoch != conversation.epoch:
        raise StaleEpoch(f"epoch {epoch} has passed, it is {conversation.epoch}")
    if seen_seq is not None and seen_seq < conversation.customer_seq:
        raise StaleView(conversation.next_seq - 1)


def language_of(conversation: Conversation) -> Language:
    return "zh" if conversation.language == "zh" else "en"
