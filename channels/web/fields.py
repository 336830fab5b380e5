"""The public forms of the web chat: what clients send, and exactly what they may see.

Inputs refuse unknown fields. Outputs are built field by field, so that nothing new in the gateway
(a note, a score, an agent's address) can ever slip out by itself.
"""

import json
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from channels.web.problems import ProblemBody
from gateway.files import FILES_PER_MESSAGE_MAX
from gateway.messages import Action, AttachmentKind, Author, FileLabel, Item
from storage.text import clean_text

TEXT_CHARS_MAX = 40_000

_ID = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"  # a bare $ would let a line end through
_TAG = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$(?!\n)"

ClientMessageId = Annotated[
    str,
    Meta(
        pattern=_ID,
        description="Made and kept by the client before it sends; the same id is the same message",
    ),
]
LanguageTag = Annotated[str, Meta(pattern=_TAG, examples=["en", "zh-CN"])]
FileId = Annotated[str, Meta(pattern=_ID)]
Place = Annotated[int, Meta(ge=0, le=2_147_483_647)]


class SessionAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """A visitor's first words. `identity`: signed by the host, where that is set up. `code`: of a
    one-time link from another channel."""

    language: LanguageTag | None = None
    identity: Annotated[str, Meta(min_length=1, max_length=4_096)] | None = None
    code: Annotated[str, Meta(pattern=_ID)] | None = None


class SessionMade(Struct, kw_only=True):
    """The visitor's token, shown once, and where to read from."""

    token: str
    after: int
    numbering: int


class MessagePosted(Struct, kw_only=True, forbid_unknown_fields=True):
    """A customer's words, or the button pressed: exactly one of `text` and `action`. `files` are
    ids of uploads; with them, the text may be left out."""

    client_message_id: ClientMessageId
    text: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)] | None = None
    action: Action | None = None
    reply_to: Annotated[str, Meta(pattern=_ID)] | None = None
    files: Annotated[list[FileId], Meta(max_length=FILES_PER_MESSAGE_MAX)] = []


class MessageTaken(Struct, kw_only=True):
    """Where the message is, for good."""

    id: str
    seq: int


class ShownButton(Struct, kw_only=True):
    label: str
    action: str


class ShownCitation(Struct, kw_only=True):
    """A source: `n` is the [n] in the text, `quote` stands there word for word."""

    n: int
    title: str
    source: str
    url: str | None
    quote: str


class ShownAttachment(Struct, kw_only=True):
    """A file of a message. `url`: where its bytes are, below this server; null if not here."""

    n: int
    kind: AttachmentKind
    name: str
    media_type: str
    size_bytes: int
    url: str | None


class FileKept(Struct, kw_only=True):
    """An upload: its `id` is what a message names."""

    id: str
    name: str
    media_type: str
    size_bytes: int


class ShownItem(Struct, kw_only=True):
    """A message as its customer may see it. Optional fields are left out when they say nothing."""

    seq: int
    id: str
    author: Author
    text: str
    buttons: list[ShownButton]
    citations: list[ShownCitation]
    created_at: datetime
    attachments: list[ShownAttachment] | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    edited_at: datetime | UnsetType = UNSET
    withdrawn: Literal[True] | UnsetType = UNSET


class ItemsRead(Struct, kw_only=True):
    """New items in `seq` order, then changed ones; `next` is the `after` to ask with next. With
    another `numbering` than the one asked with, the items are all there are, from the first on."""

    items: list[ShownItem]
    next: int
    numbering: int


# Frames of the socket


