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
from rag.intake import Parts, Publisher
from rag.split import embedded_text
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
        await self._publisher.prune(await database.read(store.verifying_hashes))
        total = await database.read(store.count_live_hashes)
        missing = await database.read(
            lambda session: store.live_missing(session, self._parts.fingerprint)
        )
        names = await database.read(
            lambda session: store.sample_live_hashes(session, limits.probes, random.Random())
        )
        sample = await self._vectors(names)
        wrong = missing + await self._parts.index.check(sample, total=total)
        return CheckReport(
            healthy=wrong == 0,
            chunks=total,
            probed=len(sample),
            wrong=wrong,
            rebuilt=rebuilt,
            embedded=embedded,
            detail=f"{wrong} of {total} vectors are missing or wrong" if wrong else "ok",
        )

    async def _rebuild(self) -> int:
        """A new index from the store; how many vectors had to be made for it."""
        await self._parts.index.reset()
        embedded, after = 0, ""
        size = self._parts.limits.rows_per_page
        while page := await self._parts.database.read(
            lambda session, after=after: store.live_hashes(session, after=after, limit=size)
        ):
            vectors = await self._vectors(page)
            made = await self._embed([name for name in page if name not in vectors])
            await self._parts.index.put(vectors | made)
            embedded, after = embedded + len(made), page[-1]
        return embedded

    async def _embed(self, hashes: Sequence[str]) -> dict[str, Vector]:
        parts, size = self._parts, self._parts.limits.embed_batch
        chunks = await parts.database.read(lambda session: store.live_texts(session, hashes))
        missing = sorted(chunks.values(), key=lambda chunk: len(chunk.text))
        made: dict[str, Vector] = {}
        for start in range(0, len(missing), size):
            some = missing[start : start + size]
            rows = await parts.batcher.embed_documents(
                [embedded_text(chunk.heading_path, chunk.text) for chunk in some]
            )
            new = {chunk.content_hash: row for chunk, row in zip(some, rows, strict=True)}
            await parts.database.write(
                lambda session, new=new: store.save_embeddings(session, parts.fingerprint, new)
            )
            made |= new
        return made

    async def _vectors(self, hashes: Sequence[str]) -> dict[str, Vector]:
        return await self._parts.database.read(
            lambda session: store.vectors(session, hashes, self._parts.fingerprint)
        )
