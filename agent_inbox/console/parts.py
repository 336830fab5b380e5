"""What every handler of the console is given, and the tokens its lists are continued by."""

import asyncio
import base64
from dataclasses import dataclass
from datetime import UTC, datetime

from agent_inbox.auth import Passwords
from agent_inbox.console.guard import Guard
from agent_inbox.console.problems import Problem
from agent_inbox.desk import Desk
from agent_inbox.people import People
from agent_inbox.ports import KnowledgeBase, Librarian
from agent_inbox.store import Cursor
from gateway.attachments import Attachments
from gateway.ports import Clock
from gateway.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleParts:
    """The console's dependencies. `stopping` ends the live sockets when the server goes down."""

    store: Store
    desk: Desk
    people: People
    knowledge: KnowledgeBase
    librarian: Librarian
    attachments: Attachments
    clock: Clock
    passwords: Passwords
    stopping: asyncio.Event
    guard: Guard
    public_url: str = ""


def as_token(cursor: Cursor) -> str:
    """A page's end as an opaque token."""
    raw = f"{cursor.at.astimezone(UTC).isoformat()}|{cursor.id}"
    return base64.urlsafe_b64encode(raw.encode()).decode()


def as_cursor(token: str | None) -> Cursor | None:
    """What `as_token` wrote. Raises Problem when it was not us who wrote it."""
    if not token:
        return None
    try:
        at, _, last = base64.urlsafe_b64decode(token.encode()).decode().partition("|")
        cursor = Cursor(datetime.fromisoformat(at), last)
        cursor.at.astimezone(UTC)
    except ValueError:
        raise Problem(400, "bad-request", "after is not a cursor") from None
    if cursor.at.tzinfo is None or not last or len(last) > 64:
        raise Problem(400, "bad-request", "after is not a cursor")
    return cursor
