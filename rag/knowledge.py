"""The knowledge base as the rest sees it: documents in, shown, out; and the worker behind it."""

import asyncio
import contextlib
import hashlib
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from rag import store
from rag.audience import checked_audience
from rag.canary import Canary
from rag.errors import (
    IndexUnavailable,
    ModelUnavailable,
    NoEarlierVersion,
    SourceUnknown,
    SourceUnreadable,
)
from rag.ingest import Ingest, WithdrawnMeanwhile
from rag.intake import NAME_CHARS_MAX, Parts, Publisher
from rag.load import refuse_unfit
from rag.load.web import name_of
from rag.reembed import Reembedding
from rag.spaces import Space
from rag.types import (
    CheckReport,
    Page,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Upload,
    Words,
)
from storage.database import DatabaseError
from storage.failpoints import reach_async
from storage.ids import new_id
from storage.text import repair_text, without_hidden

log = structlog.get_logger()

T = TypeVar("T")
PAGE_MAX = 200


@dataclass(frozen=True, slots=True)
class Building:
    """A space that is to take the live one's place; `replaced` is awaited with the old one."""

    space: Space
    replaced: Callable[[Space], Awaitable[None]]


class Knowledge:
    """Documents of one base. `add` and `retire` work at once; `run` takes in what was added, one
    document at a time in the order of its arrival, and watches over the index."""

    def __init__(self, parts: Parts, building: Building | None = None) -> None:
        self._parts = parts
        self._publisher = Publisher(parts)
        self._ingest = Ingest(parts, self._publisher)
        self._canary = Canary(parts, self._publisher)
        self._reembedding = building and Reembedding(
            parts, self._publisher, building.space, replaced=building.replaced
        )
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def index_state(self) -> str:
        """ "ok", or why vectors cannot be trusted now."""
        return self._canary.state

    async def reembedding(self) -> str:
        """How far the change to another embedder got; empty when there is none."""
        return await self._reembedding.progress() if self._reembedding else ""

    def suspect_index(self) -> None:
        """Have the index checked soon: a question met one that did not answer."""
        self._canary.suspect()

    async def add(self, upload: Upload) -> RevisionStatus:
        """Keep the document and queue it. The same bytes and labels as the live or waiting version
        of that name are that version. Raises SourceUnreadable for what cannot be taken at all."""
        name = _name(upload.name)
        refuse_unfit(name, upload.content)
        _refuse_address(upload.url)
        audience = None if upload.audience is None else checked_audience(upload.audience)
        await self._refuse_many()
        new = store.NewRevision(
            revision_id=new_id(),
            source_id=new_id(),
            name=name,
            title=repair_text(upload.title or "").strip(),
            url=upload.url,
            language=upload.language,
            audience=audience,
            content_hash=hashlib.sha256(upload.content).hexdigest(),
            file_name=f"{new_id()}.bin",
            created_at=self._parts.clock(),
        )
        database = self._parts.database
        if known := await database.read(lambda session: store.find_same(session, new)):
            return await self.progress(known.id)
        path = self._parts.files / new.file_name
        await asyncio.to_thread(_write_file, path, upload.content)
        await reach_async("K1")
        revision = await database.write(lambda session: store.hand_in(session, new))
        await reach_async("K2")
        if revision.id != new.revision_id:  # the same document came twice at once
            await asyncio.to_thread(path.unlink)
        self._idle.clear()
        self._wake.set()
        return await self.progress(revision.id)

    async def pages(self, url: str) -> list[str]:
        """The addresses of pages that `url` stands for: itself, or what it names if it is a
        sitemap. Raises SourceUnreadable."""
        return await self._parts.fetcher.pages(url)

    async def add_page(self, page: Page) -> RevisionStatus:
        """Fetch a web page and hand it in under its address. Raises SourceUnreadable."""
        fetched = await self._parts.fetcher.page(page.url)
        return await self.add(
            Upload(
                name=name_of(page.url, fetched.suffix),
                content=fetched.content,
                url=fetched.url,
                language=page.language,
                audience=page.audience,
            )
        )

    async def progress(self, revision_id: str) -> RevisionStatus:
        """How far a version got. Raises SourceUnknown."""
        status = await self._parts.database.read(
            lambda session: store.find_revision(session, revision_id)
        )
        if status is None:
            raise SourceUnknown(revision_id)
        return status

    async def sources(self, *, after: str = "", limit: int = 50) -> list[SourceSummary]:
        """The sources that are not retired, oldest first, from the id `after` on."""
        size = max(1, min(limit, PAGE_MAX))
        return await self._parts.database.read(
            lambda session: store.list_sources(session, after=after, limit=size)
        )

    async def show(self, source_id: str) -> SourceDetail:
        """A source with its versions and passages. Raises SourceUnknown."""
        detail = await self._parts.database.read(
            lambda session: store.show_source(session, source_id)
        )
        if detail is None:
            raise SourceUnknown(source_id)
        return detail

    async def retire(self, source_id: str) -> None:
        """Withdraw a source: when this returns, no new answer uses it. Raises SourceUnknown."""
        await self._publisher.retire(source_id)

    async def roll_back(self, source_id: str, revision_id: str | None = None) -> RevisionStatus:
        """Answer from an earlier version again: the one named, else the last one before the live
        one. At once where its vectors are kept; else it is queued. Raises SourceUnknown,
        NoEarlierVersion, IndexUnavailable."""
        database = self._parts.database
        if await database.read(lambda session: store.load_source(session, source_id)) is None:
            raise SourceUnknown(source_id)
        revision = await database.read(
            lambda session: store.find_earlier(session, source_id, revision_id)
        )
        if revision is None:
            raise NoEarlierVersion(source_id)
        if not await self._ingest.is_embedded(revision):  # by the embedder that is searched with
            await database.write(lambda session: store.reopen(session, revision.id))
            self._idle.clear()
            self._wake.set()
            return await self.progress(revision.id)
        async with self._publisher.lock:
            await database.write(lambda session: store.give_own_audience(session, revision.id))
            places = await self._ingest.index(revision)
            if not await self._publisher.roll_back(revision, places):
                raise NoEarlierVersion(source_id)
        return await self.progress(revision.id)

    async def set_audience(self, source_id: str, audience: str) -> None:
        """Say who may read a source, in all of its versions. Whoever may no longer is told nothing
        of it from the moment this returns. Raises SourceUnknown, SourceUnreadable."""
        checked_audience(audience)
        database = self._parts.database
        source = await database.read(lambda session: store.load_source(session, source_id))
        if source is None:
            raise SourceUnknown(source_id)
        if source.audience == audience:
            return
        await self._publisher.set_audience(source_id, audience)
        try:
            async with self._publisher.lock:
                await self._move_vectors(source_id)
                await self._publisher.prune()
        except IndexUnavailable:  # keywords find it meanwhile, and a rebuild puts it right
            self._canary.suspect()

    async def _move_vectors(self, source_id: str) -> None:
        source = await self._parts.database.read(
            lambda session: store.load_source(session, source_id)
        )
        if source is None or source.live_revision_id is None:
            return
        live = source.live_revision_id
        chunks = await self._parts.database.read(lambda session: store.stored_chunks(session, live))
        await self._ingest.put(sorted({(chunk.audience, chunk.content_hash) for chunk in chunks}))

    async def check(self, *, rebuild: bool = False) -> CheckReport:
        """Ask a sample of vectors back from the index; with `rebuild`, first make the index anew
        from the store. Raises IndexUnavailable where even that fails."""
        return await self._canary.check(rebuild=rebuild)

    async def wait_idle(self) -> None:
        """Until all that was added is live, failed or withdrawn. `run` must be running."""
        while await self._parts.database.read(store.open_count):
            self._idle.clear()
            self._wake.set()
            await self._idle.wait()

    async def run(self) -> None:
        """Take documents in and keep the index right, until cancelled."""
        await self._until_done(self._publisher.settle)
        await asyncio.to_thread(self._parts.files.mkdir, parents=True, exist_ok=True)
        await self._remove_lost_files()
        async with asyncio.TaskGroup() as tasks:
            if self._reembedding:
                tasks.create_task(self._reembedding.run())
            tasks.create_task(self._canary.watch())
            tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            if not await self._until_done(self._take_next):
                self._idle.set()
                await self._wake.wait()

    async def _take_next(self) -> bool:
        """Whether there was one to take in."""
        database = self._parts.database
        revision = await database.read(store.next_open)
        if revision is None:
            return False
        if revision.attempts >= self._parts.limits.attempts_max:
            times = revision.attempts
            reason = Words(
                f"It failed {times} times and was given up.", f"已失败 {times} 次，不再尝试。"
            )
            await self._give_up(revision, reason)
            return True
        begun = await database.write(lambda session: store.begin_attempt(session, revision.id))
        if begun is not None:
            await self._attempt(begun)
        return True

    async def _attempt(self, revision: store.Revision) -> None:
        try:
            await self._ingest.take_in(revision)
        except SourceUnreadable as error:
            await self._give_up(revision, error.reason)
        except WithdrawnMeanwhile:
            log.info("withdrawn while it was taken in", revision=revision.id)
        except (IndexUnavailable, ModelUnavailable, DatabaseError, asyncio.CancelledError):
            await self._parts.database.write(
                lambda session: store.park_revision(session, revision.id)
            )
            raise
        except Exception:
            log.exception("taking in a document failed", revision=revision.id)

    async def _refuse_many(self) -> None:
        most = self._parts.limits.waiting_max
        if await self._parts.database.read(store.open_count) >= most:
            raise SourceUnreadable(
                f"{most:,} documents wait to be read already."
                " Try again when some of them are live.",
                f"已有 {most:,} 个文档在等待读取。请在其中一部分上线后再试。",
            )

    async def _give_up(self, revision: store.Revision, reason: Words) -> None:
        log.info("document not taken in", revision=revision.id, reason=reason.en)
        await self._parts.database.write(
            lambda session: store.fail_revision(session, revision.id, reason)
        )
        if revision.state == "verifying":  # its vectors may be in the index
            await self._publisher.forget(revision.id)

    async def _until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """What `step` gives, tried again for as long as what it needs is down."""
        limits = self._parts.limits
        wait_s = limits.retry_wait_s
        while True:
            try:
                return await step()
            except (IndexUnavailable, ModelUnavailable, DatabaseError) as error:
                log.warning("taking documents in waits", reason=str(error))
                self._canary.suspect()
            except Exception:  # the base must not stop taking documents in for good
                log.exception("taking documents in failed")
            await asyncio.sleep(random.uniform(0, wait_s))
            wait_s = min(wait_s * 2, limits.retry_wait_s_max)

    async def _remove_lost_files(self) -> None:
        """Files whose upload died before its row was committed."""
        kept = await self._parts.database.read(store.file_names)
        oldest = time.time() - self._parts.limits.file_age_s_min
        await asyncio.to_thread(_remove_others, self._parts.files, kept, oldest)


def _name(name: str) -> str:
    """The name as a label: it never becomes a path."""
    clean = without_hidden(repair_text(name)).replace("\n", " ").strip()
    if not clean:
        raise SourceUnreadable("The document has no name.", "文档没有名称。")
    if len(clean) > NAME_CHARS_MAX:
        raise SourceUnreadable(
            f"Its name is longer than {NAME_CHARS_MAX} characters. Shorten it.",
            f"名称超过 {NAME_CHARS_MAX} 个字符。请缩短。",
        )
    return clean


def _refuse_address(url: str | None) -> None:
    if url is not None and not url.startswith(("https://", "http://")):
        raise SourceUnreadable(
            "Its address does not begin with https:// or http://.",
            "网址不以 https:// 或 http:// 开头。",
        )


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove_others(folder: Path, kept: set[str], oldest: float) -> None:
    for path in folder.glob("*.bin"):
        with contextlib.suppress(FileNotFoundError):
            if path.name not in kept and path.stat().st_mtime < oldest:
                path.unlink()
