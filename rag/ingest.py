"""One revision on its way in: parse, split, store, embed, index, verify, publish.

Each step leaves its mark in the store, so that after a crash the next attempt goes on where the
last one stopped. Nothing is embedded that has been embedded before.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from rag import store
from rag.errors import IndexUnavailable, SourceUnreadable
from rag.index import Vector, count_lost
from rag.intake import Parts, Publisher
from rag.language import detect
from rag.load import Loaded
from rag.sandbox import load_in_child
from rag.split import Piece, Splitter, embedded_text
from rag.types import Health, Language
from storage.failpoints import reach_async
from storage.ids import new_id

_UNKNOWN_SHARE_WARN = 0.3
_HEALTH_CHARS = 20_000  # of a document, to tell the share of unknown tokens from


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
        embedder = parts.batcher.embedder
        self._splitter = Splitter(
            embedder.count_tokens,
            tokenizer=getattr(embedder, "tokenizer", None),
            limits=parts.limits.split,
        )

    async def take_in(self, revision: store.Revision) -> None:
        """The whole way, from the state that the revision is in."""
        if revision.state == "parsing":
            await self._parse(revision)
        await self._embed(revision)
        _insist(
            await self._parts.database.write(
                lambda session: store.set_state(session, revision.id, "verifying")
            )
        )
        async with self._publisher.lock:
            await self._index(revision)
            await reach_async("K6")
            await self._publisher.publish(revision)

    async def _parse(self, revision: store.Revision) -> None:
        database, limits = self._parts.database, self._parts.limits
        source = await database.read(lambda session: store.load_source(session, revision.source_id))
        name = source.name if source else revision.file_name
        content = await asyncio.to_thread(self._read_file, revision.file_name)
        await reach_async("K3")
        loaded = await load_in_child(name, content, limits.parser)
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
            raise SourceUnreadable("Its stored file is gone. Upload the document again.") from None

    def _cut(self, loaded: Loaded, revision: store.Revision) -> tuple[list[store.NewChunk], Health]:
        pieces = self._splitter.split(loaded.markdown)
        named = cast("Language | None", revision.language)
        chunks = [_chunk(ordinal, piece, named) for ordinal, piece in enumerate(pieces)]
        return chunks, self._health(loaded, chunks)

    def _health(self, loaded: Loaded, chunks: Sequence[store.NewChunk]) -> Health:
        languages: Counter[Language] = Counter(chunk.language for chunk in chunks)
        unknown = self._parts.batcher.embedder.unknown_share(loaded.markdown[:_HEALTH_CHARS])
        warnings = list(loaded.warnings)
        if unknown > _UNKNOWN_SHARE_WARN:
            warnings.append(
                f"The embedder does not know {unknown:.0%} of its words: only keywords find them."
            )
        return Health(
            characters=len(loaded.markdown),
            chunks=len(chunks),
            duplicate_share=1 - len({chunk.content_hash for chunk in chunks}) / len(chunks),
            language=languages.most_common(1)[0][0],
            unknown_token_share=unknown,
            warnings=tuple(warnings),
        )

    async def _embed(self, revision: store.Revision) -> None:
        parts, size = self._parts, self._parts.limits.embed_batch
        missing = await parts.database.read(
            lambda session: store.missing_texts(session, revision.id, parts.fingerprint)
        )
        total = await parts.database.read(lambda session: store.count_chunks(session, revision.id))
        # Texts of one length in one batch: the encoder pads each batch to its longest text.
        missing.sort(key=lambda chunk: len(chunk.text))
        for start in range(0, len(missing), size):
            some = missing[start : start + size]
            vectors = await parts.batcher.embed_documents(
                [embedded_text(chunk.heading_path, chunk.text) for chunk in some]
            )
            made = {chunk.content_hash: row for chunk, row in zip(some, vectors, strict=True)}
            done = max(0, total - (len(missing) - start - len(some)))
            await parts.database.write(
                lambda session, made=made, done=done: store.save_embeddings(
                    session, parts.fingerprint, made, revision_id=revision.id, chunks_done=done
                )
            )
            if start + len(some) >= len(missing) / 2:
                await reach_async("K5")

    async def _index(self, revision: store.Revision) -> None:
        """Put the vectors that no live text has yet, and see that all of them are found; where
        one is not, the index has lost some: put all, and see again."""
        chunks = await self._parts.database.read(
            lambda session: store.stored_chunks(session, revision.id)
        )
        every = sorted({chunk.content_hash for chunk in chunks})
        new = await self._parts.database.read(lambda session: store.unused_hashes(session, every))
        await self._put(new)
        if await self._lost(every):
            await self._put(every)
            if lost := await self._lost(every):
                raise IndexUnavailable(f"{lost} vectors were put and are not found")

    async def _put(self, hashes: Sequence[str]) -> None:
        size = self._parts.limits.rows_per_page
        for start in range(0, len(hashes), size):
            await self._parts.index.put(await self._vectors(hashes[start : start + size]))

    async def _lost(self, hashes: Sequence[str]) -> int:
        size = min(self._parts.limits.probes, len(hashes))
        return await count_lost(self._parts.index, await self._vectors(random.sample(hashes, size)))

    async def _vectors(self, hashes: Sequence[str]) -> dict[str, Vector]:
        return await self._parts.database.read(
            lambda session: store.vectors(session, hashes, self._parts.fingerprint)
        )


def _chunk(ordinal: int, piece: Piece, language: Language | None) -> store.NewChunk:
    return store.NewChunk(
        chunk_id=new_id(),
        ordinal=ordinal,
        heading_path=piece.heading_path,
        text=piece.text,
        kind=piece.kind,
        language=language or detect(piece.text),
        content_hash=piece.content_hash,
    )


def _insist(still_wanted: bool) -> None:
    if not still_wanted:
        raise WithdrawnMeanwhile
