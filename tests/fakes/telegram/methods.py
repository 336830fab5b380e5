"""The methods of the Bot API that are imitated: parameters in, result or refusal out."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fakes.telegram.checks import (
    CAPTION_UNITS_MAX,
    check_entities,
    check_keyboard,
    check_text,
)
from tests.fakes.telegram.failures import Fail, bad
from tests.fakes.telegram.mail import PRESS_LIVES, Webhook
from tests.fakes.telegram.places import Chat

if TYPE_CHECKING:
    from tests.fakes.telegram.network import Telegram

DOWNLOAD_BYTES_MAX, UPLOAD_BYTES_MAX, PHOTO_BYTES_MAX = 20_000_000, 50_000_000, 10_000_000
_NESTED = (
    "entities", "caption_entities", "reply_markup", "reply_parameters", "link_preview_options",
    "allowed_updates", "commands", "media",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Upload:
    name: str
    content: bytes


class Fields:
    """The parameters of a call, of whatever type they came as."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    def text(self, name: str, default: str = "") -> str:
        return str(self.raw.get(name, default))

    def number(self, name: str, default: int | None = None) -> int | None:
        value = self.raw.get(name)
        try:
            return default if value is None else int(value)
        except (TypeError, ValueError):
            raise bad(f"{name} is not a number") from None

    def flag(self, name: str) -> bool:
        return self.text(name).lower() == "true"

    def nested(self, name: str) -> Any:
        value = self.raw.get(name)
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise bad(f"can't parse {name}") from None

    def upload(self, name: str) -> Upload | None:
        value = self.raw.get(name)
        if isinstance(value, str) and value.startswith("attach://"):
            value = self.raw.get(value.removeprefix("attach://"))
        return value if isinstance(value, Upload) else None

    def shown(self) -> dict[str, Any]:
        """For the log of calls: nested parts read, files by their size."""
        return {
            name: self.nested(name) if name in _NESTED
            else len(value.content) if isinstance(value, Upload) else value
            for name, value in self.raw.items()
        }  # fmt: skip


