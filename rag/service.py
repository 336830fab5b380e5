"""The librarian as a process of its own: a small web app on a unix socket in a folder of its own.

While its models load it answers "not ready" at once. What it raises travels by name and comes out
of `rag.client` as the same error. It checks no token: the folder it listens in is mode 0700.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
import structlog
from litestar import Litestar, Request, Response, delete, get, post, put
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream

from rag.client import LEAVES
from rag.errors import ModelUnavailable, RagError, SourceUnreadable
from rag.library import AnsweringPart, Library
from rag.types import (
    Answer,
    CheckReport,
    Explanation,
    Language,
    LibrarianHealth,
    NumberedLine,
    Page,
    Question,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Summary,
    Upload,
)
from storage.database import DatabaseError

log = structlog.get_logger()
JSON_BYTES_MAX = 1_000_000
RETRY_WAIT_S = 10.0  # between two attempts to load what did not load
_STATUS = {"SourceUnreadable": 422, "SourceUnknown": 404, "NoEarlierVersion": 409}


class Shelf:
    """Holds the library once it is loaded, or says why there is none yet."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Library]]) -> None:
        self._opening = opening
        self._library: Library | None = None
        self._state = "loading"

    @property
    def library(self) -> Library:
        if self._library is None:
            raise ModelUnavailable(f"the librarian is not ready: {self._state}")
        return self._library

    async def health(self) -> LibrarianHealth:
        if self._library is not None:
            return await self._library.librarian.health()
        return LibrarianHealth(
            ready=False,
            index=self._state,
            embedder=self._state,
            knowledge_version=0,
            chunks=0,
            queued=0,
        )

    async def keep_open(self) -> None:
        """Load the library and hold it until cancelled; what fails is tried again."""
        while True:
            try:
                async with self._opening() as self._library:
                    log.info("librarian ready")
                    await asyncio.Event().wait()
            except Exception as error:
                self._state = f"{type(error).__name__}: {error}"
                log.exception("the librarian did not load")
            finally:
                self._library = None
            await asyncio.sleep(RETRY_WAIT_S)


@dataclass(frozen=True, slots=True)
class AlikeQuestion:
    """Body of POST /alike."""

    text: str
    others: list[str]


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """Body of POST /summaries."""

    lines: list[NumberedLine]
    language: Language
    asker: str = ""


def create_service(
    opening: Callable[[], AbstractAsyncContextManager[Library]], *, upload_bytes_max: int
) -> Litestar:
    """The librarian's app. `opening` loads the library and lets go of it on exit."""
    shelf = Shelf(opening)

    @asynccontextmanager
    async def loaded(_app: Litestar) -> AsyncGenerator[None]:
        task = asyncio.create_task(shelf.keep_open())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return Litestar(
        [*_answering(shelf), *_knowledge(shelf, upload_bytes_max), *_versions(shelf)],
        lifespan=[loaded],
        openapi_config=None,
        request_max_body_size=JSON_BYTES_MAX,
        exception_handlers={Exception: _problem},
        logging_config=None,
    )


def _answering(shelf: Shelf) -> list[Any]:
    @get("/health")
    async def health() -> LibrarianHealth:
        return await shelf.health()

    @post("/answer", status_code=200)
    async def answer(data: JSONBody[Question]) -> Answer:
        return await shelf.library.librarian.answer(data)

    @post("/answer/aloud", status_code=200)
    async def aloud(data: JSONBody[Question]) -> Stream:
        librarian = shelf.library.librarian  # not ready is said by the status
        return Stream(told_aloud(librarian, data), media_type="application/x-ndjson")

    @get("/records/{record_id:str}")
    async def explain(record_id: FromPath[str], replay: FromQuery[bool] = False) -> Explanation:
        return await shelf.library.librarian.explain(record_id, replay=replay)

    @post("/summaries", status_code=200)
    async def summarise(data: JSONBody[SummaryRequest]) -> Summary:
        return await shelf.library.librarian.summarise(data.lines, data.language, data.asker)

    @post("/alike", status_code=200)
    async def alike(data: JSONBody[AlikeQuestion]) -> list[float]:
        return await shelf.library.librarian.alike(data.text, data.others)

    return [health, answer, aloud, explain, summarise, alike]


