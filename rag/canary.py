"""Is the index what the store says it is? And if not: made anew from the store.

An index can open as if nothing had happened and find nothing, or the wrong things. So a sample of
vectors is asked back, at the start and every ten minutes, and each must find itself.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence

import structlog

from rag import store
from rag.errors import RagError
from rag.index import Vector
from rag.intake import Parts, Publisher, stored_vectors
from rag.split import embedded_text
from rag.store import Place
from rag.types import CheckReport
from storage.database import DatabaseError

log = structlog.get_logger()


class Canary:
    """Checks the index and rebuilds it. While `state` is not "ok", answers come from keywords."""

    def __init__(self, parts: Parts, publisher: Publisher) -> None:
        self._parts = parts
        self._publisher = publisher
        self.state = "not checked yet"
        self._suspected = asyncio.Event()

    def suspect(self) -> None:
        """Check soon: somebody met an index that did not do its work."""
        self.state = "it failed a question; being checked"
        self._suspected.set()

    async def watch(self) -> None:
        """Check for as long as the base is open, and rebuild what is not right."""
        limits = self._parts.limits
        failures = 0
        while True:
            self._suspected.clear()
            try:
                healthy = failures <= limits.failures_max and (await self.check()).healthy
                if not healthy:
                    await self.check(rebuild=True)
                failures = 0
                await self._pause(limits.canary_wait_s)
            except (RagError, DatabaseError) as error:
                self.state = str(error)
                failures += 1
                log.warning("the index cannot be checked", reason=str(error), failures=failures)
                wait_s = min(limits.retry_wait_s * 2**failures, limits.retry_wait_s_max)
                await asyncio.sleep(random.uniform(0, wait_s))

    async def _pause(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._suspected.wait()

    async def check(self, *, rebuild: bool = False) -> CheckReport:
        """Raises IndexUnavailable, ModelUnavailable or a DatabaseError."""
        async with self._publisher.lock:
            embedded = await self._rebuild() if rebuild else 0
            report = await self._probe(rebuilt=rebuild, embedded=embedded)
            if not report.healthy:  # a withdrawal may have come between two of its questions
                report = await self._probe(rebuilt=rebuild, embedded=embedded)
        self.state = "ok" if report.healthy else report.detail
        log.info("index checked", healthy=report.healthy, wrong=report.wrong, rebuilt=rebuild)
        return report

    async def _probe(self, *, rebuilt: bool, embedded: int) -> CheckReport:
        database, limits = self._parts.database, self._parts.limits
        space = self._parts.spaces.live
        await self._publisher.prune(await database.read(store.verifying_places))
        totals = await database.read(store.count_live)
        missing = await database.read(
            lambda session: store.live_missing(session, space.fingerprint)
        )
        places = await database.read(
            lambda session: store.sample_live_places(session, limits.probes, random.Random())
        )
        sample = await self._vectors(places)
        wrong = missing + await space.index.check(sample, totals=totals)
        total = sum(totals.values())
        return CheckReport(
            healthy=wrong == 0,
            chunks=total,
            probed=sum(map(len, sample.values())),
            wrong=wrong,
            rebuilt=rebuilt,
            embedded=embedded,
            detail=f"{wrong} of {total} vectors are missing or wrong" if wrong else "ok",
        )

    async def _rebuild(self) -> int:
        """A new index from the store; how many vectors had to be made for it."""
        index = self._parts.spaces.live.index
        await index.reset()
        embedded, after = 0, ("", "")
        size = self._parts.limits.rows_per_page
        while page := await self._parts.database.read(
            lambda session, after=after: store.live_places(session, after=after, limit=size)
        ):
            embedded += await self._embed(sorted({content_hash for _, content_hash in page}))
            for audience, vectors in (await self._vectors(page)).items():
                await index.put(audience, vectors)
            after = page[-1]
        return embedded

    async def _embed(self, hashes: Sequence[str]) -> int:
        """Make and keep the vectors that are missing; how many."""
        database, space = self._parts.database, self._parts.spaces.live
        known = await database.read(
            lambda session: store.vectors(session, hashes, space.fingerprint)
        )
        unknown = [name for name in hashes if name not in known]
        chunks = await database.read(lambda session: store.live_texts(session, unknown))
        missing = sorted(chunks.values(), key=lambda chunk: len(chunk.text))
        size = self._parts.limits.embed_batch
        for start in range(0, len(missing), size):
            some = missing[start : start + size]
            rows = await space.batcher.embed_documents([_embedded(chunk) for chunk in some])
            made = {chunk.content_hash: row for chunk, row in zip(some, rows, strict=True)}
            await database.write(
                lambda session, made=made: store.save_embeddings(session, space.fingerprint, made)
            )
        return len(missing)

    async def _vectors(self, places: Sequence[Place]) -> dict[str, dict[str, Vector]]:
        """Stored vectors by audience; those never made are left out."""
        return await stored_vectors(self._parts, self._parts.spaces.live, places)


def _embedded(chunk: store.LiveChunk) -> str:
    return embedded_text(chunk.heading_path, chunk.text, is_wording=chunk.entry_id is not None)
