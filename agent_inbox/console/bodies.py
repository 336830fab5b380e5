"""What the console's API takes and gives. Bodies are strict: an unknown field is a mistake."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Request
from msgspec import Meta, Struct

from agent_inbox.console.problems import Problem
from agent_inbox.desk import Outcome
from agent_inbox.people import Account, Found
from agent_inbox.store import Row
from gateway.files import FILES_PER_MESSAGE_MAX
from gateway.messages import Line
from rag.types import Language, SourceSummary
from storage.text import clean_text

TEXT_CHARS_MAX = 20_000
BODY_BYTES_MAX = 1_000_000

Text = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]
Short = Annotated[str, Meta(max_length=200)]
Password = Annotated[str, Meta(max_length=1_000)]
Email = Annotated[str, Meta(max_length=254, pattern=r"^\s*[^@\s]+@[^@\s]+\s*$")]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
ClientId = Annotated[str, Meta(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Seq = Annotated[int, Meta(ge=0, le=2**53)]

T = TypeVar("T")


class Body(Struct, forbid_unknown_fields=True, kw_only=True):
    """A body we take in."""


class SignInBody(Body):
    email: Email
    password: Password


class WelcomeBody(Body):
    """Opening a one-time link. Name and e-mail are for the first admin only."""

    token: Annotated[str, Meta(max_length=100)]
    password: Password
    email: Email | None = None
    name: Name | None = None
    language: Language = "en"


class ProfileBody(Body):
    """What agents change about themselves."""

    name: Name | None = None
    language: Language | None = None


class PasswordBody(Body):
    old: Password
    new: Password


class ClaimBody(Body):
    epoch: Seq


class ReplyBody(Body):
    """`files` are ids of uploads; with one, the text may be empty."""

    text: Text
    epoch: Seq
    seen_seq: Seq
    client_id: ClientId
    files: Annotated[list[Short], Meta(max_length=FILES_PER_MESSAGE_MAX)] = []


class NoteBody(Body):
    text: Text
    client_id: ClientId


class HandBackBody(Body):
    epoch: Seq
    seen_seq: Seq
    agreed: Annotated[str, Meta(max_length=1_000)] = ""


class ResolveBody(Body):
    epoch: Seq
    seen_seq: Seq
    outcome: Outcome
    topic: Short = ""


class JoinBody(Body):
    """Making two people one: `person` is who was found."""

    epoch: Seq
    person: Id
    reason: Reason


class PartBody(Body):
    epoch: Seq
    link: Id
    reason: Reason


Audience = Annotated[str, Meta(max_length=32)]


class AddressBody(Body):
    """A web page or a sitemap."""

    url: Annotated[str, Meta(max_length=2_000)]


class PageBody(AddressBody):
    """A web page to be taken in. None: left as it is, or told from the text."""

    audience: Audience | None = None
    language: Language | None = None


class RollBackBody(Body):
    """None: the version before the live one."""

    revision_id: Annotated[str, Meta(max_length=64)] | None = None


class AudienceBody(Body):
    audience: Audience


class Pages(Struct, kw_only=True):
    """The pages that an address stands for."""

    urls: list[str]


class AgentBody(Body):
    email: Email
    name: Name
    role: Literal["agent", "admin"] = "agent"
    language: Language = "en"


class AgentChange(Body):
    """What admins change about others."""

    enabled: bool | None = None
    role: Literal["agent", "admin"] | None = None


class Me(Struct, kw_only=True):
    """Who is signed in. `first_run`: nobody can sign in yet, the link is in the server's output."""

    agent: "Mine | None"
    first_run: bool = False


class Mine(Struct, kw_only=True):
    id: str
    name: str
    email: str
    role: str
    language: str
    csrf: str


class Page(Struct, kw_only=True):
    """A page of a list; `next` continues it, None at its end."""

    items: list[Row] | list[SourceSummary]
    next: str | None
    waiting: int | None = None


class CaseCard(Struct, kw_only=True):
    """A case as its card shows it."""

    number: int
    state: str
    brief: dict[str, Any]
    reasons: list[dict[str, Any]]
    opened_at: datetime
    claimed_at: datetime | None
    first_reply_at: datetime | None
    closed_at: datetime | None
    outcome: str | None
    topic: str


class Earlier(Struct, kw_only=True):
    """An earlier case of the same person."""

    number: int
    conversation_id: str
    opened_at: datetime
    closed_at: datetime | None
    outcome: str | None
    topic: str


class Thread(Struct, kw_only=True):
    """A conversation on an agent's screen. `epoch` and `newest_seq` are the view to act with. With
    another `numbering` than before, every line may have another number."""

    id: str
    numbering: str
    state: str
    owner: str | None
    owner_name: str | None
    epoch: int
    newest_seq: int
    first_seq: int
    language: str
    channel: str
    customer: str
    case: CaseCard | None
    lines: list[Line]
    accounts: list[Account]
    earlier: list[Earlier]
    place: int | None = None


class PeoplePage(Struct, kw_only=True):
    """People that were found; `next` continues, None at the end."""

    items: list[Found]
    next: str | None


class TeamMember(Struct, kw_only=True):
    """An agent as admins see them."""

    id: str
    name: str
    email: str
    role: str
    enabled: bool
    invited: bool
    created_at: datetime


class Kept(Struct, kw_only=True):
    """An upload that a reply can name."""

    id: str
    name: str
    kind: str
    media_type: str
    size_bytes: int


class Browser(Struct, kw_only=True):
    """A sign-in in the list of one's own."""

    id: str
    browser: str
    created_at: datetime
    seen_at: datetime
    this: bool


async def read_body(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The request's JSON as `kind`. Raises Problem: 413, 415, 400, 422."""
    if request.content_type[0] != "application/json":
        raise Problem(415, "wrong-type", "send application/json")
    body = await request.body()
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "bad-request", "this is not JSON we can read") from None


def said(text: str) -> str:
    """Text to be stored: cleaned, and not empty."""
    text = clean_text(text).strip()
    if not text:
        raise Problem(422, "invalid", "the text is empty")
    return text