def _knowledge(shelf: Shelf, upload_bytes_max: int) -> list[Any]:
    @put("/sources", status_code=200, request_max_body_size=upload_bytes_max)
    async def add(
        request: Request[Any, Any, Any],
        name: FromQuery[str],
        title: FromQuery[str | None] = None,
        url: FromQuery[str | None] = None,
        language: FromQuery[str | None] = None,
        audience: FromQuery[str | None] = None,
    ) -> RevisionStatus:
        upload = Upload(
            name=name,
            content=await request.body(),
            title=title,
            url=url,
            language=_language(language),
            audience=audience,
        )
        return await shelf.library.knowledge.add(upload)

    @get("/pages")
    async def pages(url: FromQuery[str]) -> list[str]:
        return await shelf.library.knowledge.pages(url)

    @post("/pages", status_code=200)
    async def add_page(data: JSONBody[Page]) -> RevisionStatus:
        return await shelf.library.knowledge.add_page(data)

    @get("/revisions/{revision_id:str}")
    async def progress(revision_id: FromPath[str]) -> RevisionStatus:
        return await shelf.library.knowledge.progress(revision_id)

    @get("/sources")
    async def sources(
        after: FromQuery[str] = "", limit: FromQuery[int] = 50
    ) -> list[SourceSummary]:
        return await shelf.library.knowledge.sources(after=after, limit=min(max(limit, 1), 500))

    @get("/sources/{source_id:str}")
    async def show(source_id: FromPath[str]) -> SourceDetail:
        return await shelf.library.knowledge.show(source_id)

    @delete("/sources/{source_id:str}")
    async def retire(source_id: FromPath[str]) -> None:
        await shelf.library.knowledge.retire(source_id)

    @post("/check", status_code=200)
    async def check(rebuild: FromQuery[bool] = False) -> CheckReport:
        return await shelf.library.knowledge.check(rebuild=rebuild)

    return [add, pages, add_page, progress, sources, show, retire, check]


def _versions(shelf: Shelf) -> list[Any]:
    @post("/sources/{source_id:str}/rollback", status_code=200)
    async def roll_back(
        source_id: FromPath[str], revision_id: FromQuery[str | None] = None
    ) -> RevisionStatus:
        return await shelf.library.knowledge.roll_back(source_id, revision_id)

    @put("/sources/{source_id:str}/audience", status_code=204)
    async def set_audience(source_id: FromPath[str], audience: FromQuery[str]) -> None:
        await shelf.library.knowledge.set_audience(source_id, audience)

    return [roll_back, set_audience]


async def told_aloud(librarian: AnsweringPart, question: Question) -> AsyncGenerator[bytes]:
    """An answer as lines of JSON: what may be shown so far, as often as there is more of it, then
    the answer, or what went wrong. Who leaves ends the answering."""
    news: asyncio.Queue[str] = asyncio.Queue()
    answering = asyncio.ensure_future(librarian.answer_aloud(question, news.put_nowait))
    answering.add_done_callback(lambda _: news.put_nowait(""))
    try:
        while shown := await news.get():
            yield msgspec.json.encode({"partial": shown}) + b"\n"
        try:
            yield msgspec.json.encode({"answer": await answering}) + b"\n"
        except Exception as error:
            yield msgspec.json.encode({"problem": _as_problem(error)[1]}) + b"\n"
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


def _language(text: str | None) -> Language | None:
    for language in get_args(Language):
        if text == language:
            return language
    if text is None:
        return None
    known = ", ".join(get_args(Language))
    raise SourceUnreadable(
        f"{text[:40]!r} is not a language Tandem knows: {known}.",
        f"Tandem 不支持语言“{text[:40]}”，可用的有：{known}。",
    )


def _problem(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    status, body = _as_problem(error)
    return Response(body, status_code=status)


def _as_problem(error: Exception) -> tuple[int, dict[str, str]]:
    """What went wrong, by the name that `rag.client` knows it by."""
    status, name = 500, "ModelUnavailable"
    reason = str(error)
    if isinstance(error, RagError):
        name = next((leaf.__name__ for leaf in LEAVES if isinstance(error, leaf)), name)
        status = _STATUS.get(name, 503)
        if isinstance(error, SourceUnreadable):
            words = {"reason": error.reason.en, "zh": error.reason.zh}
            return status, {"type": name, **words}
    elif isinstance(error, HTTPException):
        status, reason = error.status_code, error.detail
        name = "SourceUnreadable" if status == 413 else name
    elif isinstance(error, DatabaseError):
        status = 503
    else:
        reason = "the librarian failed"
        log.error("unforeseen", exc_info=error)
    return status, {"type": name, "reason": reason}
