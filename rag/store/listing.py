"""Sources and revisions as people see them. Lists are read by key, never by offset."""

from collections.abc import Iterator, Sequence
from typing import cast

import msgspec
from sqlalchemy import func, tuple_
from sqlmodel import Session, col, select

from rag import models
from rag.store.ingest import OPEN_STATES, stored_chunks
from rag.store.publishing import is_complete
from rag.types import (
    ChunkKind,
    Health,
    Language,
    Passage,
    RevisionState,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Words,
)

REVISIONS_SHOWN_MAX = 20
PASSAGES_SHOWN_MAX = 500


def load_revision(session: Session, revision_id: str) -> models.Revision | None:
    """The row itself."""
    return session.get(models.Revision, revision_id)


def load_source(session: Session, source_id: str) -> models.Source | None:
    """The row itself."""
    return session.get(models.Source, source_id)


def find_source(session: Session, name: str) -> models.Source | None:
    """The source with that name, retired or not."""
    return session.exec(select(models.Source).where(models.Source.name == name)).one_or_none()


def find_revision(session: Session, revision_id: str) -> RevisionStatus | None:
    """How far one version of a document got."""
    revision = session.get(models.Revision, revision_id)
    source = revision and session.get(models.Source, revision.source_id)
    return _status(revision, source.name) if revision and source else None


def open_count(session: Session) -> int:
    """How many revisions still have to be taken in."""
    waiting = col(models.Revision.state).in_(OPEN_STATES)
    return session.exec(select(func.count()).select_from(models.Revision).where(waiting)).one()


def list_sources(session: Session, *, after: str = "", limit: int = 50) -> list[SourceSummary]:
    """Sources that are not retired, oldest first, from the id `after` on."""
    sources = session.exec(
        select(models.Source)
        .where(models.Source.id > after, col(models.Source.retired_at).is_(None))
        .order_by(col(models.Source.id))
        .limit(limit)
    ).all()
    return _summaries(session, sources)


def show_source(session: Session, source_id: str) -> SourceDetail | None:
    """A source with its newest versions and the first passages of the live one."""
    source = session.get(models.Source, source_id)
    if source is None:
        return None
    revisions = session.exec(
        select(models.Revision)
        .where(models.Revision.source_id == source_id)
        .order_by(col(models.Revision.ordinal).desc())
        .limit(REVISIONS_SHOWN_MAX)
    )
    live = source.live_revision_id
    chunks = stored_chunks(session, live)[:PASSAGES_SHOWN_MAX] if live else []
    return SourceDetail(
        summary=_summaries(session, [source])[0],
        revisions=tuple(_status(revision, source.name) for revision in revisions),
        passages=tuple(_passages(chunks)),
    )


def _summaries(session: Session, sources: Sequence[models.Source]) -> list[SourceSummary]:
    ids = [source.id for source in sources]
    newest_ordinals = (
        select(models.Revision.source_id, func.max(models.Revision.ordinal))
        .where(col(models.Revision.source_id).in_(ids))
        .group_by(col(models.Revision.source_id))
    )
    key = tuple_(col(models.Revision.source_id), col(models.Revision.ordinal))
    newest = session.exec(select(models.Revision).where(key.in_(newest_ordinals)))
    by_source = {revision.source_id: revision for revision in newest}
    live_ids = [source.live_revision_id for source in sources if source.live_revision_id]
    counts = dict(
        session.exec(
            select(models.Revision.id, models.Revision.chunks_total).where(
                col(models.Revision.id).in_(live_ids)
            )
        ).all()
    )
    return [
        _summary(source, by_source[source.id], counts.get(source.live_revision_id or "", 0))
        for source in sources
    ]


def _summary(source: models.Source, newest: models.Revision, chunks: int) -> SourceSummary:
    return SourceSummary(
        id=source.id,
        name=source.name,
        title=source.title,
        url=source.url,
        language=cast("Language | None", source.language),
        audience=source.audience,
        state=cast("RevisionState", newest.state),
        chunks=chunks,
        live_revision_id=source.live_revision_id,
        updated_at=newest.created_at,
    )


def _status(revision: models.Revision, source_name: str) -> RevisionStatus:
    return RevisionStatus(
        revision_id=revision.id,
        source_id=revision.source_id,
        source=source_name,
        title=revision.title or source_name,
        state=cast("RevisionState", revision.state),
        chunks_total=revision.chunks_total,
        chunks_done=revision.chunks_done,
        chunks_embedded=revision.chunks_embedded,
        reason=Words(**revision.reason) if revision.reason else None,
        health=_health(revision),
        created_at=revision.created_at,
        audience=revision.audience,
        can_go_back=is_complete(revision),
    )


def _health(revision: models.Revision) -> Health | None:
    if revision.health is None:
        return None
    return msgspec.convert(revision.health, Health)


def _passages(chunks: Sequence[models.Chunk]) -> Iterator[Passage]:
    """The chunks without those that only word another one's question differently."""
    wordings: dict[str, list[str]] = {}
    for chunk in chunks:
        if chunk.entry_id is not None:
            wordings.setdefault(chunk.entry_id, []).append(chunk.heading_path[-1])
    for chunk in chunks:
        if chunk.entry_id is None:
            yield _passage(chunk, wordings.get(chunk.id, []))


def _passage(chunk: models.Chunk, wordings: Sequence[str]) -> Passage:
    return Passage(
        chunk_id=chunk.id,
        ordinal=chunk.ordinal,
        heading_path=tuple(chunk.heading_path),
        text=chunk.text,
        kind=cast("ChunkKind", chunk.kind),
        language=cast("Language", chunk.language),
        audience=chunk.audience,
        wordings=tuple(wordings),
    )
