"""The lists, a conversation on the screen, and what an agent does with it."""

from collections.abc import Awaitable
from typing import Any, Literal

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, SkipValidation
from sqlmodel import Session

from agent_inbox import store as inbox_sql
from agent_inbox.console.bodies import (
    CaseCard,
    ClaimBody,
    Earlier,
    HandBackBody,
    JoinBody,
    NoteBody,
    Page,
    PartBody,
    PeoplePage,
    ReplyBody,
    ResolveBody,
    Thread,
    read_body,
    said,
)
from agent_inbox.console.guard import Policy, SignedIn
from agent_inbox.console.parts import ConsoleParts, as_cursor, as_token
from agent_inbox.console.problems import Problem, problem_of
from agent_inbox.desk import Unknown, View
from agent_inbox.models import Case
from agent_inbox.people import FOUND_MAX, accounts, numbering
from agent_inbox.store import Cursor, Row
from gateway import history
from gateway.errors import StaleEpoch, StaleView
from gateway.messages import Line
from gateway.models import Contact, Conversation
from gateway.states import State
from storage.text import clean_text

Parts = NamedDependency[SkipValidation[ConsoleParts]]
Who = NamedDependency[SkipValidation[SignedIn]]
AnyRequest = Request[Any, Any, Any]

SEARCH_CHARS_MAX = 200
THREAD_LINES = 60  # newest lines that come with a conversation


@get("/cases", policy=Policy.AGENT)
async def cases(
    parts: Parts, who: Who,
    which: FromQuery[Literal["queue", "mine", "all"]] = "queue",
    after: FromQuery[str | None] = None, limit: FromQuery[int] = 30,
) -> Page:  # fmt: skip
    """A page of a list. `waiting` is the length of the queue: open rows only are counted."""
    cursor, limit = as_cursor(after), max(1, min(limit, inbox_sql.PAGE_MAX))
    if cursor is not None and which != "all" and not cursor.id.isdecimal():
        raise Problem(400, "bad-request", "after is a cursor of another list")

    def work(session: Session) -> tuple[list[Row], int]:
        rows = inbox_sql.list_rows(session, which, who.agent_id, after=cursor, limit=limit)
        return rows, inbox_sql.waiting_count(session)

    rows, waiting = await parts.store.read(work)
    more = as_token(_end_of(rows[-1], which)) if len(rows) == limit else None
    return Page(items=rows, next=more, waiting=waiting)


def _end_of(row: Row, which: str) -> Cursor:
    if which == "all":
        return Cursor(row.updated_at, row.conversation_id)
    return Cursor(row.since, str(row.case))


@get("/conversations/{conversation_id:str}", policy=Policy.AGENT)
async def conversation(conversation_id: FromPath[str], parts: Parts) -> Thread:
    """A conversation with its case, brief and newest lines."""
    return await parts.store.read(lambda session: load_thread(session, conversation_id))


@get("/conversations/{conversation_id:str}/lines", policy=Policy.AGENT)
async def lines(conversation_id: FromPath[str], parts: Parts, before: FromQuery[int]) -> list[Line]:
    """The page of lines that ends just before a `seq`: for scrolling back."""
    return await parts.store.read(
        lambda session: history.before(
            session, conversation_id, seq=min(before, 2**53), limit=THREAD_LINES
        )
    )


def load_thread(session: Session, conversation_id: str) -> Thread:
    """All that an agent's screen shows of a conversation, on one snapshot. Raises Unknown."""
    found = session.get(Conversation, conversation_id)
    if found is None:
        raise Unknown(conversation_id)
    if found.joined_into is not None:  # the person goes on there
        return load_thread(session, found.joined_into)
    case = inbox_sql.last_case(session, conversation_id)
    contact = session.get_one(Contact, found.contact_id)
    shown = history.before(session, found.id, seq=found.next_seq, limit=THREAD_LINES)
    shows_case = case is not None and found.state != State.BOT
    before = case.number if case and shows_case else None
    earlier = inbox_sql.earlier_cases(session, found.contact_id, before=before)
    return Thread(
        id=found.id, numbering=numbering(session, contact.id), state=found.state, owner=found.owner,
        owner_name=inbox_sql.names_of(session, [found.owner]).get(found.owner or ""),
        epoch=found.epoch, newest_seq=found.next_seq - 1,
        first_seq=shown[0].seq if shown else 0, language=found.language,
        channel=found.reply_channel, customer=contact.name,
        case=_card(case) if case and shows_case else None, lines=shown,
        accounts=accounts(session, contact.id),
        earlier=[_earlier(one) for one in earlier],
        place=inbox_sql.place_of(session, case) if case and case.state == "waiting" else None,
    )  # fmt: skip


def _card(case: Case) -> CaseCard:
    return CaseCard(
        number=case.number or 0, state=case.state, brief=case.brief, reasons=case.reasons,
        opened_at=case.opened_at, claimed_at=case.claimed_at, closed_at=case.closed_at,
        first_reply_at=case.first_reply_at, outcome=case.outcome, topic=case.topic,
    )  # fmt: skip


