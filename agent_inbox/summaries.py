"""Three lines on a case that a language model writes after the hand-over, never before it.

The brief by rules is there at once and stays. Here, behind it, cases without a summary are found,
the librarian is asked, and what it can prove line by line is added to the brief. A customer who
writes on makes the summary stale: the brief is made anew without it, and it is asked for again.
"""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlmodel import Session, col, select

from agent_inbox import store as cases_sql
from agent_inbox.models import Case
from agent_inbox.ports import Librarian, Surface
from gateway.models import Conversation
from gateway.store import Store, touch
from rag.errors import RagError
from rag.types import Language, NumberedLine, Summary

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLimits:
    """Of the work behind the briefs."""

    cases_max: int = 20  # in one look, the newest first; the others keep the brief by rules
    wait_s: float = 60.0  # for one summary
    sweep_s: float = 30.0  # between two looks without a hint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A case without a summary, and the talk that it is to be made of."""

    number: int
    conversation_id: str
    contact_id: str
    language: Language
    lines: tuple[NumberedLine, ...]

    @property
    def upto(self) -> int:
        return self.lines[-1].seq


class Summaries:
    """Adds a summary to the brief of each open case. Only where there is a model."""

    def __init__(
        self, store: Store, librarian: Librarian, *, surfaces: tuple[Surface, ...] = (),
        limits: SummaryLimits | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._librarian = librarian
        self._surfaces = surfaces
        self._limits = limits or SummaryLimits()

    async def run(self) -> None:
        """Until cancelled: after each hint that a case changed, and now and then without one."""
        async with self._store.feed.subscribe("inbox", signals=False) as hints:
            while True:
                await self.catch_up()
                await hints.wait(self._limits.sweep_s)

    async def catch_up(self) -> int:
        """Write what is missing; how many were written."""
        found = await self._store.read(lambda session: _without(session, self._limits.cases_max))
        written = 0
        for asked in found:
            try:
                async with asyncio.timeout(self._limits.wait_s):
                    summary = await self._librarian.summarise(
                        asked.lines, asked.language, asked.contact_id
                    )
            except (RagError, TimeoutError) as error:  # asked for again at the next look
                log.info("summary_failed", case=asked.number, error=type(error).__name__)
                return written
            written += await self._store.write(
                lambda session, asked=asked, summary=summary: self._add(session, asked, summary)
            )
        return written

    def _add(self, session: Session, asked: _Asked, summary: Summary) -> bool:
        """Kept even where nothing could be proven, so that it is asked for only once."""
        case = cases_sql.open_case(session, asked.conversation_id)
        if case is None or case.number != asked.number or _upto(session, case) != asked.upto:
            return False  # closed, or the customer wrote on: it is made anew
        case.brief = {**case.brief, "summary": {"upto": asked.upto, **asdict(summary)}}
        session.add(case)
        touch(session, f"conversation:{asked.conversation_id}")
        for surface in self._surfaces:
            surface.refresh(session, case)
        return True


def _without(session: Session, limit: int) -> list[_Asked]:
    """Open cases that have no summary of their talk as it stands."""
    cases = session.exec(
        select(Case)
        .where(col(Case.state) != "closed")
        .order_by(col(Case.number).desc())
        .limit(limit)
    ).all()
    return [asked for case in cases if (asked := _asked(session, case)) is not None]


def _asked(session: Session, case: Case) -> _Asked | None:
    lines = _lines(session, case)
    conversation = session.get(Conversation, case.conversation_id)
    # Once a person has spoken they know the talk better than three lines do.
    if not lines or conversation is None or case.first_reply_at is not None:
        return None
    summary: Any = case.brief.get("summary")
    if summary and summary["upto"] == lines[-1].seq:
        return None
    return _Asked(
        number=case.number or 0, conversation_id=case.conversation_id, contact_id=case.contact_id,
        language="zh" if conversation.language == "zh" else "en", lines=lines,
    )  # fmt: skip


def _upto(session: Session, case: Case) -> int:
    lines = _lines(session, case)
    return lines[-1].seq if lines else 0


def _lines(session: Session, case: Case) -> tuple[NumberedLine, ...]:
    return tuple(
        NumberedLine(one.seq, one.author, one.text)
        for one in cases_sql.spoken_lines(session, case.conversation_id)
        if one.author in ("customer", "bot", "agent")
    )
