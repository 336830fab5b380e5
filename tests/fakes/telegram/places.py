"""Chats and what stands in them, and how a person reads it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.telegram.checks import cut


@dataclass(frozen=True, slots=True)
class Shown:
    """One message on a screen. `rows` are the labels of its buttons, `marks` its formatted words
    by kind, `links` the words that lead somewhere with the address."""

    author: str
    text: str
    rows: tuple[tuple[str, ...], ...] = ()
    marks: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    preview: bool = False
    reply_to: int | None = None
    edited: bool = False
    topic: int = 0

    def __str__(self) -> str:
        rows = [" ".join(f"[{label}]" for label in row) for row in self.rows]
        return "\n".join([f"{self.author}: {self.text}", *self.files, *rows])


@dataclass(slots=True)
class Chat:
    """A private chat or a group, with all its messages as the API tells them."""

    id: int
    type: Literal["private", "group", "supergroup"]
    name: str
    forum: bool = False
    topics: set[int] = field(default_factory=set[int])
    blocked: bool = False
    moved_to: int | None = None
    messages: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    actions: list[str] = field(default_factory=list[str])
    newest: int = 0

    @property
    def is_group(self) -> bool:
        return self.type != "private"

    def told(self) -> dict[str, Any]:
        """The chat as the API tells it."""
        name = {"title": self.name} if self.is_group else {"first_name": self.name}
        return {"id": self.id, "type": self.type, **name} | (
            {"is_forum": True} if self.forum else {}
        )

    def add(self, message: dict[str, Any]) -> dict[str, Any]:
        """Put a message into it; with its number."""
        self.newest += 1
        whole = {"message_id": self.newest, "chat": self.told(), **message}
        self.messages[self.newest] = whole
        return whole

    def screen(self) -> list[Shown]:
        return [_shown(message) for message in self.messages.values()]


def _shown(message: dict[str, Any]) -> Shown:
    text = message.get("text") or message.get("caption") or ""
    entities = message.get("entities") or message.get("caption_entities") or []
    words = [(one, cut(text, one["offset"], one["length"])) for one in entities]
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    author = message["from"]
    return Shown(
        author="bot" if author.get("is_bot") else author["first_name"],
        text=text,
        rows=tuple(tuple(button["text"] for button in row) for row in rows),
        marks=tuple((one["type"], said) for one, said in words if "url" not in one),
        links=tuple((said, one["url"]) for one, said in words if "url" in one),
        files=tuple(_files(message)),
        preview="http" in text and not message.get("no_preview", False),
        reply_to=message.get("reply_to_message", {}).get("message_id"),
        edited="edit_date" in message,
        topic=message.get("message_thread_id", 0),
    )


def _files(message: dict[str, Any]) -> list[str]:
    found = ["picture"] if "photo" in message else []
    if document := message.get("document"):
        found.append(document["file_name"])
    return found + [one for one in ("voice", "sticker", "location") if one in message]
