"""Small knowledge bases that can be asked: the product's own parts without its processes."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlmodel import Session

from rag import store
from rag.answer import Librarian
from rag.budget import Budget, BudgetLimits
from rag.embed import HashEmbedder, MicroBatcher
from rag.index import MemoryIndex
from rag.language import detect
from rag.ports import Embedder, LanguageModel
from rag.retrieve import Retriever
from rag.spaces import Space, Spaces
from rag.split import Splitter, heading_line
from rag.writer import ModelWriter
from storage.database import Database
from storage.ids import new_id
from tests.rag.stored import new_revision

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


@dataclass
class Base:
    """A librarian on a memory index, with the means to change what it knows."""

    database: Database
    librarian: Librarian
    index: MemoryIndex
    embedder: Embedder

    @property
    def retriever(self) -> Retriever:
        return self.librarian.retriever

    async def publish(
        self, name: str, markdown: str, *, audience: str = "public", refresh: bool = True
    ) -> str:
        """Take a document in by the store's own steps; the source's id."""
        pieces = Splitter(self.embedder.count_tokens).split(markdown)
        title = pieces[0].heading_path[0] if pieces[0].heading_path else name
        new = new_revision(name, markdown, title=title, audience=audience)
        chunks = [
            store.NewChunk(
                chunk_id=new_id(),
                ordinal=ordinal,
                heading_path=piece.heading_path,
                text=piece.text,
                kind=piece.kind,
                language=detect(piece.text),
                content_hash=piece.content_hash,
            )
            for ordinal, piece in enumerate(pieces)
        ]
        texts = [f"{heading_line(piece.heading_path)}\n{piece.text}".strip() for piece in pieces]
        vectors = await asyncio.to_thread(self.embedder.embed, texts, "document")
        hashes = [piece.content_hash for piece in pieces]
        await self.index.put(audience, dict(zip(hashes, vectors, strict=True)))
        source_id = await self.database.write(lambda session: _publish(session, new, chunks))
        if refresh:
            await self.retriever.refresh()
        return source_id

    async def withdraw(self, source_id: str) -> None:
        """Retire a source in SQL alone: vectors and keywords linger until the next refresh."""
        version = await self.database.read(store.knowledge_version)
        await self.database.write(
            lambda session: store.retire(session, source_id, now=NOON, expected_version=version)
        )


@asynccontextmanager
async def open_base(
    database: Database,
    documents: Mapping[str, str] | None = None,
    *,
    embedder: Embedder | None = None,
    calibrate: bool = False,
    model: LanguageModel | None = None,
    budget: BudgetLimits | None = None,
) -> AsyncIterator[Base]:
    """A librarian that knows these documents, by name, and writes with `model` if there is one."""
    embedder = embedder or HashEmbedder(reads_chinese=False)
    batcher, index = MicroBatcher(embedder), MemoryIndex()
    retriever = Retriever(database, Spaces(Space(batcher, index)))
    tokens = Budget(database, budget or BudgetLimits(), lambda: NOON)
    writer = ModelWriter(model, tokens) if model else None
    librarian = Librarian(database, retriever, clock=lambda: NOON, writer=writer)
    base = Base(database, librarian, index, embedder)
    try:
        for name, markdown in (documents or {}).items():
            await base.publish(name, markdown, refresh=False)
        await retriever.refresh()
        if calibrate:
            await librarian.calibrator.calibrate()
        yield base
    finally:
        await librarian.close()
        batcher.close()


def _publish(session: Session, new: store.NewRevision, chunks: list[store.NewChunk]) -> str:
    revision = store.hand_in(session, new)
    store.begin_attempt(session, revision.id)
    store.save_chunks(session, revision.id, chunks)
    health = {"warnings": []}
    store.finish_parsing(session, revision.id, title=new.title, chunks=len(chunks), health=health)
    version = store.knowledge_version(session)
    store.publish(session, revision.id, expected_version=version)
    return revision.source_id
