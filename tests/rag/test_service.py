"""The librarian behind its socket answers, refuses and fails as it does in process."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from rag.client import Line, RemoteKnowledge, RemoteLibrarian, RemoteLimits
from rag.errors import IndexUnavailable, ModelUnavailable, SourceUnknown, SourceUnreadable
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
    Point,
    Question,
    Reason,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Summary,
    Turn,
    Upload,
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
    health=Health(characters=10, warnings=("short",)), created_at=NOW,
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

    async def check(self, *, rebuild: bool = False) -> CheckReport:
        return CheckReport(
            healthy=True, chunks=2, probed=2, wrong=0, rebuilt=rebuild, embedded=0, detail=""
        )


@pytest.fixture
def serve() -> Callable[..., object]:
    """Runs the service on a real socket; the path is short, as sockets want it."""

    @asynccontextmanager
    async def start(
        parts: Parts, opened: asyncio.Event | None = None, limits: RemoteLimits = LIMITS
    ) -> AsyncGenerator[Line]:
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

    return start


async def test_a_question_and_its_answer_cross_the_socket_whole(serve) -> None:
    """Every field of both arrives as it was sent, in Chinese too."""
    parts = Parts()
    question = Question(text="如何转人工?", language="zh", history=(Turn("customer", "hi"),))
    async with serve(parts) as line:
        answer = await RemoteLibrarian(line).answer(question)

    assert answer == ANSWER
    assert parts.asked == [question]


async def test_an_answer_is_told_while_it_is_written(serve) -> None:
    """What may be shown comes first, in its order, and the answer at the end, whole."""
    parts, shown = Parts(), list[str]()
    parts.aloud = ["按“转人工”", "按“转人工”。"]
    async with serve(parts) as line:
        answer = await RemoteLibrarian(line).answer_aloud(Question(text="?"), shown.append)

    assert shown == ["按“转人工”", "按“转人工”。"]
    assert answer == ANSWER


@pytest.mark.parametrize("error", [IndexUnavailable("no index"), ModelUnavailable("no model")])
async def test_what_goes_wrong_while_it_is_told_arrives_as_it_was(serve, error) -> None:
    """The same error as without the telling, also after something was shown."""
    parts, shown = Parts(fails=error), list[str]()
    parts.aloud = ["half"]
    async with serve(parts) as line:
        with pytest.raises(type(error), match=str(error)):
            await RemoteLibrarian(line).answer_aloud(Question(text="?"), shown.append)

    assert shown == ["half"]


async def test_who_leaves_ends_the_answering(serve) -> None:
    """Nobody reads on: the librarian stops, and with it the model that it asks."""
    parts = Parts()
    parts.hold = asyncio.Event()
    parts.aloud = ["half"]
    async with serve(parts) as line:
        heard = asyncio.Event()
        remote = RemoteLibrarian(line)
        asking = asyncio.create_task(
            remote.answer_aloud(Question(text="mine"), lambda _: heard.set())
        )
        await heard.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(5):
            while not parts.ended:  # noqa: ASYNC110 - another process, in truth
                await asyncio.sleep(0.01)

    assert parts.ended == ["mine"]


async def test_telling_has_the_same_deadline(serve) -> None:
    """A librarian that hangs in the middle is not waited for longer."""
    parts = Parts()
    parts.hold = asyncio.Event()
    parts.aloud = ["half"]
    async with serve(parts, limits=RemoteLimits(answer_wait_s=0.2)) as line:
        with pytest.raises(ModelUnavailable, match=r"in 0\.2 s"):
            await RemoteLibrarian(line).answer_aloud(Question(text="?"), lambda _: None)

    assert len(parts.asked) == 1


async def test_explanations_and_summaries_cross_the_socket(serve) -> None:
    """Whole, and an unknown record is said to be unknown."""
    async with serve(Parts()) as line:
        remote = RemoteLibrarian(line)
        told = await remote.explain("0a")
        replayed = await remote.explain("0a", replay=True)
        summary = await remote.summarise([NumberedLine(7, "customer", "退款")], "zh")
        with pytest.raises(SourceUnknown):
            await remote.explain("0b")

    assert told == EXPLANATION
    assert replayed.replayed
    assert summary == Summary(wants=Point("退款", (7,)))


async def test_likeness_and_health_cross_the_socket(serve) -> None:
    """The other two verbs of the librarian."""
    async with serve(Parts()) as line:
        remote = RemoteLibrarian(line)
        scores = await remote.alike("a", ["a", "b"])
        health = await remote.health()

    assert scores == [1.0, 0.0]
    assert health.ready


async def test_a_document_crosses_the_socket_as_it_is(serve) -> None:
    """Bytes, names with spaces and Chinese, and what is known about the document arrive."""
    parts = Parts()
    upload = Upload(name="手册 1.md", content=b"# \x00\xff", title="T & t", language="zh")
    async with serve(parts) as line:
        status = await RemoteKnowledge(line).add(upload)

    assert status == STATUS
    assert parts.asked == [upload]


async def test_the_knowledge_base_can_be_read_and_changed(serve) -> None:
    """List, show, progress, retire and check work as in process."""
    parts = Parts()
    async with serve(parts) as line:
        knowledge = RemoteKnowledge(line)
        listed = await knowledge.sources(), await knowledge.sources(after="s1")
        detail = await knowledge.show("s1")
        progress = await knowledge.progress("r1")
        await knowledge.retire("s1")
        report = await knowledge.check(rebuild=True)

    assert listed == ([SUMMARY], [])
    assert detail.summary == SUMMARY
    assert progress == STATUS
    assert parts.asked == ["s1"]
    assert report.rebuilt


@pytest.mark.parametrize(
    "error",
    [SourceUnreadable("too odd"), IndexUnavailable("gone"), ModelUnavailable("asleep")],
)
async def test_what_the_librarian_raises_arrives_as_itself(serve, error: Exception) -> None:
    """The caller can tell an unreadable document from a broken index."""
    async with serve(Parts(fails=error)) as line:
        with pytest.raises(type(error), match=str(error)):
            await RemoteKnowledge(line).add(Upload(name="a.md", content=b"a"))


async def test_an_unknown_version_is_unknown_on_this_side_too(serve) -> None:
    """404 comes out as SourceUnknown."""
    async with serve(Parts()) as line:
        with pytest.raises(SourceUnknown):
            await RemoteKnowledge(line).progress("nothing")


async def test_an_unforeseen_failure_tells_nothing_of_its_inside(serve) -> None:
    """The reason that crosses the socket is ours, not the text of some exception."""
    async with serve(Parts(fails=RuntimeError("the customer wrote X"))) as line:
        with pytest.raises(ModelUnavailable, match=r"^the librarian failed$"):
            await RemoteLibrarian(line).answer(Question(text="?"))


async def test_a_document_above_the_limit_is_refused_on_both_sides(serve) -> None:
    """The client refuses without sending it, the service if a client does not."""
    generous = RemoteLimits(upload_bytes_max=10_000)
    too_much = Upload(name="a.md", content=b"a" * 1_001)
    async with serve(Parts()) as line:
        with pytest.raises(SourceUnreadable, match="larger"):
            await RemoteKnowledge(line).add(too_much)
    async with serve(Parts(), limits=generous) as line:
        with pytest.raises(SourceUnreadable):
            await RemoteKnowledge(line).add(too_much)


async def test_while_models_load_questions_are_refused_at_once(serve) -> None:
    """Health says what it waits for; as soon as it is loaded it answers."""
    opened = asyncio.Event()
    async with serve(Parts(), opened) as line:
        remote = RemoteLibrarian(line)
        before = await remote.health()
        with pytest.raises(ModelUnavailable, match="loading"):
            await remote.answer(Question(text="?"))
        opened.set()
        while not (await remote.health()).ready:  # noqa: ASYNC110 - another process, in truth
            await asyncio.sleep(0.01)
        answer = await remote.answer(Question(text="?"))

    assert (before.ready, before.index) == (False, "loading")
    assert answer == ANSWER


async def test_a_librarian_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    """No socket, no waiting: the caller hands over to a person."""
    line = Line(tmp_path / "nobody", LIMITS)
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await RemoteLibrarian(line).answer(Question(text="?"))
    await line.close()


async def test_a_librarian_that_hangs_is_left_alone_after_a_few_tries(serve) -> None:
    """Two deadlines missed: the next call is refused without being sent."""
    parts = Parts()
    parts.hold = asyncio.Event()
    limits = RemoteLimits(answer_wait_s=0.05, breaker_failures=2)
    async with serve(parts, limits=limits) as line:
        remote = RemoteLibrarian(line)
        for _ in range(2):
            with pytest.raises(ModelUnavailable, match=r"in 0\.05 s"):
                await remote.answer(Question(text="?"))
        with pytest.raises(ModelUnavailable, match="not answering"):
            await remote.answer(Question(text="?"))
        parts.hold.set()

    assert len(parts.asked) == 2