def _earlier(case: Case) -> Earlier:
    return Earlier(
        number=case.number or 0, conversation_id=case.conversation_id, opened_at=case.opened_at,
        closed_at=case.closed_at, outcome=case.outcome, topic=case.topic,
    )  # fmt: skip


# The verbs. Each answers with the conversation as it is now.


@post("/conversations/{conversation_id:str}/claim", policy=Policy.AGENT, status_code=200)
async def claim(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Take it."""
    body = await read_body(request, ClaimBody)
    view = View(conversation_id=conversation_id, epoch=body.epoch)
    return await _done(parts, view, parts.desk.claim(who.worker, view))


@post("/conversations/{conversation_id:str}/reply", policy=Policy.AGENT, status_code=200)
async def reply(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Write to the customer, and own the conversation."""
    body = await read_body(request, ReplyBody)
    view = View(conversation_id=conversation_id, epoch=body.epoch, seen_seq=body.seen_seq)
    text = clean_text(body.text).strip() if body.files else said(body.text)
    verb = parts.desk.reply(who.worker, view, text, client_id=body.client_id, files=body.files)
    return await _done(parts, view, verb)


@post(
    "/conversations/{conversation_id:str}/messages/{message_id:str}/resend",
    policy=Policy.AGENT, status_code=200,
)  # fmt: skip
async def resend(
    conversation_id: FromPath[str], message_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Send once more what failed, or may not have arrived. Pressed twice, it goes out once."""
    view = View(conversation_id=conversation_id)
    return await _done(parts, view, parts.desk.resend(who.worker, view, message_id))


@post("/conversations/{conversation_id:str}/note", policy=Policy.AGENT, status_code=200)
async def note(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Write for colleagues only."""
    body = await read_body(request, NoteBody)
    view = View(conversation_id=conversation_id)
    verb = parts.desk.note(who.worker, view, said(body.text), client_id=body.client_id)
    return await _done(parts, view, verb)


@post("/conversations/{conversation_id:str}/release", policy=Policy.AGENT, status_code=200)
async def release(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Put it back into the queue."""
    body = await read_body(request, ClaimBody)
    view = View(conversation_id=conversation_id, epoch=body.epoch)
    return await _done(parts, view, parts.desk.release(who.worker, view))


@post("/conversations/{conversation_id:str}/hand-back", policy=Policy.AGENT, status_code=200)
async def hand_back(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Give it to the bot, with what was agreed."""
    body = await read_body(request, HandBackBody)
    view = View(conversation_id=conversation_id, epoch=body.epoch, seen_seq=body.seen_seq)
    agreed = clean_text(body.agreed).strip()
    return await _done(parts, view, parts.desk.hand_back(who.worker, view, agreed))


@post("/conversations/{conversation_id:str}/resolve", policy=Policy.AGENT, status_code=200)
async def resolve(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Close it, and say how it ended."""
    body = await read_body(request, ResolveBody)
    view = View(conversation_id=conversation_id, epoch=body.epoch, seen_seq=body.seen_seq)
    verb = parts.desk.resolve(
        who.worker, view, outcome=body.outcome, topic=clean_text(body.topic).strip()
    )
    return await _done(parts, view, verb)


@post("/conversations/{conversation_id:str}/join", policy=Policy.AGENT, status_code=200)
async def join(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Make this person and another one the same."""
    body = await read_body(request, JoinBody)
    view = View(conversation_id=conversation_id, epoch=body.epoch)
    verb = parts.people.join(who.worker, view, body.person, said(body.reason))
    return await _done(parts, view, verb)


@post("/conversations/{conversation_id:str}/part", policy=Policy.AGENT, status_code=200)
async def part(
    request: AnyRequest, conversation_id: FromPath[str], parts: Parts, who: Who
) -> Thread:
    """Undo a link between this person's accounts."""
    body = await read_body(request, PartBody)
    view = View(conversation_id=conversation_id, epoch=body.epoch)
    verb = parts.people.part(who.worker, view, body.link, said(body.reason))
    return await _done(parts, view, verb)


@get("/people", policy=Policy.AGENT)
async def people(parts: Parts, q: FromQuery[str] = "", after: FromQuery[str] = "") -> PeoplePage:
    """People by part of a name, a whole e-mail, account id or case number."""
    found = await parts.people.find(q[:SEARCH_CHARS_MAX], after=after[:SEARCH_CHARS_MAX])
    return PeoplePage(items=found, next=found[-1].id if len(found) == FOUND_MAX else None)


async def _done(parts: ConsoleParts, view: View, verb: Awaitable[object]) -> Thread:
    """The conversation after `verb`; a refusal for a stale view carries how it stands instead."""

    def load(session: Session) -> Thread:
        return load_thread(session, view.conversation_id)

    try:
        await verb
    except (StaleEpoch, StaleView) as error:
        problem = problem_of(error)
        now = await parts.store.read(load)
        problem.extra = {**(problem.extra or {}), "thread": now}
        raise problem from error
    return await parts.store.read(load)


HANDLERS = (
    cases, conversation, lines, claim, reply, resend, note, release, hand_back, resolve, join, part,
    people,
)  # fmt: skip
