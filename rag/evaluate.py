"""`kb eval`: a data set becomes a base of its own, is asked its questions, and is measured.

It is the product that is measured: the same splitting, indexes, calibration and decision. Only the
files of the base are temporary, and the vectors stay in memory.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlmodel import Session

from rag import store
from rag.answer import Librarian
from rag.audience import PUBLIC
from rag.embed import MicroBatcher
from rag.index import MemoryIndex
from rag.language import detect
from rag.measure import (
    EvalEntry,
    EvalOutcome,
    EvalQuery,
    EvalSet,
    Measures,
    by,
    measure,
    read_set,
)
from rag.ports import Embedder
from rag.retrieve import Retriever
from rag.spaces import Space, Spaces
from rag.split import Piece, Splitter, heading_line
from rag.types import CalibrationReport, Question
from storage.database import Database
from storage.ids import new_id, utc_now

OnProgress = Callable[[str, int, int], None]  # step, done, of how many

_DOCUMENTS_PER_COMMIT = 200
_TEXTS_PER_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalReport:
    """The figures of one data set: of all its queries, and by language and kind of query."""

    name: str
    split: str
    entries: int
    passages: int
    embedder: str
    overall: Measures
    per_language: Mapping[str, Measures]
    per_kind: Mapping[str, Measures]
    cross_language: Measures | None  # queries in another language than their passage
    calibration: CalibrationReport
    p50_ms: float
    p95_ms: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Document:
    """Entries of one group with their pieces."""

    name: str
    title: str
    pieces: Sequence[tuple[str, Piece]]  # entry id, piece


def evaluate_folder(
    folder: Path,
    *,
    embedder: Embedder,
    on_progress: OnProgress = lambda step, done, total: None,
    split: str = "test",
    limit: int | None = None,
) -> EvalReport:
    """The figures for the queries of `split` ("all" for every one), at most `limit` of them.

    Raises BadDataSet. Blocks, for minutes on a large set; not to be called from an event loop.
    """
    data = read_set(folder)
    queries = [one for one in data.queries if split in ("all", one.split)]
    if limit is not None:
        queries.sort(key=lambda one: hashlib.sha256(one.id.encode()).digest())
        queries = queries[:limit]
    with tempfile.TemporaryDirectory(prefix="tandem-eval-") as path:
        url = f"sqlite:///{path}/rag.sqlite"
        store.migrate(url)
        run = _Run(Database(url), embedder, on_progress)
        return asyncio.run(run.report(folder.name, split, data, queries))


class _Run:
    def __init__(self, database: Database, embedder: Embedder, on_progress: OnProgress) -> None:
        self.database = database
        self.embedder = embedder
        self.on_progress = on_progress
        self.entry_of: dict[str, str] = {}  # chunk id → entry id

    async def report(
        self, name: str, split: str, data: EvalSet, queries: Sequence[EvalQuery]
    ) -> EvalReport:
        batcher, index = MicroBatcher(self.embedder), MemoryIndex()
        retriever = Retriever(self.database, Spaces(Space(batcher, index)))
        librarian = Librarian(self.database, retriever)
        try:
            await self._take_in(data.entries, index)
            await retriever.refresh()
            self.on_progress("calibrate", 0, 1)
            calibration = await librarian.calibrator.calibrate()
            self.on_progress("calibrate", 1, 1)
            outcomes = [one async for one in self._ask(librarian, queries)]
        finally:
            await librarian.close()
            batcher.close()
            self.database.close()
        cross = [one for one in outcomes if one.query.cross]
        times = [one.total_ms for one in outcomes] or [0.0]
        return EvalReport(
            name=name,
            split=split,
            entries=len(data.entries),
            passages=len(self.entry_of),
            embedder=self.embedder.fingerprint,
            overall=measure(outcomes),
            per_language=_measured(outcomes, lambda one: one.query.language),
            per_kind=_measured(outcomes, lambda one: one.query.kind),
            cross_language=measure(cross) if cross else None,
            calibration=calibration,
            p50_ms=round(float(np.percentile(times, 50)), 1),
            p95_ms=round(float(np.percentile(times, 95)), 1),
        )

    async def _take_in(self, entries: Sequence[EvalEntry], index: MemoryIndex) -> None:
        documents = await asyncio.to_thread(self._split, entries)
        for start in range(0, len(documents), _DOCUMENTS_PER_COMMIT):
            some = documents[start : start + _DOCUMENTS_PER_COMMIT]
            await asyncio.to_thread(
                self.database.write_now, lambda s, some=some: self._put(s, some)
            )
            self.on_progress("store", start + len(some), len(documents))
        texts = {
            piece.content_hash: f"{heading_line(piece.heading_path)}\n{piece.text}".strip()
            for document in documents
            for _, piece in document.pieces
        }
        names = sorted(texts, key=lambda name: len(texts[name]))
        for start in range(0, len(names), _TEXTS_PER_BATCH):
            some = names[start : start + _TEXTS_PER_BATCH]
            vectors = await asyncio.to_thread(
                self.embedder.embed, [texts[name] for name in some], "document"
            )
            await index.put(PUBLIC, dict(zip(some, vectors, strict=True)))
            self.on_progress("embed", start + len(some), len(names))

    def _split(self, entries: Sequence[EvalEntry]) -> list[_Document]:
        tokenizer = getattr(self.embedder, "tokenizer", None)
        splitter = Splitter(self.embedder.count_tokens, tokenizer=tokenizer)
        groups: dict[str, list[EvalEntry]] = {}
        for entry in entries:
            groups.setdefault(entry.group, []).append(entry)
        return [
            _Document(
                name=name,
                title=some[0].title or name,
                pieces=[
                    (entry.id, piece)
                    for entry in some
                    for piece in splitter.split(f"# {entry.title}\n\n{entry.text}")
                ],
            )
            for name, some in groups.items()
        ]

    def _put(self, session: Session, documents: Sequence[_Document]) -> None:
        for document in documents:
            new = store.NewRevision(
                revision_id=new_id(),
                source_id=new_id(),
                name=document.name,
                title=document.title,
                url=None,
                language=None,
                audience="public",
                content_hash=hashlib.sha256(document.name.encode()).hexdigest(),
                file_name="",
                created_at=utc_now(),
            )
            revision = store.hand_in(session, new)
            store.begin_attempt(session, revision.id)
            store.save_chunks(session, revision.id, list(self._chunks(document)))
            count = len(document.pieces)
            store.finish_parsing(
                session, revision.id, title=document.title, chunks=count, health={"warnings": []}
            )
            version = store.knowledge_version(session)
            store.publish(session, revision.id, expected_version=version)

    def _chunks(self, document: _Document) -> Iterator[store.NewChunk]:
        for ordinal, (entry_id, piece) in enumerate(document.pieces):
            chunk_id = new_id()
            self.entry_of[chunk_id] = entry_id
            yield store.NewChunk(
                chunk_id=chunk_id,
                ordinal=ordinal,
                heading_path=piece.heading_path,
                text=piece.text,
                kind=piece.kind,
                language=detect(piece.text),
                content_hash=piece.content_hash,
            )

    async def _ask(
        self, librarian: Librarian, queries: Sequence[EvalQuery]
    ) -> AsyncIterator[EvalOutcome]:
        for done, query in enumerate(queries, start=1):
            found, answer = await librarian.look(Question(text=query.text, history=query.history))
            candidates = found.evidence.candidates if found else ()
            order = list(dict.fromkeys(self.entry_of[one.chunk_id] for one in candidates))
            ranks = [at for at, entry in enumerate(order, start=1) if entry in query.relevant]
            yield EvalOutcome(
                query=query,
                rank=min(ranks, default=0),
                p=answer.decision.p,
                action=answer.decision.action,
                total_ms=answer.timings_ms["total"],
            )
            self.on_progress("ask", done, len(queries))


def _measured(
    outcomes: Sequence[EvalOutcome], key: Callable[[EvalOutcome], str]
) -> dict[str, Measures]:
    return {name: measure(some) for name, some in by(outcomes, key).items()}
