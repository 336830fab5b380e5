"""Somebody with Telegram on their phone."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.fakes.telegram.checks import units
from tests.fakes.telegram.places import Chat, Shown

if TYPE_CHECKING:
    from tests.fakes.telegram.network import Telegram

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
_WORDS = (
    ("bot_command", r"(?<!\S)/\w+(?:@\w+)?"),
    ("mention", r"@\w{5,}"),
    ("url", r"https?://\S+"),
)


class Customer:
    """Writes to the bot, in private or in a group (`to`). Every act gives the message's number."""

    def __init__(self, network: "Telegram", user_id: int, name: str, language: str) -> None:
        self._net = network
        self.id = user_id
        self.name = name
        self.language = language
        self.is_bot = False

    def user(self) -> dict[str, Any]:
        return {"id": self.id, "is_bot": self.is_bot, "first_name": self.name,
                "language_code": self.language}  # fmt: skip

    def signed(self) -> dict[str, Any]:
        return {"from": self.user(), "date": self._net.now()}

    def screen(self) -> list[Shown]:
        """What is on their screen in the chat with the bot."""
        return self._net.screen(self.id)

    def heard(self) -> list[str]:
        """What the bot's side said to them, oldest first."""
        return [one.text for one in self.screen() if one.author == "bot"]

    # Writing

    def write(self, text: str, *, to: int = 0, reply_to: int = 0, topic: int = 0) -> int:
        return self._say(to, {"text": text, "entities": _entities(text)}, reply_to, topic)

    def start(self, code: str = "") -> int:
        """Follow a link to the bot."""
        return self.write(f"/start {code}".strip())

    def edit(self, message_id: int, text: str, *, to: int = 0) -> None:
        message = self._chat(to).messages[message_id]
        message |= {"text": text, "entities": _entities(text), "edit_date": self._net.now()}
        self._net.mail.add("edited_message", dict(message))

    def move(self, message_id: int) -> None:
        """A live place goes a little further."""
        message = self._chat(0).messages[message_id]
        message |= {"location": {"latitude": 52.53, "longitude": 13.405, "live_period": 900},
                    "edit_date": self._net.now()}  # fmt: skip
        self._net.mail.add("edited_message", dict(message))

    def photo(self, caption: str = "", *, album: str = "", content: bytes = PNG) -> int:
        kept = self._net.keep(content)
        sizes = [kept | {"width": size, "height": size} for size in (90, 1280)]
        return self._say(0, {"photo": sizes, **_captioned(caption),
                             **({"media_group_id": album} if album else {})})  # fmt: skip

    def album(self, *captions: str) -> list[int]:
        number = str(self._net.new_number())
        return [self.photo(caption, album=number) for caption in captions]

    def document(
        self, name: str, content: bytes, *, media_type: str = "application/pdf", caption: str = ""
    ) -> int:
        kept = self._net.keep(content) | {"file_name": name, "mime_type": media_type}
        return self._say(0, {"document": kept, **_captioned(caption)})

    def voice(self) -> int:
        kept = self._net.keep(b"OggS") | {"duration": 3, "mime_type": "audio/ogg"}
        return self._say(0, {"voice": kept})

    def sticker(self, emoji: str = "👍") -> int:
        kept = self._net.keep(b"RIFF") | {
            "emoji": emoji, "width": 512, "height": 512, "is_animated": False, "is_video": False,
            "type": "regular",
        }  # fmt: skip
        return self._say(0, {"sticker": kept})

    def location(self) -> int:
        return self._say(0, {"location": {"latitude": 52.52, "longitude": 13.405}})

    def contact(self) -> int:
        return self._say(0, {"contact": {"phone_number": "+491701234567", "first_name": "Ben"}})

    def send(self, **content: Any) -> int:
        """Any other content of a message, e.g. `dice={…}`."""
        return self._say(0, content)

    # Pressing

    def press(self, label: str, *, to: int = 0) -> str:
        """Press a button by its label, on the newest message that has it; the query's id."""
        for message in reversed(self._chat(to).messages.values()):
            for row in message.get("reply_markup", {}).get("inline_keyboard", []):
                for button in row:
                    if button["text"] == label:
                        return self.press_data(button["callback_data"], message)
        raise AssertionError(f"there is no button {label!r} on the screen")

    def press_data(self, data: str, under: dict[str, Any] | None = None) -> str:
        query = str(self._net.new_number())
        self._net.presses[query] = self._net.clock()
        self._net.mail.add("callback_query", {
            "id": query, "from": self.user(), "chat_instance": "1", "data": data,
            **({"message": under} if under else {}),
        })  # fmt: skip
        return query

    # Coming and going

    def block(self) -> None:
        self._chat(0).blocked = True
        self._member("member", "kicked")

    def unblock(self) -> None:
        self._chat(0).blocked = False
        self._member("kicked", "member")

    def _member(self, old: str, new: str) -> None:
        until = {"kicked": {"until_date": 0}}
        self._net.mail.add("my_chat_member", self.signed() | {
            "chat": self._chat(0).told(),
            "old_chat_member": {"user": self._net.bot, "status": old, **until.get(old, {})},
            "new_chat_member": {"user": self._net.bot, "status": new, **until.get(new, {})},
        })  # fmt: skip

    def _say(self, to: int, content: dict[str, Any], reply_to: int = 0, topic: int = 0) -> int:
        chat = self._chat(to)
        message = self.signed() | {name: value for name, value in content.items() if value}
        if reply_to:
            message["reply_to_message"] = chat.messages[reply_to]
        if topic:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        whole = chat.add(message)
        self._net.mail.add("message", dict(whole))
        return whole["message_id"]

    def _chat(self, to: int) -> Chat:
        if not to and self.id not in self._net.chats:
            self._net.chats[self.id] = Chat(self.id, "private", self.name)
        return self._net.chats[to or self.id]


def _captioned(caption: str) -> dict[str, Any]:
    return {"caption": caption, "caption_entities": _entities(caption)} if caption else {}


def _entities(text: str) -> Sequence[dict[str, Any]]:
    """What Telegram finds by itself in a text."""
    return [
        {"type": kind, "offset": units(text[: found.start()]), "length": units(found.group())}
        for kind, pattern in _WORDS
        for found in re.finditer(pattern, text)
    ]
