"""Documents on their way in: every function is one transaction, safe to run again after a crash."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, func, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from rag import models
from rag.audience import NOBODY, PUBLIC, narrower
from rag.store.values import NewChunk, NewRevision, Place
from rag.types import RevisionState, Words

OPEN_STATES: tuple[RevisionState, ...] = ("queued", "parsing", "embedding", "verifying")


def hand_in(session: Session, new: NewRevision) -> models.Revision:
    """The revision that will hold this document, queued; or the one that already does.

    A retired source is taken up again, with nothing live until the new revision is.
    """
    if known := find_same(session, new):
        return known
    source = session.exec(select(models.Source).where(models.Source.name == new.name)).one_or_none()
    if source is None:
        source = models.Source(
            id=new.source_id,
            name=new.name,
            title=new.title or new.name,
            url=new.url,
            language=new.language,
            audience=new.audience or PUBLIC,
            created_at=new.created_at,
        )
    source.retired_at = None
    session.add(source)
    session.flush()
    # Without a word about it a document keeps its audience: what became internal stays so.
    audience = new.audience or source.audience
    revision = models.Revision(
        id=new.revision_id,
        source_id=source.id,
        ordinal=next_ordinal(session, source.id),
        content_hash=new.content_hash,
        file_name=new.file_name,
        title=new.title,
        url=new.url,
        language=new.language,
        audience=audience,
        created_at=new.created_at,
    )
    session.add(revision)
    session.flush()
    return revision


def find_same(session: Session, new: NewRevision) -> models.Revision | None:
    """The live or waiting revision of that name with the same bytes and labels, if it is the
    newest one that did not fail."""
    newest = session.exec(
        select(models.Revision)
        .join(models.Source, col(models.Source.id) == col(models.Revision.source_id))
        .where(models.Source.name == new.name, models.Revision.state != "failed")
        .order_by(col(models.Revision.ordinal).desc())
        .limit(1)
    ).one_or_none()
    if newest is None or newest.state not in (*OPEN_STATES, "live"):
        return None
    labels = (newest.content_hash, newest.url, newest.language, newest.audience)
    audience = new.audience or newest.audience
    same = labels == (new.content_hash, new.url, new.language, audience)
    return newest if same and new.title in ("", newest.title) else None


def next_open(session: Session) -> models.Revision | None:
    """The oldest revision that still has to be taken in."""
    return session.exec(
        select(models.Revision)
        .where(col(models.Revision.state).in_(OPEN_STATES))
        .order_by(col(models.Revision.id))
        .limit(1)
    ).one_or_none()


def file_names(session: Session) -> set[str]:
    """The stored files that some revision still refers to."""
    return set(session.exec(select(models.Revision.file_name)))


def begin_attempt(session: Session, revision_id: str) -> models.Revision | None:
    """Count one more attempt before the work, so that a document that kills us is counted too.

    None if the revision is no longer open (it was withdrawn meanwhile).
    """
    revision = session.get(models.Revision, revision_id)
    if revision is None or revision.state not in OPEN_STATES:
        return None
    revision.attempts += 1
    if revision.state == "queued":
        revision.state = "parsing"
    session.add(revision)
    return revision


def park_revision(session: Session, revision_id: str) -> None:
    """Take back the attempt just counted: what failed was ours (the index is down), not the
    document's."""
    session.exec(
        update(models.Revision)
        .where(col(models.Revision.id) == revision_id, col(models.Revision.attempts) > 0)
        .values(attempts=col(models.Revision.attempts) - 1)
    )


def set_state(session: Session, revision_id: str, state: RevisionState) -> bool:
    """Whether the open revision moved to `state`; False if it was withdrawn meanwhile."""
    moved = session.exec(
        update(models.Revision)
        .where(col(models.Revision.id) == revision_id, col(models.Revision.state).in_(OPEN_STATES))
        .values(state=state)
    )
    return moved.rowcount == 1


def fail_revision(session: Session, revision_id: str, reason: Words) -> None:
    """Give the open revision up, with a reason for the person who uploaded it."""
    session.exec(
        update(models.Revision)
        .where(col(models.Revision.id) == revision_id, col(models.Revision.state).in_(OPEN_STATES))
        .values(state="failed", reason=asdict(reason))
    )


