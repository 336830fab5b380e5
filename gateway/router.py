"""What becomes of a message: who wrote it, which conversation, and who goes on with it.

`receive` is one transaction (T2); the bot's answer, if it is the bot's to give, is a turn of
`turns.py`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from sqlalchemy import Select, bindparam, func
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from gateway import conversations as talk
from gateway.contacts import contact_of
from gateway.conversations import CUSTOMER, Conversations, Draft, Written
from gateway.errors import GatewayError
from gateway.handoff import (
    HandOffRules,
    Told,
    Words,
    before_answer,
)
from gateway.messages import Address, InboundMessage
from gateway.models import Conversation, Delivery, Message, Revision
from gateway.states import State
from gateway.store import insert, insert_once, touch_conversation
from rag.language import detect
from rag.types import Language
from storage.ids import new_id

EARLIER_MAX = 50  # lines looked back for words that were used before


@dataclass(frozen=True, slots=True)
class Received:
    """Where an inbound message ended up. `repeated`: it had been there before."""

    id: str
    seq: int
    repeated: bool = False


class OriginalMissing(GatewayError):
    """An edit or a deletion came before its original: the event is tried again a little later."""


class Router:
    """Takes messages in. One transaction each."""

    def __init__(
        self,
        conversations: Conversations,
        *,
        words: Sequence[Words],
        rules: HandOffRules,
    ) -> None:
        self._conversations = conversations
        self._words = words
        self._rules = rules
        self._clock = conversations.clock
        self._phrases = conversations.phrases

    # Taking in (T2)

    def receive(self, session: Session, inbound: InboundMessage) -> Received:
        """Store a customer's message and decide who goes on. Repeats change nothing."""
        if inbound.edits or inbound.deletes:  # may carry the very id of what it changes
            return self._change(session, inbound)
        if known := self.known(session, inbound):
            return known
        person = contact_of(session, inbound.address, inbound.sender, self._clock())
        language = spoken_language(inbound, person.language)
        conversation = self._conversations.reach(session, person.id, inbound.address, language)
        if (language := spoken_language(inbound, conversation.language)) != conversation.language:
            conversation.language = language
        text = inbound.text or self._label(session, conversation, inbound)
        message = self._conversations.append(session, conversation, Draft(
            text=text, author=CUSTOMER, action=inbound.action, attachments=inbound.attachments,
            reply_to=inbound.reply_to, sent_at=inbound.sent_at,
        ))  # fmt: skip
        self._arrived(session, conversation, message, inbound)
        self._route(session, conversation, text, inbound)
        return Received(message.id, message.seq)

    def known(self, session: Session, inbound: InboundMessage) -> Received | None:
        """What an earlier copy of this message became."""
        there = _placed(session, inbound.address, inbound.external_id)
        return Received(there.id, there.seq, repeated=True) if there else None

    def _arrived(
        self,
        session: Session,
        conversation: Conversation,
        message: Written,
        inbound: InboundMessage,
    ) -> None:
        now = self._clock()
        address = inbound.address
        insert(session, Delivery, {
            "id": new_id(), "message_id": message.id, "conversation_id": conversation.id,
            "surface": address.channel, "account": address.account, "chat": address.chat,
            "thread": address.thread, "destination": talk.destination(address),
            "external_id": inbound.external_id, "ord": message.seq * talk.PARTS_MAX,
            "state": "delivered", "due": now, "created_at": now,
        })  # fmt: skip

    def _label(self, session: Session, conversation: Conversation, inbound: InboundMessage) -> str:
        """What a pressed button or an unreadable attachment says in the transcript."""
        language = talk.language_of(conversation)
        if inbound.action is None:
            kinds = " ".join(attachment.kind for attachment in inbound.attachments)
            return self._phrases.say("place.unreadable", language, kind=kinds or "?")
        offered = offered_labels(session, conversation)
        return offered.get(inbound.action) or self._phrases.button(inbound.action, language).label

    def _route(
        self,
        session: Session,
        conversation: Conversation,
        text: str,
        inbound: InboundMessage,
    ) -> None:
        if conversation.state == State.WAITING and inbound.action == "bot":
            self._conversations.hand_back(session, conversation, CUSTOMER)
        if conversation.state != State.BOT or inbound.action in ("bot", "helpful", "not_helpful"):
            return
        told = self._told(session, conversation, text, inbound)
        if why := before_answer(told, self._words, self._rules):
            self._conversations.hand_over(session, conversation, why, CUSTOMER)
        else:
            self._conversations.schedule_turn(session, conversation)

    def _told(
        self,
        session: Session,
        conversation: Conversation,
        text: str,
        inbound: InboundMessage,
    ) -> Told:
        now = self._clock()
        age = now - inbound.sent_at if inbound.sent_at else timedelta(0)
        lately = {"conversation": conversation.id, "since": now - timedelta(minutes=1)}
        recent = session.connection().execute(_bot_lines_since(), lately).scalar_one()
        return Told(
            text=text, action=inbound.action,
            unreadable=bool(inbound.attachments) and not inbound.text,
            asked_before=self._asks(text) and self._asked_before(session, conversation),
            bot_turns_last_minute=recent, minutes_old=age.total_seconds() / 60,
        )  # fmt: skip

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


def _placed(session: Session, address: Address, external_id: str) -> Written | None:
    """The message that an outside id names."""
    row = session.connection().execute(_by_place(), {
        "channel": address.channel, "account": address.account, "chat": address.chat,
        "external_id": external_id,
    }).first()  # fmt: skip
    return Written(row.id, row.seq) if row else None


@cache
def _by_place() -> Select[str, int]:
    return (
        select_columns(col(Message.id), col(Message.seq))
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(
            col(Delivery.surface) == bindparam("channel"),
            col(Delivery.account) == bindparam("account"),
            col(Delivery.chat) == bindparam("chat"),
            col(Delivery.external_id) == bindparam("external_id"),
        )
    )


@cache
def _bot_lines_since() -> SelectOfScalar[int]:
    return (
        select(func.count())
        .select_from(Message)
        .where(
            Message.conversation_id == bindparam("conversation"),
            Message.author == "bot",
            Message.created_at > bindparam("since"),
        )
    )


def spoken_language(inbound: InboundMessage, before: str | None) -> Language:
    """The language to answer in: that of the words if they say it clearly, else as before."""
    known: Language = "zh" if before == "zh" else "en"
    if inbound.action is not None or not inbound.text:
        return inbound.sender.language or known if before is None else known
    told = detect(inbound.text)
    few_latin_words = told == "en" and len(inbound.text.split()) < 3  # "ok", "iPhone 15"
    return known if before is not None and few_latin_words else told


def offered_labels(session: Session, conversation: Conversation) -> Mapping[str, str]:
    """The labels of the buttons under the bot's newest line: what a pressed choice means."""
    buttons: Sequence[dict[str, str]] | None = session.exec(
        select(col(Message.buttons))
        .where(Message.conversation_id == conversation.id, Message.author == "bot")
        .order_by(col(Message.seq).desc())
        .limit(1)
    ).first()
    return {button["action"]: button["label"] for button in buttons or ()}
