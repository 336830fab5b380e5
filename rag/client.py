"""The librarian from another process: the same verbs, over its unix socket, with deadlines.

A dead librarian costs its callers nothing: after a few failures calls are refused at once, and
one cheap look at its health decides when they are let through again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from rag.errors import (
    IndexUnavailable,
    ModelUnavailable,
    NoEarlierVersion,
    RagError,
    SourceUnknown,
    SourceUnreadable,
)
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

T = TypeVar("T")
ALOUD_LINE_BYTES_MAX = 1_000_000  # of one line of an answer that is told aloud
LEAVES: tuple[type[RagError], ...] = (
    SourceUnreadable,
    SourceUnknown,
    NoEarlierVersion,
    ModelUnavailable,
    IndexUnavailable,
)
"""What crosses the socket by its name; everything else arrives as ModelUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """Deadlines and limits of the line to the librarian."""

    upload_bytes_max: int = 20_000_000
    answer_wait_s: float = 45.0
    knowledge_wait_s: float = 30.0
    fetch_wait_s: float = 180.0  # a sitemap of sitemaps, each with its own deadline
    rebuild_wait_s: float = 1_800.0
    health_wait_s: float = 1.0
    connect_wait_s: float = 1.0
    breaker_failures: int = 5
    breaker_window_s: float = 30.0
    breaker_wait_s: float = 5.0


