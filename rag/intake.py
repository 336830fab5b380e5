"""What taking documents in needs, its limits, and the two steps that change what is live.

`Publisher` is the only one that publishes and withdraws. The order never varies: announce, raise
the gateway's floor, commit, tell, take vectors out. Whoever dies in between leaves the base safe:
a floor too high is settled at the next start, a vector too many leads to no text.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlmodel import Session

from rag import store
from rag.errors import IndexUnavailable, SourceUnknown
from rag.index import Vector
from rag.load.guard import Guard, WebHosts
from rag.load.web import Fetcher
from rag.sandbox import ParserLimits
from rag.spaces import Space, Spaces
from rag.split import SplitLimits
from rag.store import Place
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
    waiting_max: int = 5_000  # documents handed in and not yet taken in
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


def _fetcher() -> Fetcher:
    return Fetcher(Guard(WebHosts()))


async def _nothing() -> None:
    """Stands in for a keyword index where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a knowledge base is made of. `raise_floor` must not return before no answer below that
    version can be sent any more; `changed` is awaited after each commit that changes what is
    live."""

    database: Database
    spaces: Spaces
    files: Path
    fetcher: Fetcher = field(default_factory=_fetcher)
    raise_floor: Callable[[int], Awaitable[None]] = _nobody
    changed: Callable[[], Awaitable[None]] = _nothing
    clock: Callable[[], dt.datetime] = utc_now
    limits: IntakeLimits = field(default_factory=IntakeLimits)


class Publisher:
    """Changes what is live, one change at a time.

    Whoever holds `lock` sees index and store agree: vectors are put, published and taken out under
    it. A withdrawal does not wait for it, since text is withdrawn by the store alone.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.lock = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._lingering: set[Place] = set()

    async def publish(self, revision: store.Revision, places: Sequence[Place]) -> None:
        """Answer from this revision from now on. The caller holds `lock` and has put its vectors
        at `places`; if it was withdrawn meanwhile, they go again."""
        withdraws = await self._parts.database.read(
            lambda session: store.has_live(session, revision.source_id)
        )
        published = await self._change(
            lambda session, version: store.publish(session, revision.id, expected_version=version),
            withdraws=withdraws,
        )
        await self._take_out(published.withdrawn if published else places)

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
        await self._take_out_soon(published)

    async def roll_back(self, revision: store.Revision, places: Sequence[Place]) -> bool:
        """Answer from this earlier revision again; False if that cannot be done. The caller holds
        `lock` and has put its vectors at `places`."""
        published = await self._change(
            lambda session, version: store.roll_back(
                session, revision.id, expected_version=version
            ),
            withdraws=True,
        )
        await self._take_out(published.withdrawn if published else places)
        return published is not None

    async def set_audience(self, source_id: str, audience: str) -> None:
        """Let that audience read the source. Whoever may no longer is told nothing of it from the
        moment this returns."""
        published = await self._change(
            lambda session, version: store.set_audience(
                session, source_id, audience, expected_version=version
            ),
            withdraws=True,
        )
        await self._take_out_soon(published)

    async def settle(self) -> None:
        """Make up for a change that was announced and did not happen."""
        if await self._parts.database.write(store.settle):
            log.warning("a change of the knowledge base was cut off and settled")
            await self._tell()

    async def forget(self, revision_id: str) -> None:
        """Take the vectors of a revision out that was given up on its last step."""
        chunks = await self._parts.database.read(
            lambda session: store.stored_chunks(session, revision_id)
        )
        async with self.lock:
            await self._take_out([(chunk.audience, chunk.content_hash) for chunk in chunks])

    async def prune(self, places: Iterable[Place] = ()) -> None:
        """Take those vectors out that no live chunk uses: of `places`, and what lingers from
        before. Raises IndexUnavailable; then they linger on. The caller holds `lock`."""
        self._lingering.update(places)
        wanted = tuple(self._lingering)
        unused = await self._parts.database.read(
            lambda session: store.unused_places(session, wanted)
        )
        for audience in sorted({audience for audience, _ in unused}):
            gone = [content_hash for one, content_hash in unused if one == audience]
            await self._parts.spaces.live.index.remove(audience, gone)
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

    async def _take_out_soon(self, published: store.Published | None) -> None:
        if self.lock.locked():  # a document is being published, or the index made anew
            self._lingering.update(published.withdrawn if published else ())
            return
        async with self.lock:
            await self._take_out(published.withdrawn if published else ())

    async def _take_out(self, places: Sequence[Place]) -> None:
        try:
            await self.prune(places)
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


async def stored_vectors(
    parts: Parts, space: Space, places: Iterable[Place]
) -> dict[str, dict[str, Vector]]:
    """The vectors of that space by audience and hash; those never made are left out."""
    wanted = list(places)
    hashes = sorted({content_hash for _, content_hash in wanted})
    found = await parts.database.read(
        lambda session: store.vectors(session, hashes, space.fingerprint)
    )
    by_audience: dict[str, dict[str, Vector]] = {}
    for audience, content_hash in wanted:
        if content_hash in found:
            by_audience.setdefault(audience, {})[content_hash] = found[content_hash]
    return by_audience
