"""What may be answered from: the chunks of live revisions of sources that are not retired.

Every read here carries that condition in SQL, so a text that was withdrawn or replaced cannot come
back through a stale vector, a stale keyword list or a cached id.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, and_, func, literal, tuple_
from sqlmodel import Session, col, select

from rag import models
from rag.audience import visible_to
from rag.store.values import Place
from rag.types import ChunkKind, Language

# SQLite takes 32,766 bound values in a statement; a list is asked in pieces of this size.
_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveChunk:
    """A passage that may be quoted now, with all that a citation needs."""

    chunk_id: str
    source_id: str
    revision_id: str
    title: str
    source: str
    url: str | None
    heading_path: tuple[str, ...]
    text: str
    kind: ChunkKind
    language: Language
    audience: str  # of the passage itself
    source_audience: str
    content_hash: str
    entry_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRevision:
    """A revision that is answered from. A keyword index follows the base by comparing these."""

    revision_id: str
    source_id: str
    audience: str
    chunks: int


def knowledge_version(session: Session) -> int:
    """Raised by each publish and each withdrawal; 0 for an empty base."""
    return session.exec(select(models.Knowledge.version)).one_or_none() or 0


def live_revisions(session: Session) -> list[LiveRevision]:
    """All revisions that are answered from, by source."""
    rows = session.exec(
        select(models.Revision, models.Source.audience)
        .join(models.Source, _is_live())
        .order_by(col(models.Source.id))
    )
    return [
        LiveRevision(
            revision_id=one.id, source_id=one.source_id, audience=audience, chunks=one.chunks_total
        )
        for one, audience in rows
    ]


def live_chunks(session: Session, revision_ids: Sequence[str]) -> list[LiveChunk]:
    """The chunks of those of `revision_ids` that are live, in document order."""
    return _fetch(session, col(models.Chunk.revision_id), revision_ids)


def fetch_live(session: Session, ids: Sequence[str], audience: str) -> list[LiveChunk]:
    """The live chunks with one of `ids`, each a chunk id or a content hash, that `audience` may
    read. One hash may stand for several chunks (the same passage in two documents)."""
    visible = visible_to(audience)
    seen = and_(col(models.Source.audience).in_(visible), col(models.Chunk.audience).in_(visible))
    by_hash = _fetch(session, col(models.Chunk.content_hash), ids, seen)
    by_id = _fetch(session, col(models.Chunk.id), ids, seen)
    return by_hash + by_id


def vectors(
    session: Session, hashes: Sequence[str], fingerprint: str
) -> dict[str, npt.NDArray[np.float32]]:
    """The stored vectors of `hashes` made by that embedder; those never embedded are left out."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    for some in _pieces(hashes):
        rows = session.exec(
            select(models.Embedding.content_hash, models.Embedding.vector).where(
                col(models.Embedding.fingerprint) == fingerprint,
                col(models.Embedding.content_hash).in_(some),
            )
        )
        found |= {name: np.frombuffer(raw, dtype="<f4") for name, raw in rows}
    return found


def live_places(session: Session, *, after: Place = ("", ""), limit: int = 1_000) -> list[Place]:
    """The places answered from, each once, in the order of hash and audience, from `after` on."""
    key = tuple_(col(models.Chunk.content_hash), col(models.Chunk.audience))
    audience, content_hash = after
    rows = session.exec(
        select(models.Chunk.audience, models.Chunk.content_hash)
        .join(models.Revision, _of_revision())
        .join(models.Source, _is_live())
        .where(key > tuple_(literal(content_hash), literal(audience)))
        .distinct()
        .order_by(col(models.Chunk.content_hash), col(models.Chunk.audience))
        .limit(limit)
    )
    return [(audience, content_hash) for audience, content_hash in rows]


def has_live(session: Session, source_id: str) -> bool:
    """Whether something of that source is answered from now."""
    live = select(models.Source.live_revision_id).where(models.Source.id == source_id)
    return session.exec(live).one_or_none() is not None


