"""The console over a real gateway: only the librarian is a twin."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from litestar import Litestar
from sqlmodel import Session, select

from agent_inbox import auth
from agent_inbox.auth import NewAgent, Passwords
from agent_inbox.console import ConsoleSettings, build_console
from agent_inbox.desk import Cases, Desk, Role, View, Worker
from agent_inbox.models import Agent, Case
from agent_inbox.people import People
from agent_inbox.ports import Librarian
from agent_inbox.store import open_case
from gateway.attachments import Attachments
from gateway.conversations import CUSTOMER
from gateway.files import Files
from gateway.handoff import HandOver, Signal
from gateway.history import transcript
from gateway.messages import Action, Line
from gateway.models import Conversation
from rag.audience import checked_audience
from rag.errors import NoEarlierVersion, SourceUnknown, SourceUnreadable
from rag.types import (
    Explanation,
    Health,
    Language,
    NumberedLine,
    Page,
    Passage,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Summary,
    Upload,
    Words,
)
from storage.database import Database
from storage.ids import new_id
from tests.conftest import TurnedClock
from tests.gateway.world import World

PASSWORD = "seven green bicycles"
WHY = HandOver((Signal("asked", "a person"), Signal("low_confidence", "p 0.31, needed 0.62", 0.31)))


class ListKnowledge:
    """The twin of the knowledge base: a dictionary, and a step of progress for each look."""

    def __init__(self, steps: int = 1) -> None:
        self.uploads: list[Upload] = []
        self.statuses: dict[str, RevisionStatus] = {}
        self.rolled_back: list[str] = []
        self.audiences: dict[str, str] = {}
        self._steps = steps

    async def add(self, upload: Upload) -> RevisionStatus:
        if not upload.content.strip():
            raise SourceUnreadable("the document is empty", "文档是空的")
        self.uploads.append(upload)
        known = [one for one in self.statuses.values() if one.source == upload.name]
        failed = b"\x00" in upload.content
        status = RevisionStatus(
            revision_id=new_id(), source_id=known[0].source_id if known else new_id(),
            source=upload.name, title=upload.title or upload.name.partition(".")[0],
            state="failed" if failed else "embedding", chunks_total=4 * self._steps, chunks_done=0,
            chunks_embedded=0, health=None,
            reason=Words("this is not text", "这不是文字") if failed else None,
            created_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
        )  # fmt: skip
        self.statuses[status.revision_id] = status
        return status

    async def progress(self, revision_id: str) -> RevisionStatus:
        if revision_id not in self.statuses:
            raise SourceUnknown(revision_id)
        status = self.statuses[revision_id]
        if status.state == "embedding":
            done = min(status.chunks_done + 4, status.chunks_total)
            status = replace(status, chunks_done=done, chunks_embedded=done)
            if done == status.chunks_total:
                health = Health(
                    characters=1_840, chunks=done, language="en", duplicate_share=0.25,
                    warnings=(Words("two headings have no text", "两个标题下没有文字"),),
                )  # fmt: skip
                status = replace(status, state="live", health=health)
            self.statuses[revision_id] = status
        return status

    async def sources(self, *, after: str = "", limit: int = 50) -> Sequence[SourceSummary]:
        newest = {status.source_id: status for status in self.statuses.values()}
        found = [self._summary(status) for key, status in sorted(newest.items()) if key > after]
        return found[:limit]

    async def show(self, source_id: str) -> SourceDetail:
        revisions = [one for one in self.statuses.values() if one.source_id == source_id]
        if not revisions:
            raise SourceUnknown(source_id)
        passage = Passage(
            chunk_id="c1", ordinal=0, heading_path=("Refunds", "Deadlines"), kind="text",
            text="Refunds are possible within 30 days of delivery.", language="en",
            wordings=("How long?",),
        )  # fmt: skip
        return SourceDetail(
            summary=self._summary(revisions[-1]), revisions=tuple(_shown(revisions)),
            passages=(passage,),
        )  # fmt: skip

    async def pages(self, url: str) -> Sequence[str]:
        return [f"{url}/{n}" for n in (1, 2)] if "sitemap" in url else [url]

    async def add_page(self, page: Page) -> RevisionStatus:
        if "private" in page.url:
            raise SourceUnreadable("it leads into a network that is not public", "指向非公开的网络")
        return await self.add(
            Upload(name=page.url, url=page.url, content=b"page", audience=page.audience)
        )

    async def roll_back(self, source_id: str, revision_id: str | None = None) -> RevisionStatus:
        earlier = (await self.show(source_id)).revisions[1:]
        wanted = [one for one in earlier if revision_id in (None, one.revision_id)]
        if not wanted:
            raise NoEarlierVersion(source_id)
        self.rolled_back.append(wanted[0].revision_id)
        return wanted[0]

    async def set_audience(self, source_id: str, audience: str) -> None:
        await self.show(source_id)
        checked_audience(audience)
        self.audiences[source_id] = audience

    async def retire(self, source_id: str) -> None:
        await self.show(source_id)
        self.statuses = {
            key: one for key, one in self.statuses.items() if one.source_id != source_id
        }

    def _summary(self, status: RevisionStatus) -> SourceSummary:
        return SourceSummary(
            id=status.source_id, name=status.source, title=status.title, url=None, language="en",
            audience=self.audiences.get(status.source_id, "public"), state=status.state,
            chunks=status.chunks_done,
            live_revision_id=status.revision_id if status.state == "live" else None,
            updated_at=status.created_at,
        )  # fmt: skip


class ForgetfulLibrarian:
    """The twin of the librarian: no record, and nothing to say of a talk."""

    async def explain(self, record_id: str, *, replay: bool = False) -> Explanation:
        raise SourceUnknown(record_id)

    async def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Summary:
        return Summary()


def _shown(revisions: Sequence[RevisionStatus]) -> Iterator[RevisionStatus]:
    """Newest first; of several that were live only the newest is."""
    newest, *earlier = revisions[::-1]
    yield newest
    for one in earlier:
        was_live = one.state == "live"
        yield replace(one, state="superseded", can_go_back=True) if was_live else one


class Bench:
    """A world with a desk in it, and a console to be asked over HTTP."""

    def __init__(
        self, database: Database, clock: TurnedClock, *, settings: ConsoleSettings | None = None,
        knowledge: ListKnowledge | None = None, librarian: Librarian | None = None,
    ) -> None:  # fmt: skip
        self.clock = clock
        self.world = World(database, clock)
        self.store = self.world.store
        self.cases = Cases(clock)
        self.world.conversations.inbox = self.cases
        self.desk = Desk(self.store, self.world.conversations, clock)
        self.knowledge = knowledge or ListKnowledge()
        self.stopping = asyncio.Event()
        self.files = Files(Path(database.url.removeprefix("sqlite:///")).parent / "attachments")
        self.attachments = Attachments(self.store, self.files, clock, self.world.channels)
        self.app = Litestar(
            build_console(
                store=self.store, desk=self.desk, people=People(self.store, self.world.links),
                knowledge=self.knowledge, attachments=self.attachments, clock=clock,
                stopping=self.stopping, settings=settings or ConsoleSettings(),
                passwords=Passwords(time_cost=1, memory_kib=64),
                librarian=librarian or ForgetfulLibrarian(),
            ),
            openapi_config=None,
        )  # fmt: skip
        self._count = itertools.count(1)

    async def agent(self, name: str, *, role: Role = "agent", language: Language = "en") -> Worker:
        """Somebody who can sign in as NAME@example.com with PASSWORD."""
        hashed = await Passwords(time_cost=1, memory_kib=64).hash(PASSWORD)
        new = NewAgent(email=f"{name}@example.com", name=name, role=role, language=language)

        def work(session: Session) -> str:
            added = auth.add_agent(session, new, now=self.clock())
            auth.accept(session, added.token, hashed, new=None, now=self.clock())
            return added.agent_id

        return Worker(id=await self.store.write(work), name=name, role=role)

    async def says(
        self, text: str, *, visitor: str = "v1", action: Action | None = None
    ) -> Conversation:
        """A customer writes; the bot has not answered."""
        await self.world.write_in(text, visitor=visitor, action=action)
        return await self.world.conversation(visitor)

    async def waits(self, text: str = "My parcel is late.", visitor: str = "v1") -> Conversation:
        """A customer writes and is handed over."""
        await self.says(text, visitor=visitor)
        await self.world.act(
            lambda session, one: self.world.conversations.hand_over(session, one, WHY, CUSTOMER),
            visitor,
        )
        return await self.world.conversation(visitor)

    async def view(self, visitor: str = "v1") -> View:
        """What an agent sees who looks right now."""
        found = await self.world.conversation(visitor)
        return View(conversation_id=found.id, epoch=found.epoch, seen_seq=found.next_seq - 1)

    async def case(self, visitor: str = "v1") -> Case | None:
        """The visitor's open case."""
        found = await self.world.conversation(visitor)
        return await self.store.read(lambda session: open_case(session, found.id))

    async def cases_of(self, visitor: str = "v1") -> list[Case]:
        """All of the visitor's cases, oldest first."""
        found = await self.world.conversation(visitor)
        return await self.store.read(
            lambda session: list(session.exec(select(Case).where(Case.conversation_id == found.id)))
        )

    async def lines(self, visitor: str = "v1") -> list[Line]:
        """The transcript as agents see it."""
        found = await self.world.conversation(visitor)
        return await self.store.read(lambda session: transcript(session, found.id))

    async def named(self, name: str) -> Agent:
        return await self.store.read(
            lambda session: session.exec(select(Agent).where(Agent.name == name)).one()
        )

    def client_id(self) -> str:
        return f"client-{next(self._count):06d}"