class Hello(Struct, kw_only=True, forbid_unknown_fields=True):
    """The client's first frame, within ten seconds. `numbering`: the one that `after` is of."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
    after: Place = 0
    numbering: Place | None = None


class CustomerTyping(Struct, tag="typing", forbid_unknown_fields=True):
    """The customer is typing. At most one a second is passed on."""


class Ping(Struct, tag="ping", forbid_unknown_fields=True):
    """Answered by a pong: how a browser finds out that its socket is dead."""


class ItemFrame(Struct, tag="item"):
    """A new item. Each comes once, in `seq` order."""

    item: ShownItem


class UpdateFrame(Struct, tag="update"):
    """An earlier item that was edited or withdrawn: put it in the place of the one with its seq."""

    item: ShownItem


class AnewFrame(Struct, tag="anew"):
    """The items have other numbers now, and there may be others: forget those you have. All follow
    from the first on. Send `numbering` along when you connect again."""

    numbering: int


class TypingFrame(Struct, tag="typing", kw_only=True):
    """Somebody is typing; it holds for a few seconds."""

    author: Literal["bot", "agent"]
    agent: str | UnsetType = UNSET


class StateFrame(Struct, tag="state", kw_only=True):
    """Who speaks now: `agent` is the name of the person, `place` the place in line, from 1."""

    state: Literal["bot", "waiting", "agent", "closed"]
    agent: str | UnsetType = UNSET
    place: int | UnsetType = UNSET


class PartialFrame(Struct, tag="partial", kw_only=True):
    """The bot's text so far, never stored: the item replaces it, an empty text takes it away."""

    text: str


class ErrorFrame(Struct, tag="error", kw_only=True):
    """Why the server is about to close the socket: the body of the same error over HTTP."""

    error: ProblemBody


class Pong(Struct, tag="pong"):
    """The answer to a ping."""


ClientFrame = CustomerTyping | Ping
Signal = TypingFrame | PartialFrame
ServerFrame = (
    ItemFrame
    | UpdateFrame
    | AnewFrame
    | TypingFrame
    | StateFrame
    | PartialFrame
    | ErrorFrame
    | Pong
)


def frame_schema() -> dict[str, object]:
    """JSON Schema of everything that travels over the socket, as docs/web-channel.md shows it."""
    names = ("first_frame", "client_frames", "server_frames")
    schemas, components = msgspec.json.schema_components(
        (Hello, ClientFrame, ServerFrame), ref_template="#/$defs/{name}"
    )
    return {**dict(zip(names, schemas, strict=True)), "$defs": components}


def shown(item: Item) -> ShownItem:
    return ShownItem(
        seq=item.seq, id=item.id, author=item.author, text=item.text,
        buttons=[ShownButton(label=b.label, action=b.action) for b in item.buttons],
        citations=[
            ShownCitation(n=c.n, title=c.title, source=c.source, url=c.url, quote=c.quote)
            for c in item.citations
        ],
        created_at=item.created_at,
        attachments=[_file(item.id, one) for one in item.attachments] or UNSET,
        agent=item.agent or UNSET,
        edited_at=item.edited_at or UNSET,
        withdrawn=True if item.withdrawn else UNSET,
    )  # fmt: skip


def _file(message_id: str, one: FileLabel) -> ShownAttachment:
    here = f"/chat/messages/{message_id}/attachments/{one.n}" if one.held == "here" else None
    return ShownAttachment(
        n=one.n, kind=one.kind, name=one.name, media_type=one.media_type,
        size_bytes=one.size_bytes, url=here,
    )  # fmt: skip


def cleaned(posted: MessagePosted) -> MessagePosted:
    """`posted` with its text in the form that is stored. Raises UnstorableText, or ValueError
    naming the field that is wrong."""
    if posted.files and posted.action is not None:
        raise ValueError("a pressed button carries no files")
    if posted.text is not None and posted.action is not None:
        raise ValueError("exactly one of text and action is needed")
    if posted.text is None and posted.action is None and not posted.files:
        raise ValueError("exactly one of text and action is needed")
    if posted.text is None:
        return posted
    text = clean_text(posted.text)
    if not text.strip():
        raise ValueError("text holds nothing to read")
    if len(text) > TEXT_CHARS_MAX:
        raise ValueError(f"text has more than {TEXT_CHARS_MAX} characters")
    return msgspec.structs.replace(posted, text=text)


def canonical(posted: MessagePosted) -> bytes:
    """The accepted fields as bytes that are equal exactly when the content is."""
    fields = {name: value for name, value in msgspec.structs.asdict(posted).items() if value}
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
