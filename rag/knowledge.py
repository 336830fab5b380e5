"""The knowledge base as the rest sees it: documents in, shown, out; and the worker behind it."""

import asyncio
import contextlib
import hashlib
import os
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from rag import store
from rag.canary import Canary
from rag.errors import IndexUnavailable, ModelUnavailable, SourceUnknown, SourceUnreadable
from rag.ingest import Ingest, WithdrawnMeanwhile
from rag.intake import NAME_CHARS_MAX, Parts, Publisher
from rag.load import refuse_unfit
from rag.types import CheckReport, RevisionStatus, SourceDetail, SourceSummary, Upload
from storage.database import DatabaseError
from storage.failpoints import reach_async
from storage.ids import new_id
from storage.text import repair_text, without_hidden

log = structlog.get_logger()

T = TypeVar("T")
PAGE_MAX = 200


class Knowledge:
    """Documents of one base. `add` and `retire` work at once; `run` takes in what was added, one
    document at a time in the order of its arrival, and watches over the index."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._publisher = Publisher(parts)
        self._ingest = Ingest(parts, self._publisher)
        self._canary = Canary(parts, self._publisher)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def index_state(self) -> str:
        """ "ok", or why vectors cannot be trusted now."""
        return self._canary.state

    def suspect_index(self) -> None:
        """Have the index checked soon: a question met one that did not answer."""
        self._canary.suspect()

    async def add(self, upload: Upload) -> RevisionStatus:
        """Keep the document and queue it. The same bytes and labels as the live or waiting version
        of that name are that version. Raises SourceUnreadable for what cannot be taken at all."""
        name = _name(upload.name)
        refuse_unfit(name, upload.content)
        _refuse_address(upload.url)
        new = store.NewRevision(
            revision_id=new_id(),
            source_id=new_id(),
            name=name,
            title=repair_text(upload.title or "").strip(),
            url=upload.url,
            language=upload.language,
            audience=upload.audience,
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
            await self._give_up(revision, f"It failed {revision.attempts} times and was given up.")
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

    async def _give_up(self, revision: store.Revision, reason: str) -> None:
        log.info("document not taken in", revision=revision.id, reason=reason)
        await self._parts.database.write(
            lambda session: store.fail_revision(session, revision.id, reason)
        )

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
        raise SourceUnreadable("The document has no name.")
    if len(clean) > NAME_CHARS_MAX:
        raise SourceUnreadable(f"Its name is longer than {NAME_CHARS_MAX} characters. Shorten it.")
    return clean


def _refuse_address(url: str | None) -> None:
    if url is not None and not url.startswith(("https://", "http://")):
        raise SourceUnreadable("Its address does not begin with https:// or http://.")


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
