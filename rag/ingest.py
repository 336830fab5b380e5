"""One revision on its way in: parse, split, store, embed, index, verify, publish.

Each step leaves its mark in the store, so that after a crash the next attempt goes on where the
last one stopped. Nothing is embedded that has been embedded before.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

import structlog

from rag import store
from rag.audience import checked_audience
from rag.errors import IndexUnavailable, SourceUnreadable
from rag.health import health_of
from rag.index import count_lost
from rag.intake import Parts, Publisher, stored_vectors
from rag.language import detect
from rag.load import Loaded
from rag.sandbox import load_in_child
from rag.spaces import Space
from rag.split import Piece, Splitter, embedded_text
from rag.store import Place
from rag.types import Health, Language
from storage.failpoints import reach_async
from storage.ids import new_id

log = structlog.get_logger()


class WithdrawnMeanwhile(Exception):
    """The revision is no longer wanted: there is nothing left to do."""


class Ingest:
    """Takes revisions in, one at a time.

    Raises SourceUnreadable (the document's fault), IndexUnavailable, ModelUnavailable or a
    DatabaseError (try again later), WithdrawnMeanwhile.
    """

    def __init__(self, parts: Parts, publisher: Publisher) -> None:
        self._parts = parts
        self._publisher = publisher

    async def take_in(self, revision: store.Revision) -> None:
        """The whole way, from the state that the revision is in."""
        if revision.state == "parsing":
            await self._parse(revision)
        while not await self._go_live(revision):
            log.info("the embedder was replaced meanwhile", revision=revision.id)

    async def _go_live(self, revision: store.Revision) -> bool:
        """Embed, index, verify, publish; False if the space was replaced on the way."""
        async with self._parts.spaces.using() as space:
            await self._embed(revision, space)
        _insist(
            await self._parts.database.write(
                lambda session: store.set_state(session, revision.id, "verifying")
            )
        )
        async with self._publisher.lock:
            if self._parts.spaces.live is not space:
                return False
            places = await self.index(revision)
            await reach_async("K6")
            await self._publisher.publish(revision, places)
        return True

    async def _parse(self, revision: store.Revision) -> None:
        database, limits = self._parts.database, self._parts.limits
        source = await database.read(lambda session: store.load_source(session, revision.source_id))
        name = source.name if source else revision.file_name
        content = await asyncio.to_thread(self._read_file, revision.file_name)
        await reach_async("K3")
        loaded = await load_in_child(name, content, limits.parser)
        for named in {entry.audience for entry in loaded.entries} - {None}:
            checked_audience(named or "")
        chunks, health = await asyncio.to_thread(self._cut, loaded, revision)
        for start in range(0, len(chunks), limits.rows_per_write):
            some = chunks[start : start + limits.rows_per_write]
            await database.write(
                lambda session, some=some: store.save_chunks(session, revision.id, some)
            )
        _insist(
            await database.write(
                lambda session: store.finish_parsing(
                    session,
                    revision.id,
                    title=revision.title or loaded.title,
                    chunks=len(chunks),
                    health=asdict(health),
                )
            )
        )
        await reach_async("K4")

    def _read_file(self, file_name: str) -> bytes:
        try:
            return (self._parts.files / file_name).read_bytes()
        except FileNotFoundError:
            raise SourceUnreadable(
                "Its stored file is gone. Upload the document again.",
                "保存的文件已丢失。请重新上传。",
            ) from None

    def _cut(self, loaded: Loaded, revision: store.Revision) -> tuple[list[store.NewChunk], Health]:
        embedder = self._parts.spaces.live.batcher.embedder
        splitter = Splitter(
            embedder.count_tokens,
            tokenizer=getattr(embedder, "tokenizer", None),
            limits=self._parts.limits.split,
        )
        named = cast("Language | None", revision.language)
        chunks: list[store.NewChunk] = []
        for piece in splitter.cut(loaded):
            entry_id = None if piece.wording_of is None else chunks[piece.wording_of].chunk_id
            chunks.append(_chunk(len(chunks), piece, named, entry_id))
        return chunks, health_of(loaded, chunks, embedder)

    async def _embed(self, revision: store.Revision, space: Space) -> None:
        parts, size = self._parts, self._parts.limits.embed_batch
        missing = await parts.database.read(
            lambda session: store.missing_texts(session, revision.id, space.fingerprint)
        )
        total = await parts.database.read(lambda session: store.count_chunks(session, revision.id))
        # Texts of one length in one batch: the encoder pads each batch to its longest text.
        missing.sort(key=lambda chunk: len(chunk.text))
        for start in range(0, len(missing), size):
            if parts.spaces.live is not space:
                return  # replaced meanwhile: its vectors are of no use any more
            some = missing[start : start + size]
            vectors = await space.batcher.embed_documents(
                [
                    embedded_text(c.heading_path, c.text, is_wording=c.entry_id is not None)
                    for c in some
                ]
            )
            made = {chunk.content_hash: row for chunk, row in zip(some, vectors, strict=True)}
            done = max(0, total - (len(missing) - start - len(some)))
            await parts.database.write(
                lambda session, made=made, done=done: store.save_embeddings(
                    session, space.fingerprint, made, revision_id=revision.id, chunks_done=done
                )
            )
            if start + len(some) >= len(missing) / 2:
                await reach_async("K5")

    async def index(self, revision: store.Revision) -> list[Place]:
        """Put the vectors that no live text has yet, and see that all of them are found; where
        one is not, the index has lost some: put all, and see again. Where they all lie. The caller
        holds the lock."""
        chunks = await self._parts.database.read(
            lambda session: store.stored_chunks(session, revision.id)
        )
        every = sorted({(chunk.audience, chunk.content_hash) for chunk in chunks})
        new = await self._parts.database.read(lambda session: store.unused_places(session, every))
        await self.put(new)
        if await self._lost(every):
            await self.put(every)
            if lost := await self._lost(every):
                raise IndexUnavailable(f"{lost} vectors were put and are not found")
        return every

    async def is_embedded(self, revision: store.Revision) -> bool:
        """Whether the live space has every vector of it."""
        fingerprint = self._parts.spaces.live.fingerprint
        return not await self._parts.database.read(
            lambda session: store.missing_texts(session, revision.id, fingerprint)
        )

    async def put(self, places: Sequence[Place]) -> None:
        """Put stored vectors into the live index. The caller holds the lock."""
        size, space = self._parts.limits.rows_per_page, self._parts.spaces.live
        for start in range(0, len(places), size):
            some = await stored_vectors(self._parts, space, places[start : start + size])
            for audience, vectors in some.items():
                await space.index.put(audience, vectors)

    async def _lost(self, places: Sequence[Place]) -> int:
        space = self._parts.spaces.live
        some = random.sample(places, min(self._parts.limits.probes, len(places)))
        return await count_lost(space.index, await stored_vectors(self._parts, space, some))


def _chunk(
    ordinal: int, piece: Piece, language: Language | None, entry_id: str | None
) -> store.NewChunk:
    return store.NewChunk(
        chunk_id=new_id(),
        ordinal=ordinal,
        heading_path=piece.heading_path,
        text=piece.text,
        kind=piece.kind,
        language=piece.language or language or detect(piece.text),
        content_hash=piece.content_hash,
        entry_id=entry_id,
        own_audience=piece.audience,
    )


def _insist(still_wanted: bool) -> None:
    if not still_wanted:
        raise WithdrawnMeanwhile
