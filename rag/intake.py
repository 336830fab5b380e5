"""What taking documents in needs, its limits, and the two steps that change what is live.

`Publisher` is the only one that publishes and withdraws. The order never varies: announce, raise
the gateway's floor, commit, tell, take vectors out. Whoever dies in between leaves the base safe:
a floor too high is settled at the next start, a vector too many leads to no text.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlmodel import Session

from rag import store
from rag.embed import MicroBatcher
from rag.errors import IndexUnavailable, SourceUnknown
from rag.ports import Index
from rag.sandbox import ParserLimits
from rag.split import SplitLimits
from storage.database import Database, DatabaseError
from storage.failpoints import reach_async
from storage.ids import utc_now

log = structlog.get_logger()

NAME_CHARS_MAX = 255
Change = Callable[[Session, int], store.Published | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLimits:
    """Of taking documents in."""

    parser: ParserLimits = field(default_factory=ParserLimits)
    split: SplitLimits = field(default_factory=SplitLimits)
    attempts_max: int = 3  # crashes and unforeseen errors; an index that is down does not count
    embed_batch: int = 8  # small, since a question waits for the batch that is being encoded
    rows_per_write: int = 500  # of chunks, so that no commit holds up others for long
    rows_per_page: int = 1_000  # of vectors on their way to the index
    probes: int = 64  # vectors that the canary asks back
    canary_wait_s: float = 600.0
    failures_max: int = 5  # checks in a row without an answer; then the index is made anew
    retry_wait_s: float = 1.0  # doubles up to `retry_wait_s_max` while index or embedder are down
    retry_wait_s_max: float = 60.0
    file_age_s_min: float = 3_600.0  # younger files without a revision may belong to an upload


async def _nobody(_floor: int) -> None:
    """Stands in for a gateway where there is none."""


async def _nothing() -> None:
    """Stands in for a keyword index where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a knowledge base is made of. `raise_floor` must not return before no answer below that
    version can be sent any more; `changed` is awaited after each commit that changes what is
    live."""

    database: Database
    batcher: MicroBatcher
    index: Index
    files: Path
    raise_floor: Callable[[int], Awaitable[None]] = _nobody
    changed: Callable[[], Awaitable[None]] = _nothing
    clock: Callable[[], dt.datetime] = utc_now
    limits: IntakeLimits = field(default_factory=IntakeLimits)

    @property
    def fingerprint(self) -> str:
        return self.batcher.embedder.fingerprint


class Publisher:
    """Changes what is live, one change at a time.

    Whoever holds `lock` sees index and store agree: vectors are put, published and taken out under
    it. A withdrawal does not wait for it, since text is withdrawn by the store alone.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.lock = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._lingering: set[str] = set()

    async def publish(self, revision: store.Revision) -> None:
        """Answer from this revision from now on. The caller holds `lock`."""
        withdraws = await self._parts.database.read(
            lambda session: store.has_live(session, revision.source_id)
        )
        published = await self._change(
            lambda session, version: store.publish(session, revision.id, expected_version=version),
            withdraws=withdraws,
        )
        await self._take_out(published)

    async def retire(self, source_id: str) -> None:
        """Take a source out of all answers; once more is no error. Raises SourceUnknown."""
        database, now = self._parts.database, self._parts.clock()
        source = await database.read(lambda session: store.load_source(session, source_id))
        if source is None:
            raise SourceUnknown(source_id)
        if source.retired_at is not None:
            return
        published = await self._change(
            lambda session, version: store.retire(
                session, source_id, expected_version=version, now=now
            ),
            withdraws=True,
        )
        if self.lock.locked():  # a document is being published, or the index made anew
            self._lingering.update(published.withdrawn_hashes if published else ())
        else:
            async with self.lock:
                await self._take_out(published)

    async def settle(self) -> None:
        """Make up for a change that was announced and did not happen."""
        if await self._parts.database.write(store.settle):
            log.warning("a change of the knowledge base was cut off and settled")
            await self._tell()

    async def prune(self, hashes: Iterable[str] = ()) -> None:
        """Take those vectors out that no live chunk uses: `hashes`, and what lingers from before.
        Raises IndexUnavailable; then they linger on. The caller holds `lock`."""
        self._lingering.update(hashes)
        wanted = tuple(self._lingering)
        unused = await self._parts.database.read(
            lambda session: store.unused_hashes(session, wanted)
        )
        if unused:
            await self._parts.index.remove(unused)
        self._lingering.difference_update(wanted)

    async def _change(self, change: Change, *, withdraws: bool) -> store.Published | None:
        async with self._changing:
            try:
                published = await self._commit(change, withdraws=withdraws)
            except BaseException:
                with contextlib.suppress(DatabaseError):  # then the next start settles it
                    await self.settle()
                raise
            await reach_async("K7")
            await self._tell()
            return published

    async def _take_out(self, published: store.Published | None) -> None:
        try:
            await self.prune(published.withdrawn_hashes if published else ())
        except IndexUnavailable as error:
            log.warning("withdrawn vectors stay for now", reason=str(error))

    async def _commit(self, change: Change, *, withdraws: bool) -> store.Published | None:
        database = self._parts.database
        while True:
            version = await database.read(store.knowledge_version)
            if withdraws:
                await database.write(lambda session, v=version: store.announce(session, v + 1))
                await self._parts.raise_floor(version + 1)
            try:
                return await database.write(lambda session, v=version: change(session, v))
            except store.VersionMoved:  # a commit we had given up on came through after all
                continue

    async def _tell(self) -> None:
        try:
            await self._parts.changed()
        except Exception:  # the base has changed all the same, and retired text is out by SQL
            log.exception("nobody could be told that the knowledge base changed")