def live_missing(session: Session, fingerprint: str) -> int:
    """How many live hashes have no vector by that embedder in the store."""
    made = select(models.Embedding.content_hash).where(
        col(models.Embedding.content_hash) == col(models.Chunk.content_hash),
        models.Embedding.fingerprint == fingerprint,
    )
    return session.exec(
        select(func.count(func.distinct(models.Chunk.content_hash)))
        .select_from(models.Chunk)
        .join(models.Revision, _of_revision())
        .join(models.Source, _is_live())
        .where(~made.exists())
    ).one()


def live_texts(session: Session, hashes: Sequence[str]) -> dict[str, LiveChunk]:
    """One live chunk for each of `hashes` that has any."""
    found = _fetch(session, col(models.Chunk.content_hash), hashes)
    return {chunk.content_hash: chunk for chunk in found}


def count_live(session: Session) -> dict[str, int]:
    """How many vectors a complete index holds for each audience."""
    rows = session.exec(
        select(models.Chunk.audience, func.count(func.distinct(models.Chunk.content_hash)))
        .select_from(models.Chunk)
        .join(models.Revision, _of_revision())
        .join(models.Source, _is_live())
        .group_by(col(models.Chunk.audience))
    )
    return dict(rows.all())


def sample_live_places(session: Session, size: int, dice: random.Random) -> list[Place]:
    """Up to `size` live places from random parts of the base, for the canary."""
    picked: set[Place] = set(live_places(session, limit=1))
    for _ in range(size):
        start = f"{dice.getrandbits(64):016x}"
        picked.update(live_places(session, after=("", start), limit=1))
    return sorted(picked)[:size]


def unused_places(session: Session, places: Iterable[Place]) -> list[Place]:
    """Those of `places` that no live chunk has any more: their vectors may go."""
    wanted = set(places)
    used: set[Place] = set()
    for some in _pieces(sorted({content_hash for _, content_hash in wanted})):
        rows = session.exec(
            select(models.Chunk.audience, models.Chunk.content_hash)
            .join(models.Revision, _of_revision())
            .join(models.Source, _is_live())
            .where(col(models.Chunk.content_hash).in_(some))
            .distinct()
        )
        used.update((audience, content_hash) for audience, content_hash in rows)
    return sorted(wanted - used)


def _fetch(
    session: Session, column: Any, values: Sequence[str], *conditions: ColumnElement[bool]
) -> list[LiveChunk]:
    found: list[LiveChunk] = []
    for some in _pieces(values):
        rows = session.exec(
            select(models.Chunk, models.Source)
            .join(models.Revision, _of_revision())
            .join(models.Source, _is_live())
            .where(column.in_(some), *conditions)
            .order_by(col(models.Chunk.revision_id), col(models.Chunk.ordinal))
        )
        found += [_live_chunk(chunk, source) for chunk, source in rows]
    return found


def _of_revision() -> ColumnElement[bool]:
    return col(models.Chunk.revision_id) == col(models.Revision.id)


def _is_live() -> ColumnElement[bool]:
    return and_(
        col(models.Source.live_revision_id) == col(models.Revision.id),
        col(models.Source.retired_at).is_(None),
    )


def _pieces(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _IDS_PER_QUERY):
        yield values[start : start + _IDS_PER_QUERY]


def _live_chunk(chunk: models.Chunk, source: models.Source) -> LiveChunk:
    return LiveChunk(
        chunk_id=chunk.id,
        source_id=source.id,
        revision_id=chunk.revision_id,
        title=source.title,
        source=source.name,
        url=source.url,
        heading_path=tuple(chunk.heading_path),
        text=chunk.text,
        kind=cast("ChunkKind", chunk.kind),
        language=cast("Language", chunk.language),
        audience=chunk.audience,
        source_audience=source.audience,
        content_hash=chunk.content_hash,
        entry_id=chunk.entry_id,
    )