def save_chunks(session: Session, revision_id: str, chunks: Sequence[NewChunk]) -> None:
    """Store a batch of chunks of a revision that is being parsed. The first batch (ordinal 0)
    replaces what an interrupted attempt left."""
    if chunks and chunks[0].ordinal == 0:
        session.exec(delete(models.Chunk).where(col(models.Chunk.revision_id) == revision_id))
    of_revision = select(models.Revision.audience).where(models.Revision.id == revision_id)
    # As it is now: it may have been narrowed since the document came in.
    audience = session.exec(of_revision).one_or_none() or NOBODY
    session.add_all(
        models.Chunk(
            id=chunk.chunk_id,
            revision_id=revision_id,
            ordinal=chunk.ordinal,
            heading_path=list(chunk.heading_path),
            text=chunk.text,
            kind=chunk.kind,
            language=chunk.language,
            content_hash=chunk.content_hash,
            entry_id=chunk.entry_id,
            own_audience=chunk.own_audience,
            audience=narrower(audience, chunk.own_audience),
        )
        for chunk in chunks
    )
    session.flush()


def finish_parsing(
    session: Session, revision_id: str, *, title: str, chunks: int, health: Mapping[str, object]
) -> bool:
    """All chunks are stored: from here on a crash resumes without parsing again. False if the
    revision was withdrawn meanwhile."""
    moved = session.exec(
        update(models.Revision)
        .where(col(models.Revision.id) == revision_id, col(models.Revision.state).in_(OPEN_STATES))
        .values(
            title=title, chunks_total=chunks, chunks_done=0, health=dict(health), state="embedding"
        )
    )
    return moved.rowcount == 1


def count_chunks(session: Session, revision_id: str) -> int:
    """How many pieces a revision was cut into; 0 before it was parsed."""
    of_revision = models.Revision.id == revision_id
    return session.exec(select(models.Revision.chunks_total).where(of_revision)).one_or_none() or 0


def stored_chunks(session: Session, revision_id: str) -> list[models.Chunk]:
    """The chunks of one revision in document order, whatever its state."""
    rows = select(models.Chunk).where(models.Chunk.revision_id == revision_id)
    return list(session.exec(rows.order_by(col(models.Chunk.ordinal))))


def verifying_places(session: Session) -> list[Place]:
    """The places of revisions whose vectors may be in the index although they are not live."""
    rows = session.exec(
        select(models.Chunk.audience, models.Chunk.content_hash)
        .join(models.Revision, col(models.Revision.id) == col(models.Chunk.revision_id))
        .where(models.Revision.state == "verifying")
        .distinct()
    )
    return [(audience, content_hash) for audience, content_hash in rows]


def missing_texts(session: Session, revision_id: str, fingerprint: str) -> list[models.Chunk]:
    """One chunk for each hash of the revision that this embedder has not embedded yet."""
    made = select(models.Embedding.content_hash).where(
        col(models.Embedding.content_hash) == col(models.Chunk.content_hash),
        models.Embedding.fingerprint == fingerprint,
    )
    rows = session.exec(
        select(models.Chunk).where(models.Chunk.revision_id == revision_id, ~made.exists())
    )
    return list({row.content_hash: row for row in rows}.values())


def save_embeddings(
    session: Session,
    fingerprint: str,
    made: Mapping[str, npt.NDArray[np.float32]],
    *,
    revision_id: str | None = None,
    chunks_done: int = 0,
) -> None:
    """Keep vectors for good, and the revision's progress with them."""
    if made:
        rows = [
            {
                "content_hash": name,
                "fingerprint": fingerprint,
                "vector": vector.astype("<f4").tobytes(),
            }
            for name, vector in made.items()
        ]
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        insert = (sqlite.insert if is_sqlite else postgresql.insert)(models.Embedding)
        session.exec(insert.on_conflict_do_nothing(), params=rows)
    if revision_id is not None:
        session.exec(
            update(models.Revision)
            .where(col(models.Revision.id) == revision_id)
            .values(
                chunks_done=chunks_done,
                chunks_embedded=col(models.Revision.chunks_embedded) + len(made),
                attempts=1,  # it gets on: only crashes at one place count together
            )
        )


def next_ordinal(session: Session, source_id: str) -> int:
    """The number that the next revision of a source gets."""
    of_source = models.Revision.source_id == source_id
    highest = session.exec(select(func.max(models.Revision.ordinal)).where(of_source)).one()
    return (highest or 0) + 1
