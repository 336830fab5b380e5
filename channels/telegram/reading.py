"""What a stored update says to us. Pure: bytes in, one of the core's values out, or None.

The vendor's package is the parser. What it cannot read it raises on, and the event is set aside.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from telegram import (
    CallbackQuery,
    Chat,
    ChatMemberUpdated,
    Message,
    MessageEntity,
    Update,
    User,
)

from channels.telegram.files import UNREAD, attachments_of, label
from channels.telegram.settings import NAME
from gateway.messages import (
    ACTIONS,
    Action,
    Address,
    ChatMoved,
    Inbound,
    InboundMessage,
    RawEvent,
    Reachability,
    Sender,
)
from gateway.phrases import Phrases
from rag.types import Language
from storage.text import repair_text

USERNAME = "bot"  # the header that says what the bot was called when the event came
NAME_CHARS_MAX = 64
_COMMAND = re.compile(r"/(\w{1,32})(?:@(\w{1,64}))?(?:\s+(.*))?", re.DOTALL)
_CORE = frozenset((
    "message_id", "from", "chat", "date", "edit_date", "text", "entities", "caption",
    "caption_entities", "media_group_id", "message_thread_id", "is_topic_message",
))  # fmt: skip
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ACTIONS: dict[str, Action] = {"human": "human", "bot": "bot"}
_INSIDE = ("member", "administrator", "creator", "restricted")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The words of a message, once commands and our own name are taken out."""

    text: str = ""
    action: Action | None = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads for one bot. `in_groups`: whether it answers in groups at all."""

    account: str
    bot_id: int
    in_groups: bool
    phrases: Phrases

    def read(self, event: RawEvent) -> Inbound | None:
        """The meaning of an update. Raises whatever the parser does on a shape it does not know."""
        update = _parsed(event.body)
        username = event.headers.get(USERNAME, "")
        if update.message:
            return self._new(update.message, username)
        if update.edited_message:
            return self._edited(update.edited_message, username)
        if update.callback_query:
            return self._pressed(update.callback_query)
        if update.my_chat_member:
            return self._let_in_or_out(update.my_chat_member)
        return None

    def declined(self, event: RawEvent) -> Address | None:
        """Where somebody spoke to us in a group although we do not answer in groups."""
        if self.in_groups:
            return None
        message = _parsed(event.body).message
        if message is None or not _is_shared(message.chat):
            return None
        user = message.from_user
        if user is None or user.is_bot:
            return None
        named = self._names_us(message, event.headers.get(USERNAME, ""))
        return self._address(message.chat, user, _topic(message)) if named else None

    # Kinds of updates

    def _new(self, message: Message, username: str) -> Inbound | None:
        if moved := self._moved(message):
            return moved
        user = message.from_user
        if user is None or user.is_bot or not self._is_for_us(message, username):
            return None
        said = self._said(message, user, username)
        attachments = attachments_of(message)
        if said is None or not (said.text or said.action or said.code or attachments):
            return None
        return InboundMessage(
            address=self._address(message.chat, user, _topic(message)),
            external_id=str(message.message_id),
            sender=_sender(user),
            text=said.text,
            attachments=attachments,
            action=said.action,
            reply_to=_answered(message),
            album=message.media_group_id or "",
            code=said.code,
            sent_at=message.date,
        )

    def _edited(self, message: Message, username: str) -> Inbound | None:
        """A change of words. One of anything else, as of a live location, says nothing new."""
        user = message.from_user
        if user is None or user.is_bot or not self._is_for_us(message, username):
            return None
        said = self._said(message, user, username)
        if said is None or not said.text:
            return None
        at = message.edit_date or message.date
        return InboundMessage(
            address=self._address(message.chat, user, _topic(message)),
            external_id=f"{message.message_id}/{at.timestamp():.0f}",
            edits=str(message.message_id),
            sender=_sender(user),
            text=said.text,
            sent_at=at,
        )

    def _pressed(self, query: CallbackQuery) -> InboundMessage | None:
        under, user = query.message, query.from_user
        if under is None or user.is_bot or query.data not in ACTIONS:
            return None
        shared = _is_shared(under.chat)
        if shared and not self.in_groups:
            return None
        return InboundMessage(
            address=self._address(under.chat, user, _topic(under)),
            external_id=f"press/{query.id}",
            sender=_sender(user),
            action=query.data,  # pyright: ignore[reportArgumentType] - one of ACTIONS
            reply_to=str(under.message_id),
            addressed=not shared,  # in a group anybody can press what was said to one
        )

    def _let_in_or_out(self, change: ChatMemberUpdated) -> Reachability:
        return Reachability(
            address=Address(channel=NAME, account=self.account, chat=str(change.chat.id)),
            reachable=change.new_chat_member.status in _INSIDE,
        )

    def _moved(self, message: Message) -> ChatMoved | None:
        """A group that became a supergroup: told in both, the old one and the new one."""
        old, new = message.chat.id, message.migrate_to_chat_id
        if message.migrate_from_chat_id:
            old, new = message.migrate_from_chat_id, message.chat.id
        if not new:
            return None
        address = Address(channel=NAME, account=self.account, chat=str(old))
        return ChatMoved(address=address, to_chat=str(new))

    # Groups

    def _is_for_us(self, message: Message, username: str) -> bool:
        if message.chat.type == Chat.PRIVATE:
            return True
        return _is_shared(message.chat) and self.in_groups and self._names_us(message, username)

    def _names_us(self, message: Message, username: str) -> bool:
        replied = message.reply_to_message
        if replied and replied.from_user and replied.from_user.id == self.bot_id:
            return True
        ours = f"@{username.lower()}"
        return any(
            (entity.type == MessageEntity.MENTION and words.lower() == ours)
            or (entity.type == MessageEntity.BOT_COMMAND and words.lower().endswith(ours))
            or (entity.user is not None and entity.user.id == self.bot_id)
            for entity, words in _entities(message).items()
        )

    def _address(self, chat: Chat, user: User, topic: int) -> Address:
        """In a shared place everybody has a talk of their own, in each topic."""
        thread = f"{topic}.{user.id}" if _is_shared(chat) else ""
        return Address(channel=NAME, account=self.account, chat=str(chat.id), thread=thread)

    # Words

    def _said(self, message: Message, user: User, username: str) -> _Said | None:
        """None for a command that is another bot's."""
        text = repair_text(message.text or message.caption or "")
        if command := _COMMAND.fullmatch(text):
            name, bot, rest = command[1].lower(), command[2], (command[3] or "").strip()
            if bot and bot.lower() != username.lower():
                return None
            if name in _ACTIONS and not rest:
                return _Said(action=_ACTIONS[name])
            if name == "start":
                hello = self.phrases.say("place.started", _language(user) or "en")
                code = rest if _CODE.fullmatch(rest) and not _is_shared(message.chat) else ""
                return _Said(text=hello, code=code)
        if username and _is_shared(message.chat):
            text = re.sub(rf"@{re.escape(username)}\b[,:，：]?", " ", text, flags=re.IGNORECASE)
        return _Said(text=text.strip())