class Methods:
    """What a bot may call. Names are looked up in lower case."""

    def __init__(self, network: "Telegram") -> None:
        self._net = network

    def find(self, name: str) -> Callable[[Fields], Awaitable[Any]] | None:
        own = {key.lower(): key for key in dir(self) if not key.startswith("_") and key != "find"}
        return getattr(self, own[name.lower()]) if name.lower() in own else None

    # The bot itself, and its updates

    async def getMe(self, fields: Fields) -> Any:  # noqa: N802
        return self._net.bot | {"can_join_groups": True, "can_read_all_group_messages": False,
                                "supports_inline_queries": False}  # fmt: skip

    async def setMyCommands(self, fields: Fields) -> Any:  # noqa: N802
        commands = fields.nested("commands") or []
        if any(not 1 <= len(one["description"]) <= 256 for one in commands):
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        self._net.commands[fields.text("language_code")] = {
            one["command"]: one["description"] for one in commands
        }
        return True

    async def getUpdates(self, fields: Fields) -> Any:  # noqa: N802
        if (kinds := fields.nested("allowed_updates")) is not None:
            self._net.mail.kinds = kinds
        return await self._net.mail.fetch(
            fields.number("offset"), fields.number("limit", 100) or 100,
            float(fields.number("timeout", 0) or 0),
        )  # fmt: skip

    async def setWebhook(self, fields: Fields) -> Any:  # noqa: N802
        url, mail = fields.text("url"), self._net.mail
        if (kinds := fields.nested("allowed_updates")) is not None:
            mail.kinds = kinds
        if fields.flag("drop_pending_updates"):
            self._net.dropped_pending = True
        mail.webhook = Webhook(url, fields.text("secret_token")) if url else None
        mail.release()
        return True

    async def deleteWebhook(self, fields: Fields) -> Any:  # noqa: N802
        return await self.setWebhook(
            Fields({"drop_pending_updates": fields.text("drop_pending_updates")})
        )

    async def getWebhookInfo(self, fields: Fields) -> Any:  # noqa: N802
        hook = self._net.mail.webhook
        info: dict[str, Any] = {
            "url": hook.url if hook else "", "has_custom_certificate": False,
            "pending_update_count": self._net.mail.waiting(),
        }  # fmt: skip
        if hook and hook.error_at:
            info |= {
                "last_error_date": int(hook.error_at.timestamp()),
                "last_error_message": hook.error,
            }
        return info

    # Saying something

    async def sendMessage(self, fields: Fields) -> Any:  # noqa: N802
        text, entities = fields.text("text"), fields.nested("entities") or []
        check_text(text)
        check_entities(text, entities)
        chat = self._chat(fields)
        self._net.floods.pass_send(chat.id, is_group=chat.is_group)
        return self._post(chat, fields, {"text": text, "entities": entities})

    async def sendPhoto(self, fields: Fields) -> Any:  # noqa: N802
        return await self._send_file(fields, "photo")

    async def sendDocument(self, fields: Fields) -> Any:  # noqa: N802
        return await self._send_file(fields, "document")

    async def sendMediaGroup(self, fields: Fields) -> Any:  # noqa: N802
        media = fields.nested("media") or []
        if not 2 <= len(media) <= 10:
            raise bad("wrong number of media in an album")
        if len({one["type"] for one in media}) > 1:
            raise bad("document can't be mixed with other media types")
        chat = self._chat(fields)
        self._net.floods.pass_send(chat.id, is_group=chat.is_group, count=len(media))
        album = str(self._net.new_number())
        return [
            self._post(chat, fields, self._file_of(
                Fields(fields.raw | {one["type"]: one["media"]} | {
                    name: one.get(name) for name in ("caption", "caption_entities")
                    if one.get(name)
                }), one["type"],
            ) | {"media_group_id": album})
            for one in media
        ]  # fmt: skip

    async def _send_file(self, fields: Fields, kind: str) -> Any:
        chat, message = self._chat(fields), self._file_of(fields, kind)
        self._net.floods.pass_send(chat.id, is_group=chat.is_group)
        return self._post(chat, fields, message)

    def _file_of(self, fields: Fields, kind: str) -> dict[str, Any]:
        upload, caption = fields.upload(kind), fields.text("caption")
        if upload is None or not upload.content:
            raise bad("file must be non-empty")
        most = PHOTO_BYTES_MAX if kind == "photo" else UPLOAD_BYTES_MAX
        if len(upload.content) > most:
            raise Fail(413, "Request Entity Too Large")
        if kind == "photo" and not upload.content.startswith((b"\x89PNG", b"\xff\xd8")):
            raise bad("IMAGE_PROCESS_FAILED")
        entities = fields.nested("caption_entities") or []
        check_text(caption, units_max=CAPTION_UNITS_MAX)
        check_entities(caption, entities)
        kept = self._net.keep(upload.content)
        told = [kept | {"width": 9, "height": 9}] if kind == "photo" else kept | {
            "file_name": upload.name}  # fmt: skip
        return {kind: told} | (
            {"caption": caption, "caption_entities": entities} if caption else {}
        )

    async def sendChatAction(self, fields: Fields) -> Any:  # noqa: N802
        self._chat(fields).actions.append(fields.text("action"))
        return True

    # Changing what was said

    async def editMessageText(self, fields: Fields) -> Any:  # noqa: N802
        text, entities = fields.text("text"), fields.nested("entities") or []
        check_text(text)
        check_entities(text, entities)
        message = self._own(fields)
        if "text" not in message:
            raise bad("there is no text in the message to edit")
        return self._change(fields, message, {"text": text, "entities": entities})

    async def editMessageCaption(self, fields: Fields) -> Any:  # noqa: N802
        caption, entities = fields.text("caption"), fields.nested("caption_entities") or []
        check_text(caption, units_max=CAPTION_UNITS_MAX)
        check_entities(caption, entities)
        told = {"caption": caption, "caption_entities": entities}
        return self._change(fields, self._own(fields), told)

    async def deleteMessage(self, fields: Fields) -> Any:  # noqa: N802
        chat = self._chat(fields)
        if chat.messages.pop(fields.number("message_id") or 0, None) is None:
            raise bad("message to delete not found")
        return True

    # Customers' doings

    async def answerCallbackQuery(self, fields: Fields) -> Any:  # noqa: N802
        query = fields.text("callback_query_id")
        made = self._net.presses.get(query)
        if made is None or self._net.clock() - made > PRESS_LIVES:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        self._net.answered.append(query)
        return True

    async def getFile(self, fields: Fields) -> Any:  # noqa: N802
        file_id = fields.text("file_id")
        if file_id not in self._net.files:
            raise bad("wrong file_id or the file is temporarily unavailable")
        size = len(self._net.files[file_id])
        if size > DOWNLOAD_BYTES_MAX:
            raise bad("file is too big")
        return {"file_id": file_id, "file_unique_id": file_id[:8], "file_size": size,
                "file_path": f"files/{file_id}"}  # fmt: skip

    # Inside

    def _chat(self, fields: Fields) -> Chat:
        """The chat that is meant, if we may write there."""
        chat = self._net.chats.get(fields.number("chat_id") or 0)
        if chat is None:
            raise bad("chat not found")
        if chat.moved_to:
            raise bad("group chat was upgraded to a supergroup chat",
                      migrate_to_chat_id=chat.moved_to)  # fmt: skip
        if chat.blocked:
            who = "bot was kicked from the group chat" if chat.is_group else (
                "bot was blocked by the user")  # fmt: skip
            raise Fail(403, f"Forbidden: {who}")
        topic = fields.number("message_thread_id")
        if topic and topic not in chat.topics:
            raise bad("message thread not found")
        return chat

    def _own(self, fields: Fields) -> dict[str, Any]:
        chat = self._chat(fields)
        self._net.floods.pass_edit(chat.id)
        message = chat.messages.get(fields.number("message_id") or 0)
        if message is None:
            raise bad("message to edit not found")
        if message["from"]["id"] != self._net.bot["id"]:
            raise bad("message can't be edited")
        return message

    def _post(self, chat: Chat, fields: Fields, content: dict[str, Any]) -> dict[str, Any]:
        replied = fields.nested("reply_parameters")
        if replied and replied["message_id"] not in chat.messages:
            if not replied.get("allow_sending_without_reply"):
                raise bad("message to be replied not found")
            replied = None
        preview = (fields.nested("link_preview_options") or {}).get("is_disabled", False)
        message = {"from": self._net.bot, "date": self._net.now(), "no_preview": preview}
        message |= {name: value for name, value in content.items() if value} | _markup(fields)
        if replied:
            message["reply_to_message"] = chat.messages[replied["message_id"]]
        if topic := fields.number("message_thread_id"):
            message |= {"message_thread_id": topic, "is_topic_message": True}
        return _told(chat.add(message))

    def _change(
        self, fields: Fields, message: dict[str, Any], content: dict[str, Any]
    ) -> dict[str, Any]:
        new = {name: value for name, value in content.items() if value} | _markup(fields)
        parts = ("text", "entities", "caption", "caption_entities", "reply_markup")
        if {name: message.get(name) for name in parts if name in message} == new:
            raise bad(
                "message is not modified: specified new message content and reply markup "
                "are exactly the same as a current content and reply markup of the message"
            )
        for name in ("entities", "caption_entities", "reply_markup"):
            message.pop(name, None)
        message |= new | {"edit_date": self._net.now()}
        self._net.history.append((message["chat"]["id"], message["message_id"]))
        return _told(message)


def _markup(fields: Fields) -> dict[str, Any]:
    markup = fields.nested("reply_markup")
    if markup:
        check_keyboard(markup)
    return {"reply_markup": markup} if markup else {}


def _told(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what is ours alone, and without a chain of replies."""
    return {name: value for name, value in message.items()
            if name not in ("no_preview", "reply_to_message")}  # fmt: skip
