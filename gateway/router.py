"""What becomes of a message: who wrote it, which conversation, and who goes on with it.

`receive` is one transaction (T2); the bot's answer, if it is the bot's to give, is a turn of
`turns.py`.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import cache
from typing import cast

from sqlalchemy import bindparam, func
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from gateway import deliveries, places
from gateway.contacts import Person, contact_of, person_at
from gateway.conversations import CUSTOMER, Conversations, Draft, language_of
from gateway.crossing import Crossings
from gateway.deliveries import Written
from gateway.errors import GatewayError
from gateway.files import FILES_PER_MESSAGE_MAX
from gateway.handoff import (
    HandOffRules,
    Told,
    Words,
    before_answer,
)
from gateway.history import newest
from gateway.messages import (
    Action,
    Address,
    Attachment,
    ChatMoved,
    Inbound,
    InboundMessage,
    Reachability,
)
from gateway.models import Conversation, Delivery, Message, Revision
from gateway.states import State
from gateway.store import insert, insert_once, touch_conversation
from gateway.turns import Begin, Snapshot
from rag.language import detect
from rag.types import Language
from storage.ids import new_id
from storage.prepared import Prepared

EARLIER_MAX = 50  # lines looked back for words that were used before
_LONE_NUMBER = re.compile(r"\s*([1-9])\s*[.)。）]?\s*")


@dataclass(frozen=True, slots=True)
class Received:
    """Where an inbound message ended up. `repeated`: it had been there before. `begun`: the bot's
    turn that was started with it."""

    id: str
    seq: int
    repeated: bool = False
    begun: Snapshot | None = None


class OriginalMissing(GatewayError):
    """An edit or a deletion came before its original: the event is tried again a little later."""


class Router:
    """Takes messages in. One transaction each."""

    def __init__(
        self,
        conversations: Conversations,
        crossings: Crossings,
        *,
        words: Sequence[Words],
        rules: HandOffRules,
    ) -> None:
        self._conversations = conversations
        self._crossings = crossings
        self._words = words
        self._rules = rules
        self._clock = conversations.clock
        self._phrases = conversations.phrases

    # Taking in (T2)

    def read(self, session: Session, inbound: Inbound) -> bool:
        """Act on whatever an event says; whether it was meant for us."""
        match inbound:
            case ChatMoved():
                places.move_chat(session, inbound.address, inbound.to_chat)
            case Reachability():
                self._reached(session, inbound)
            case InboundMessage():
                if not inbound.addressed and not self._talks_here(session, inbound):
                    return False
                self.receive(session, inbound)
        return True

    def receive(
        self, session: Session, inbound: InboundMessage, *, begin: Begin | None = None
    ) -> Received:
        """Store a customer's message and decide who goes on. Repeats change nothing.

        `begin` starts the bot's turn at once; without it the turn is scheduled.
        """
        if inbound.edits or inbound.deletes:  # may carry the very id of what it changes
            return self._change(session, inbound)
        if known := self.known(session, inbound) or self._joined(session, inbound):
            return known
        person = contact_of(session, inbound.address, inbound.sender, self._clock())
        if self._crossings.is_code(inbound.code):
            return self._arrive(session, inbound, person)
        arrival = self._crossings.by_email(session, person) if person.new_email else None
        person = arrival.person if arrival else person
        language = spoken_language(inbound, person.language)
        conversation = self._conversations.reach(session, person, inbound.address, language)
        if arrival and arrival.link:
            self._crossings.greet(session, conversation, arrival)
        if (language := spoken_language(inbound, conversation.language)) != conversation.language:
            conversation.language = language
        inbound = _chosen_by_number(session, conversation, inbound)
        text = inbound.text or self._label(session, conversation, inbound)
        message = self._conversations.append(session, conversation, Draft(
            text=text, author=CUSTOMER, action=inbound.action,
            attachments=inbound.attachments[:FILES_PER_MESSAGE_MAX],
            reply_to=self._answered(session, inbound), sent_at=inbound.sent_at,
            album=_album(inbound),
        ))  # fmt: skip
        self._arrived(session, message, conversation.id, inbound)
        if self._is_for_bot(session, conversation, text, inbound):
            begun = begin(session, conversation) if begin else None
            if begun is None:
                self._conversations.schedule_turn(session, conversation)
            return Received(message.id, message.seq, begun=begun)
        return Received(message.id, message.seq)

    def _arrive(self, session: Session, inbound: InboundMessage, person: Person) -> Received:
        """Somebody followed a link. That is no word of theirs: there is nothing to answer."""
        arrival = self._crossings.redeem(session, inbound.code, inbound.address.channel, person)
        language = inbound.sender.language or ("zh" if person.language == "zh" else "en")
        talk, greeting = self._crossings.arrive(session, arrival, inbound.address, language)
        self._arrived(session, greeting, talk.id, inbound)
        return Received(greeting.id, greeting.seq)

    def known(self, session: Session, inbound: InboundMessage) -> Received | None:
        """What an earlier copy of this message became."""
        there = _placed(session, inbound.address, inbound.external_id)
        return Received(there.id, there.seq, repeated=True) if there else None

    def _joined(self, session: Session, inbound: InboundMessage) -> Received | None:
        """Add a later part of an album to the message that its first part became."""
        if not inbound.album:
            return None
        message = session.exec(select(Message).where(Message.album == _album(inbound))).first()
        if message is None:
            return None
        conversation = session.get_one(Conversation, message.conversation_id)
        language = language_of(conversation)
        before = [Attachment(**one) for one in message.attachments]
        files = [*before, *inbound.attachments][:FILES_PER_MESSAGE_MAX]
        if inbound.text:
            message.text = inbound.text
        elif message.text == self._phrases.files(before, language):
            message.text = self._phrases.files(files, language)
        message.attachments = [asdict(one) for one in files]
        session.add(message)
        written = Written(message.id, message.seq)
        self._arrived(session, written, message.conversation_id, inbound)
        touch_conversation(session, conversation)
        return Received(message.id, message.seq)

    def _answered(self, session: Session, inbound: InboundMessage) -> str | None:
        """Which of our messages the customer replied to, if it is one."""
        if inbound.reply_to is None:
            return None
        there = _placed(session, inbound.address, inbound.reply_to)
        return there.id if there else None

    def _talks_here(self, session: Session, inbound: InboundMessage) -> bool:
        """Whether the sender has a talk with us in this very thread."""
        who = person_at(session, inbound.address, inbound.sender)
        key = deliveries.thread_key(inbound.address)
        return bool(key and who and newest(session, who, key))

    def _reached(self, session: Session, change: Reachability) -> None:
        """A customer left, or is back: agents read it, and nothing is sent into the void."""
        if change.reachable:
            return
        reason = "the customer does not take messages here any more"
        for conversation in places.shut_out(session, change.address, reason):
            language = language_of(conversation)
            text = self._phrases.say("place.shut_out", language, channel=change.address.channel)
            self._conversations.append(session, conversation, Draft(text=text, note=True))

    def _arrived(
        self, session: Session, message: Written, conversation_id: str, inbound: InboundMessage
    ) -> None:
        now = self._clock()
        address = inbound.address
        insert(session, Delivery, {
            "id": new_id(), "message_id": message.id, "conversation_id": conversation_id,
            "surface": address.channel, "account": address.account, "chat": address.chat,
            "thread": address.thread, "destination": deliveries.destination(address),
            "external_id": inbound.external_id, "ord": message.seq * deliveries.PARTS_MAX,
            "state": "delivered", "due": now, "created_at": now,
        })  # fmt: skip

    def _label(self, session: Session, conversation: Conversation, inbound: InboundMessage) -> str:
        """What a pressed button or an unreadable attachment says in the transcript."""
        language = language_of(conversation)
        if inbound.action is None:
            return self._phrases.files(inbound.attachments, language)
        offered = offered_labels(session, conversation)
        return offered.get(inbound.action) or self._phrases.button(inbound.action, language).label

    def _is_for_bot(
        self,
        session: Session,
        conversation: Conversation,
        text: str,
        inbound: InboundMessage,
    ) -> bool:
        """Let people have what is theirs; whether the bot is to answer."""
        if channel := self._crossings.wanted(inbound):
            self._crossings.show_way(session, conversation, channel)
            return False
        if self._crossings.confirm(session, inbound, conversation):
            return False
        if conversation.state == State.WAITING and inbound.action == "bot":
            self._conversations.hand_back(session, conversation, CUSTOMER)
        if conversation.state != State.BOT or inbound.action in ("bot", "helpful", "not_helpful"):
            return False
        told = self._told(session, conversation, text, inbound)
        if why := before_answer(told, self._words, self._rules):
            self._conversations.hand_over(session, conversation, why, CUSTOMER)
            return False
        return True

    def _told(
        self,
        session: Session,
        conversation: Conversation,
        text: str,
        inbound: InboundMessage,
    ) -> Told:
        now = self._clock()
        age = now - inbound.sent_at if inbound.sent_at else timedelta(0)
        return Told(
            text=text, action=inbound.action,
            unreadable=bool(inbound.attachments) and not inbound.text,
            asked_before=self._asks(text) and self._asked_before(session, conversation),
            bot_turns_last_minute=self._bot_lately(session, conversation),
            minutes_old=age.total_seconds() / 60,
        )  # fmt: skip

    def _bot_lately(self, session: Session, conversation: Conversation) -> int:
        """How often the bot spoke in the last minute; not counted while there are fewer lines
        than it takes to call a person."""
        if conversation.next_seq <= self._rules.bot_turns_per_minute_max:
            return 0
        since = self._clock() - timedelta(minutes=1)
        lately = {"conversation": conversation.id, "since": since}
        return _bot_lines_since().first(session, lately) or 0

    def _asks(self, text: str) -> bool:
        return any(words.asks.search(text) for words in self._words)

    def _asked_before(self, session: Session, conversation: Conversation) -> bool:
        """Whether an earlier line of the customer had words for a person, too."""
        earlier = session.exec(
            select(Message.text)
            .where(
                Message.conversation_id == conversation.id,
                Message.author == "customer",
                Message.seq < conversation.customer_seq,
            )
            .order_by(col(Message.seq).desc())
            .limit(EARLIER_MAX)
        )
        return any(map(self._asks, earlier))

    def _change(self, session: Session, inbound: InboundMessage) -> Received:
        """Apply an edit or a deletion. The old text is kept for agents."""
        there = _placed(session, inbound.address, inbound.edits or inbound.deletes or "")
        if there is None:
            raise OriginalMissing("the message it changes is not here yet")
        message = session.get_one(Message, there.id)
        conversation = session.get_one(Conversation, message.conversation_id)
        now = self._clock()
        if inbound.deletes:
            message.withdrawn_at = message.withdrawn_at or now
        elif message.text != inbound.text:
            key = hashlib.sha256(message.text.encode()).hexdigest()
            insert_once(session, Revision, {
                "id": new_id(), "message_id": message.id, "key": key, "text": message.text,
                "created_at": now,
            })  # fmt: skip
            message.text, message.edited_at = inbound.text, now
        session.add(message)
        touch_conversation(session, conversation)
        return Received(message.id, message.seq)


def as_original(inbound: Inbound) -> InboundMessage | None:
    """The message that an edit would have changed, had it come; None for one taken back."""
    if not isinstance(inbound, InboundMessage) or not inbound.edits:
        return None
    return replace(inbound, external_id=inbound.edits, edits=None)


def _placed(session: Session, address: Address, external_id: str) -> Written | None:
    """The message that an outside id names."""
    return _by_place().first(session, {
        "channel": address.channel, "account": address.account, "chat": address.chat,
        "external_id": external_id,
    })  # fmt: skip


@cache
def _by_place() -> Prepared[Written]:
    statement = (
        select_columns(col(Message.id), col(Message.seq))
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(
            col(Delivery.surface) == bindparam("channel"),
            col(Delivery.account) == bindparam("account"),
            col(Delivery.chat) == bindparam("chat"),
            col(Delivery.external_id) == bindparam("external_id"),
        )
    )
    return Prepared(statement, Written)


@cache
def _bot_lines_since() -> Prepared[int]:
    statement = (
        select_columns(func.count())
        .select_from(Message)
        .where(
            col(Message.conversation_id) == bindparam("conversation"),
            col(Message.author) == "bot",
            col(Message.created_at) > bindparam("since"),
        )
    )
    return Prepared(statement, int)


def _album(inbound: InboundMessage) -> str | None:
    return (
        f"{deliveries.destination(inbound.address)}\x1f{inbound.album}" if inbound.album else None
    )


def spoken_language(inbound: InboundMessage, before: str | None) -> Language:
    """The language to answer in: that of the words if they say it clearly, else as before."""
    known: Language = "zh" if before == "zh" else "en"
    if inbound.action is not None or not inbound.text:
        return inbound.sender.language or known if before is None else known
    told = detect(inbound.text)
    few_latin_words = told == "en" and len(inbound.text.split()) < 3  # "ok", "iPhone 15"
    return known if before is not None and few_latin_words else told


def _chosen_by_number(
    session: Session, conversation: Conversation, inbound: InboundMessage
) -> InboundMessage:
    """A lone number, where buttons were shown as numbered lines, is a press of that button."""
    number = _LONE_NUMBER.fullmatch(inbound.text)
    if inbound.action is not None or number is None:
        return inbound
    buttons = _newest_buttons(session, conversation, ("bot", "system"))
    at = int(number.group(1)) - 1
    if at >= len(buttons):
        return inbound
    return replace(inbound, action=cast("Action", buttons[at]["action"]), text="")


def offered_labels(session: Session, conversation: Conversation) -> Mapping[str, str]:
    """The labels of the buttons under the bot's newest line: what a pressed choice means."""
    buttons = _newest_buttons(session, conversation, ("bot",))
    return {button["action"]: button["label"] for button in buttons}


def _newest_buttons(
    session: Session, conversation: Conversation, authors: tuple[str, ...]
) -> Sequence[dict[str, str]]:
    buttons: Sequence[dict[str, str]] | None = session.exec(
        select(col(Message.buttons))
        .where(Message.conversation_id == conversation.id, col(Message.author).in_(authors))
        .order_by(col(Message.seq).desc())
        .limit(1)
    ).first()
    return buttons or ()