def _parsed(body: bytes) -> Update:
    raw = cast("dict[str, Any]", json.loads(body))
    try:
        return Update.de_json(raw, None)
    except Exception:  # a content of a later version, or an odd one: the message counts without it
        return Update.de_json({name: _core(part) for name, part in raw.items()}, None)


def _core(part: object) -> object:
    """A message with what makes it one; all else under names that the parser only keeps."""
    if not isinstance(part, dict):
        return part
    message = cast("dict[str, Any]", part)
    return {name if name in _CORE else f"{UNREAD}{name}": value for name, value in message.items()}


def _entities(message: Message) -> dict[MessageEntity, str]:
    found: dict[MessageEntity, str] = {}
    if message.text:
        found |= message.parse_entities()
    if message.caption:
        found |= message.parse_caption_entities()
    return found


def _is_shared(chat: Chat) -> bool:
    return chat.type in (Chat.GROUP, Chat.SUPERGROUP)


def _topic(message: object) -> int:
    """The topic of a forum group; 0 elsewhere, also where a chain of replies has a number."""
    if isinstance(message, Message) and message.is_topic_message:
        return message.message_thread_id or 0
    return 0


def _answered(message: Message) -> str | None:
    replied = message.reply_to_message
    if replied is None or replied.forum_topic_created:  # every message of a topic "answers" that
        return None
    return str(replied.message_id)


def _sender(user: User) -> Sender:
    return Sender(
        external_id=str(user.id), name=label(user.full_name, NAME_CHARS_MAX),
        language=_language(user), verified=True,
    )  # fmt: skip


def _language(user: User) -> Language | None:
    """Ours from a language tag: what is not Chinese is answered in English."""
    if not user.language_code:
        return None
    return "zh" if user.language_code.lower().partition("-")[0] == "zh" else "en"
