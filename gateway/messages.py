"""The values that travel between channels, gateway and agent inbox. Frozen, importing only rag's.

Ids from outside are opaque strings: only the adapter that made one may parse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from rag.types import Citation, Language

Author = Literal["customer", "bot", "agent", "system"]

Action = Literal[
    "human", "bot", "yes", "no", "helpful", "not_helpful", "choose-1", "choose-2", "choose-3",
    "rate-1", "rate-2", "rate-3", "rate-4", "rate-5",
    "continue_on-web", "continue_on-telegram", "continue_on-slack",
]  # fmt: skip
ACTIONS: frozenset[str] = frozenset(get_args(Action))

AttachmentKind = Literal["file", "image", "voice", "sticker", "location", "contact", "unsupported"]

# What a system message marks in the transcript: the borders between bot and people, and where two
# persons' talks became one or one became two.
Mark = Literal[
    "handed_over", "claimed", "released", "handed_back", "resolved", "reopened", "joined", "parted"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A place a message comes from or goes to. `thread` is "" where a place has no threads."""

    channel: str
    account: str
    chat: str
    thread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """An account on a channel, not yet a person. `verified` says the channel vouches for the id.

    `email` is one that the channel has verified, else empty: it may join two accounts.
    """

    external_id: str
    name: str = ""
    language: Language | None = None
    verified: bool = False
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came along, or the typed stand-in of one that cannot be read."""

    kind: AttachmentKind
    name: str = ""
    media_type: str = ""
    size_bytes: int = 0
    reference: str = ""  # how the adapter fetches it; opaque


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLabel:
    """An attachment as its readers see it: all but how it is fetched. `n` is its place, from 0.

    `held` says who has the bytes: we do, its provider does, or nobody.
    """

    n: int
    kind: AttachmentKind
    name: str
    media_type: str
    size_bytes: int
    held: Literal["here", "there", "nowhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """What an adapter read from one event. `action` is the button pressed; `reply_to`, `edits` and
    `deletes` name the external id of an earlier message: answered, changed or taken back.

    `album` is what the parts of one message that came as several events have in common. `code` is
    the one-time code of a link that was followed. `addressed` is False for words in a shared place
    that do not name us: they count only where the sender already talks with us.
    """

    address: Address
    external_id: str
    sender: Sender
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    action: Action | None = None
    reply_to: str | None = None
    edits: str | None = None
    deletes: str | None = None
    album: str = ""
    code: str = ""
    addressed: bool = True
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMoved:
    """A place has another id now; everything that was said there belongs to the new one."""

    address: Address
    to_chat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachability:
    """A customer shut us out of a place, or let us in again."""

    address: Address
    reachable: bool


Inbound = InboundMessage | ChatMoved | Reachability
"""What an event can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEvent:
    """An event as it came, before anybody read it. `external_id` is the provider's event id."""

    channel: str
    account: str
    external_id: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Button:
    """A choice shown under a message. `label` is in the reader's language."""

    label: str
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """What is to be shown. `render.fit` degrades it to what the channel can.

    `delivery_id` is set by the outbox: a far end that keeps it can be asked what arrived.
    """

    text: str
    language: Language = "en"
    buttons: tuple[Button, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    citations: tuple[Citation, ...] = ()
    reply_to: str | None = None
    delivery_id: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of delivery: the far end's ids, several when a long text was split."""

    external_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `per_s` sends a second within `scope`. A shared chat is one whose addresses have
    threads: several people read it, and networks are stricter there."""

    scope: Literal["account", "chat", "shared_chat"]
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can do, as data: nobody compares a channel's name.

    `pulled` means that the customer's side reads our own store by `seq`: the commit of a message
    is its delivery. `sources`: the channel shows citations itself, else they become lines of the
    text. `unit` is what the channel counts text in. `placeholders`: the bot's text goes
    out as a short line that is then edited, because an edit can safely be repeated where a
    send that nobody confirmed cannot.
    """

    text_units_max: int
    unit: Literal["characters", "utf16"] = "characters"
    buttons_max: int = 0
    markup: Literal["plain", "markdown", "entities", "mrkdwn"] = "plain"
    attachment_bytes_max: int = 0
    edits: bool = False
    deletes: bool = False
    typing: bool = False
    streaming: bool = False
    previews: bool = False
    pulled: bool = False
    sources: bool = False
    placeholders: bool = False
    reply_window_s: int | None = None
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A message as its customer may see it: no notes, no scores, no agent's address."""

    seq: int
    id: str
    author: Author
    text: str
    created_at: datetime
    agent: str | None = None  # the name shown to customers
    buttons: tuple[Button, ...] = ()
    citations: tuple[Citation, ...] = ()
    action: Action | None = None
    attachments: tuple[FileLabel, ...] = ()
    edited_at: datetime | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A message as agents see it: notes, marks and the decision behind a bot's answer included.

    `delivery` is the worst that became of its parts, `reason` why; None where nothing is delivered.
    """

    seq: int
    id: str
    author: Author
    author_id: str | None
    author_name: str | None
    text: str
    note: bool
    mark: Mark | None
    action: Action | None
    channel: str
    buttons: tuple[Button, ...]
    citations: tuple[Citation, ...]
    attachments: tuple[FileLabel, ...]
    record_id: str | None
    created_at: datetime
    edited_at: datetime | None
    withdrawn: bool
    delivery: Literal["pending", "sending", "delivered", "failed", "unknown", "cancelled"] | None
    reason: str | None
