"""What happens to the places themselves: a chat gets another id, a customer shuts us out.

Every function runs inside a transaction that the caller opened.
"""

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select

from gateway.deliveries import destination, thread_key
from gateway.messages import Address
from gateway.models import Conversation, Delivery, Message
from gateway.states import State
from gateway.store import touch, touch_conversation

OPEN = ("pending", "leased")  # what is on the wire already ends by itself


def move_chat(session: Session, old: Address, to_chat: str) -> None:
    """Let everything that was said at `old` belong to the chat `to_chat`. Twice changes nothing."""
    for conversation in _conversations_at(session, old):
        here = Address(
            channel=old.channel, account=old.account, chat=to_chat,
            thread=conversation.reply_thread,
        )  # fmt: skip
        conversation.reply_chat = to_chat
        session.add(conversation)
        if conversation.thread_key:
            _rekey(session, conversation, thread_key(here))
        touch_conversation(session, conversation)
    for row in session.exec(select(Delivery).where(*_at(old), col(Delivery.state).in_(OPEN))):
        row.chat = to_chat
        row.destination = destination(
            Address(channel=row.surface, account=row.account, chat=to_chat, thread=row.thread)
        )
        session.add(row)
    touch(session, "deliveries")


def shut_out(session: Session, place: Address, reason: str) -> list[Conversation]:
    """Cancel what waits to be sent to `place`: the conversations that are open there."""
    session.connection().execute(
        update(Delivery)
        .where(*_at(place), col(Delivery.state).in_(OPEN))
        .values(state="cancelled", reason=reason)
    )
    touched = [one for one in _conversations_at(session, place) if one.state != State.CLOSED]
    for conversation in touched:
        touch_conversation(session, conversation)
    return touched


def _conversations_at(session: Session, place: Address) -> list[Conversation]:
    return list(
        session.exec(
            select(Conversation)
            .where(
                Conversation.reply_channel == place.channel,
                Conversation.reply_account == place.account,
                Conversation.reply_chat == place.chat,
            )
            .with_for_update()
        )
    )


def _rekey(session: Session, conversation: Conversation, key: str) -> None:
    conversation.thread_key = key
    session.connection().execute(
        update(Message)
        .where(col(Message.conversation_id) == conversation.id)
        .values(thread_key=key)
    )


def _at(place: Address) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Delivery.surface) == place.channel,
        col(Delivery.account) == place.account,
        col(Delivery.chat) == place.chat,
    )