class Breaker:
    """Open after `failures` within `window_s`; after `wait_s` one caller may try again.

    `clock` counts seconds and never goes back.
    """

    def __init__(self, limits: RemoteLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._failed: deque[float] = deque(maxlen=limits.breaker_failures)
        self._closed_again_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether too much failed lately."""
        full = len(self._failed) == self._limits.breaker_failures
        return full and self._failed[-1] - self._failed[0] <= self._limits.breaker_window_s

    def may_probe(self) -> bool:
        """Whether this caller is the one to try; the others wait for its result."""
        now = self._clock()
        if now < self._closed_again_at:
            return False
        self._closed_again_at = now + self._limits.breaker_wait_s
        return True

    def failed(self) -> None:
        now = self._clock()
        self._failed.append(now)
        self._closed_again_at = now + self._limits.breaker_wait_s

    def succeeded(self) -> None:
        self._failed.clear()


class Line:
    """The connection to a librarian's socket. Shared by all that speak through it."""

    def __init__(
        self,
        socket: Path,
        limits: RemoteLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or RemoteLimits()
        self._breaker = Breaker(self.limits, clock)
        timeout = httpx.Timeout(None, connect=self.limits.connect_wait_s)
        pool = httpx.Limits(max_connections=64, max_keepalive_connections=8)
        transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=pool)
        self._http = httpx.AsyncClient(
            transport=transport, base_url="http://librarian", timeout=timeout, trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def health(self) -> LibrarianHealth:
        """What the librarian says of itself. Raises ModelUnavailable within `health_wait_s`."""
        wait_s = self.limits.health_wait_s
        response = await self._watched(self._http.build_request("GET", "/health"), wait_s)
        return _read(response, LibrarianHealth)

    async def call(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        wait_s: float,
        content: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> T:
        """The answer to one call, read as `kind`. `content` is sent as JSON unless it is bytes.

        Raises what the librarian raised, or ModelUnavailable if it is not to be had in `wait_s`.
        """
        if self._breaker.is_open:
            await self._probe()
        raw = isinstance(content, bytes)
        body = content if raw or content is None else msgspec.json.encode(content)
        media = "application/octet-stream" if raw else "application/json"
        headers = {} if body is None else {"content-type": media}
        request = self._http.build_request(
            method, path, content=body, headers=headers, params=params
        )
        return _read(await self._watched(request, wait_s), kind)

    async def call_aloud(
        self, path: str, kind: type[T], content: Any, *, wait_s: float, show: Callable[[str], None]
    ) -> T:
        """Like `call`, for an answer that is shown while it is being made."""
        if self._breaker.is_open:
            await self._probe()
        request = self._http.build_request(
            "POST", path, content=msgspec.json.encode(content),
            headers={"content-type": "application/json"},
        )  # fmt: skip
        with self._watching(wait_s):
            async with asyncio.timeout(wait_s):
                response = await self._http.send(request, stream=True)
                try:
                    last = await _last_line(response, show)
                finally:
                    await response.aclose()
        return _read_last(response, last, kind)

    async def _probe(self) -> None:
        if not self._breaker.may_probe():
            raise ModelUnavailable("the librarian is not answering")
        await self.health()

    async def _watched(self, request: httpx.Request, wait_s: float) -> httpx.Response:
        with self._watching(wait_s):
            async with asyncio.timeout(wait_s):
                return await self._http.send(request)

    @contextmanager
    def _watching(self, wait_s: float) -> Generator[None]:
        """Count what goes well and what does not, and say the second in our own words."""
        try:
            yield
        except TimeoutError:
            self._breaker.failed()
            raise ModelUnavailable(f"the librarian did not answer in {wait_s:g} s") from None
        except httpx.HTTPError as error:
            self._breaker.failed()
            reason = f"the librarian cannot be reached ({type(error).__name__})"
            raise ModelUnavailable(reason) from error
        self._breaker.succeeded()


class RemoteLibrarian:
    """`gateway.ports.Answerer`, answered by the librarian process."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def answer(self, question: Question) -> Answer:
        """Raises ModelUnavailable or IndexUnavailable within `answer_wait_s`."""
        wait_s = self._line.limits.answer_wait_s
        return await self._line.call("POST", "/answer", Answer, wait_s=wait_s, content=question)

    async def answer_aloud(self, question: Question, show: Callable[[str], None]) -> Answer:
        """The same; `show` is given as much of the text as may be seen already, again and again."""
        wait_s = self._line.limits.answer_wait_s
        return await self._line.call_aloud(
            "/answer/aloud", Answer, question, wait_s=wait_s, show=show
        )

    async def explain(self, record_id: str, *, replay: bool = False) -> Explanation:
        """Why an answer was given. Raises SourceUnknown when no record has that id."""
        wait_s = self._line.limits.answer_wait_s
        params = {"replay": "true" if replay else "false"}
        path = f"/records/{quote(record_id, safe='')}"
        return await self._line.call("GET", path, Explanation, wait_s=wait_s, params=params)

    async def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Summary:
        """A talk in three lines; empty without a model, or where it cannot be believed."""
        content = {"lines": list(lines), "language": language, "asker": asker}
        wait_s = self._line.limits.answer_wait_s
        return await self._line.call("POST", "/summaries", Summary, wait_s=wait_s, content=content)

    async def alike(self, text: str, others: Sequence[str]) -> list[float]:
        """How far `text` asks the same as each of `others`, 0..1."""
        if not others:
            return []
        content = {"text": text, "others": list(others)}
        wait_s = self._line.limits.answer_wait_s
        return await self._line.call("POST", "/alike", list[float], wait_s=wait_s, content=content)

    async def health(self) -> LibrarianHealth:
        """Raises ModelUnavailable when nobody answers."""
        return await self._line.health()


class RemoteKnowledge:
    """The knowledge base, kept by the librarian process. Each verb raises ModelUnavailable when
    the librarian is not to be had."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._wait_s = line.limits.knowledge_wait_s

    async def add(self, upload: Upload) -> RevisionStatus:
        """Hand a document in; it is read and embedded afterwards. Raises SourceUnreadable."""
        if len(upload.content) > self._line.limits.upload_bytes_max:
            limit_mb = self._line.limits.upload_bytes_max / 1_000_000
            raise SourceUnreadable(
                f"The file is larger than {limit_mb:g} MB. Split it into several documents.",
                f"文件超过 {limit_mb:g} MB。请拆分成几个文档。",
            )
        about = {name: value for name, value in asdict(upload).items() if value is not None}
        content = about.pop("content")
        return await self._line.call(
            "PUT", "/sources", RevisionStatus, wait_s=self._wait_s, content=content, params=about
        )

    async def progress(self, revision_id: str) -> RevisionStatus:
        """How far a version of a document got. Raises SourceUnknown."""
        return await self._line.call(
            "GET", f"/revisions/{revision_id}", RevisionStatus, wait_s=self._wait_s
        )

    async def sources(self, *, after: str = "", limit: int = 50) -> list[SourceSummary]:
        """Documents in order of their ids, from `after` on."""
        params = {"after": after, "limit": limit}
        return await self._line.call(
            "GET", "/sources", list[SourceSummary], wait_s=self._wait_s, params=params
        )

    async def show(self, source_id: str) -> SourceDetail:
        """A document with its versions and passages. Raises SourceUnknown."""
        return await self._line.call(
            "GET", f"/sources/{source_id}", SourceDetail, wait_s=self._wait_s
        )

    async def retire(self, source_id: str) -> None:
        """Withdraw a document: nothing of it is answered from any more. Raises SourceUnknown."""
        await self._line.call("DELETE", f"/sources/{source_id}", type(None), wait_s=self._wait_s)

    async def pages(self, url: str) -> list[str]:
        """The addresses that a page or a sitemap stands for. Raises SourceUnreadable."""
        wait_s = self._line.limits.fetch_wait_s
        return await self._line.call("GET", "/pages", list[str], wait_s=wait_s, params={"url": url})

    async def add_page(self, page: Page) -> RevisionStatus:
        """Have a web page fetched and handed in. Raises SourceUnreadable."""
        wait_s = self._line.limits.fetch_wait_s
        return await self._line.call("POST", "/pages", RevisionStatus, wait_s=wait_s, content=page)

    async def roll_back(self, source_id: str, revision_id: str | None = None) -> RevisionStatus:
        """Answer from an earlier version again. Raises SourceUnknown, NoEarlierVersion."""
        return await self._line.call(
            "POST",
            f"/sources/{source_id}/rollback",
            RevisionStatus,
            wait_s=self._wait_s,
            params={} if revision_id is None else {"revision_id": revision_id},
        )

    async def set_audience(self, source_id: str, audience: str) -> None:
        """Say who may read a document. Raises SourceUnknown, SourceUnreadable."""
        await self._line.call(
            "PUT",
            f"/sources/{source_id}/audience",
            type(None),
            wait_s=self._wait_s,
            params={"audience": audience},
        )

    async def check(self, *, rebuild: bool = False) -> CheckReport:
        """Whether the index still holds what it was given; with `rebuild` it is made anew."""
        return await self._line.call(
            "POST",
            "/check",
            CheckReport,
            wait_s=self._line.limits.rebuild_wait_s,
            params={"rebuild": "true" if rebuild else "false"},
        )


async def _last_line(response: httpx.Response, show: Callable[[str], None]) -> bytes:
    """Read an answer that is told aloud; its last line, or the whole of a refusal."""
    if not response.is_success:
        return await response.aread()
    rest = last = b""
    async for data in response.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > ALOUD_LINE_BYTES_MAX:
            raise httpx.DecodingError("a line is too long")
        for line in filter(None, lines):
            last = line
            if partial := _decoded(line, dict[str, Any]).get("partial"):
                show(str(partial))
    return rest or last


def _read_last(response: httpx.Response, last: bytes, kind: type[T]) -> T:
    if not response.is_success:
        raise _problem(last, response.status_code)
    told = _decoded(last or b"{}", dict[str, msgspec.Raw])
    if "answer" in told:
        return _decoded(told["answer"], kind)
    raise _problem(told.get("problem", b""), 200)


def _decoded(content: Any, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise ModelUnavailable("the librarian answered in another version's words") from error


def _read(response: httpx.Response, kind: type[T]) -> T:
    if response.is_success:
        return _decoded(response.content or b"null", kind)
    raise _problem(response.content, response.status_code)


def _problem(content: Any, status: int) -> RagError:
    try:
        problem = msgspec.json.decode(content, type=dict[str, str])
    except msgspec.DecodeError:
        problem = {}
    reason = problem.get("reason", f"the librarian answered {status}, and no answer")
    if problem.get("type") == SourceUnreadable.__name__:
        return SourceUnreadable(reason, problem.get("zh", ""))
    kinds = (leaf for leaf in LEAVES if problem.get("type") == leaf.__name__)
    return next(kinds, ModelUnavailable)(reason)
