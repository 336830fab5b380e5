"""Going over to another embedder without a gap: its index is built beside the live one.

Questions are answered from the live space until the new one holds every live text and its vectors
have been asked back. Then one row changes. Vectors are kept for good, so going back to the old
embedder costs an index and no embedding.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog

from rag import store
from rag.errors import RagError
from rag.index import Vector
from rag.intake import Parts, Publisher, stored_vectors
from rag.spaces import Space
from rag.split import embedded_text
from rag.store import Place
from storage.database import DatabaseError

log = structlog.get_logger()

_LEFT_FOR_THE_END = 200  # places that may be missing when publishing is held up for the change


class Reembedding:
    """Builds `space` and makes it the live one. `replaced` is awaited with the old one after."""

    def __init__(
        self,
        parts: Parts,
        publisher: Publisher,
        space: Space,
        *,
        replaced: Callable[[Space], Awaitable[None]],
    ) -> None:
        self._parts = parts
        self._publisher = publisher
        self._space = space
        self._replaced = replaced
        self._put: set[Place] = set()
        self._reason = ""

    async def progress(self) -> str:
        """How far it got, in words; empty when it is done."""
        if self._parts.spaces.live is self._space:
            return ""
        total = sum((await self._parts.database.read(store.count_live)).values())
        trouble = f"; it waits: {self._reason}" if self._reason else ""
        return f"{len(self._put)} of {total} passages are ready for the new embedder{trouble}"

    async def run(self) -> None:
        """Until the change is made; what is down is tried again."""
        limits = self._parts.limits
        wait_s = limits.retry_wait_s
        while self._parts.spaces.live is not self._space:
            try:
                await self._build()
                old = await self._change()
            except (RagError, DatabaseError) as error:
                self._reason = str(error)
                log.warning("the new embedder's index waits", reason=self._reason)
                await asyncio.sleep(random.uniform(0, wait_s))
                wait_s = min(wait_s * 2, limits.retry_wait_s_max)
                continue
            if old is not None:
                await self._parts.changed()
                await self._parts.spaces.unused(old)
                await self._replaced(old)

    async def _build(self) -> None:
        """Put what is live and not there yet, until next to nothing came in meanwhile."""
        missing = await self._missing()
        while missing:
            await self._take(missing)
            if len(missing) <= _LEFT_FOR_THE_END:
                return
            missing = await self._missing()

    async def _missing(self) -> list[Place]:
        live: set[Place] = set()
        after, size = ("", ""), self._parts.limits.rows_per_page
        while page := await self._parts.database.read(
            lambda session, after=after: store.live_places(session, after=after, limit=size)
        ):
            live.update(page)
            after = page[-1]
        await self._remove(sorted(self._put - live))
        return sorted(live - self._put)

    async def _take(self, places: Sequence[Place]) -> None:
        size = self._parts.limits.rows_per_page
        for start in range(0, len(places), size):
            some = places[start : start + size]
            vectors = await self._vectors(sorted({content_hash for _, content_hash in some}))
            for audience in sorted({audience for audience, _ in some}):
                held = {h: vectors[h] for a, h in some if a == audience and h in vectors}
                await self._space.index.put(audience, held)
                self._put |= {(audience, content_hash) for content_hash in held}
            self._reason = ""

    async def _remove(self, places: Sequence[Place]) -> None:
        for audience in sorted({audience for audience, _ in places}):
            await self._space.index.remove(audience, [h for a, h in places if a == audience])
        self._put.difference_update(places)

    async def _vectors(self, hashes: Sequence[str]) -> dict[str, Vector]:
        """Stored ones, and those made anew for texts that are still live."""
        database, space = self._parts.database, self._space
        found = await database.read(
            lambda session: store.vectors(session, hashes, space.fingerprint)
        )
        texts = await database.read(
            lambda session: store.live_texts(session, [h for h in hashes if h not in found])
        )
        waiting = sorted(texts.values(), key=lambda chunk: len(chunk.text))
        size = self._parts.limits.embed_batch
        for start in range(0, len(waiting), size):
            some = waiting[start : start + size]
            rows = await space.batcher.embed_documents(
                [
                    embedded_text(c.heading_path, c.text, is_wording=c.entry_id is not None)
                    for c in some
                ]
            )
            made = {chunk.content_hash: row for chunk, row in zip(some, rows, strict=True)}
            await database.write(
                lambda session, made=made: store.save_embeddings(session, space.fingerprint, made)
            )
            found |= made
        return found

    async def _change(self) -> Space | None:
        """With publishing held up: the rest, the check, and the one row. None if too much was
        published meanwhile. Raises what index or store raise; then the old space goes on."""
        parts = self._parts
        async with self._publisher.lock:
            missing = await self._missing()
            if len(missing) > _LEFT_FOR_THE_END:
                return None
            await self._take(missing)
            if wrong := await self._wrong():
                self._put = set()
                await self._space.index.reset()
                raise RagError(f"{wrong} vectors of the new index were missing or wrong")
            recipe, now = self._space.recipe, parts.clock()
            await parts.database.write(
                lambda session: store.switch_space(
                    session, self._space.fingerprint, recipe, now=now
                )
            )
            old, parts.spaces.live = parts.spaces.live, self._space
        log.info("embedder replaced", old=old.fingerprint, new=self._space.fingerprint)
        return old

    async def _wrong(self) -> int:
        database, probes = self._parts.database, self._parts.limits.probes
        totals = await database.read(store.count_live)
        places = random.sample(sorted(self._put), min(probes, len(self._put)))
        sample = await stored_vectors(self._parts, self._space, places)
        return await self._space.index.check(sample, totals=totals)
