"""A librarian that remembers what it was asked, and its service on a real socket."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from rag.client import Line, RemoteLimits
from rag.errors import (
    NoEarlierVersion,
    SourceUnknown,
)
from rag.library import Library
from rag.service import create_service
from rag.types import (
    Answer,
    CheckReport,
    Citation,
    Decision,
    Explanation,
    FoundChunk,
    Health,
    Language,
    LibrarianHealth,
    ModelCall,
    NumberedLine,
    Page,
    Point,
    Question,
    Reason,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Summary,
    Upload,
    Words,
    Writing,
)

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
ANSWER = Answer(
    text="按“转人工”。",
    citations=(Citation(n=1, title="手册", source="a.md", url=None, quote="按“转人工”"),),
    verdict="answered",
    decision=Decision(
        action="answer", p=0.9, t_answer=0.7, t_suggest=0.4,
        reasons=(Reason.CONFIDENT,), calibration_id="c",
    ),
    language="zh",
    knowledge_version=3,
    timings_ms={"search": 1.5},
)  # fmt: skip
STATUS = RevisionStatus(
    revision_id="r1", source_id="s1", source="手册 1.md", title="手册", state="live",
    chunks_total=2, chunks_done=2, chunks_embedded=2, reason=None,
    health=Health(characters=10, warnings=(Words("short", "短"),), scanned_pages=(2,)),
    created_at=NOW,
)  # fmt: skip
SUMMARY = SourceSummary(
    id="s1", name="手册 1.md", title="手册", url=None, language="zh", audience="public",
    state="live", chunks=2, live_revision_id="r1", updated_at=NOW,
)  # fmt: skip
EXPLANATION = Explanation(
    record_id="0a", created_at=NOW, question=Question(text="如何转人工?"), decision=ANSWER.decision,
    features={"coverage_top": 0.9}, chunk_hashes=("h",), knowledge_version=3,
    candidates=(FoundChunk(title="手册", source="a.md", heading="", content_hash="h", score=1.0,
                           keyword=0.5, grams=0.5, vector=None),),
    writing=Writing(writer="model", text="按“转人工”。", calls=(
        ModelCall(prompt="answer/zh/1", model="m", prompt_tokens=9, answer_tokens=3,
                  first_token_ms=1.5, total_ms=2.5),)),
    timings_ms={"total": 4.0},
)  # fmt: skip
LIMITS = RemoteLimits(answer_wait_s=5, health_wait_s=5, breaker_failures=2, upload_bytes_max=1_000)


class Parts:
    """A librarian and a knowledge base that remember what they were asked."""

    def __init__(self, *, fails: Exception | None = None) -> None:
        self.asked: list[object] = []
        self.fails = fails
        self.hold: asyncio.Event | None = None
        self.aloud: list[str] = []
        self.ended: list[str] = []

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question)
        if self.hold:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.ended.append(question.text)
                raise
        if self.fails:
            raise self.fails
        return ANSWER

    async def answer_aloud(self, question: Question, show: Callable[[str], None]) -> Answer:
        for text in self.aloud:
            show(text)
        return await self.answer(question)

    async def explain(self, record_id: str, *, replay: bool = False) -> Explanation:
        if record_id != EXPLANATION.record_id:
            raise SourceUnknown("no record has that id")
        return replace(EXPLANATION, replayed=replay)

    async def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Summary:
        return Summary(wants=Point(lines[0].text, (lines[0].seq,)))

    async def alike(self, text: str, others: Sequence[str]) -> list[float]:
        return [float(text == other) for other in others]

    async def health(self) -> LibrarianHealth:
        return LibrarianHealth(
            ready=True, index="ok", embedder="ok", knowledge_version=3, chunks=2, queued=0
        )

    async def add(self, upload: Upload) -> RevisionStatus:
        self.asked.append(upload)
        if self.fails:
            raise self.fails
        return STATUS

    async def progress(self, revision_id: str) -> RevisionStatus:
        if revision_id != "r1":
            raise SourceUnknown(revision_id)
        return STATUS

    async def sources(self, *, after: str = "", limit: int = 50) -> list[SourceSummary]:
        return [SUMMARY][:limit] if after < "s1" else []

    async def show(self, source_id: str) -> SourceDetail:
        return SourceDetail(summary=SUMMARY, revisions=(STATUS,), passages=())

    async def retire(self, source_id: str) -> int:
        self.asked.append(source_id)
        return 4

    async def pages(self, url: str) -> list[str]:
        return [url, f"{url}/2"]

    async def add_page(self, page: Page) -> RevisionStatus:
        self.asked.append(page)
        return STATUS

    async def roll_back(self, source_id: str, revision_id: str | None = None) -> RevisionStatus:
        if revision_id == "r0":
            raise NoEarlierVersion(source_id)
        self.asked.append((source_id, revision_id))
        return STATUS

    async def set_audience(self, source_id: str, audience: str) -> None:
        self.asked.append((source_id, audience))

    async def check(self, *, rebuild: bool = False) -> CheckReport:
        return CheckReport(
            healthy=True, chunks=2, probed=2, wrong=0, rebuilt=rebuild, embedded=0, detail=""
        )


@asynccontextmanager
async def served(
    parts: Parts, opened: asyncio.Event | None = None, limits: RemoteLimits = LIMITS
) -> AsyncGenerator[Line]:
    """The service on a real socket; the path is short, as sockets want it."""

    @asynccontextmanager
    async def opening() -> AsyncGenerator[Library]:
        if opened:
            await opened.wait()
        yield Library(parts, parts)

    app = create_service(opening, upload_bytes_max=1_000)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        socket = Path(folder, "s")
        config = uvicorn.Config(app, uds=str(socket), log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it offers nothing to wait for
            await asyncio.sleep(0.01)
        line = Line(socket, limits)
        try:
            yield line
        finally:
            await line.close()
            server.should_exit = True
            await running
