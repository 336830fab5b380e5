"""Documents in and out: every function is one transaction, safe to run again after a crash.

What is live changes in two places only, `publish` and `retire`: one row of `source` each, and the
version of the base. Both take the version they were prepared for, and refuse any other: the
gateway's floor was raised for exactly that step.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, delete, func, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from rag import models
from rag.store.values import NewChunk, NewRevision, Published, VersionMoved
from rag.types import RevisionState

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
            audience=new.audience,
            created_at=new.created_at,
        )
    source.retired_at = None
    session.add(source)
    session.flush()
    revision = models.Revision(
        id=new.revision_id,
        source_id=source.id,
        ordinal=_next_ordinal(session, source.id),
        content_hash=new.content_hash,
        file_name=new.file_name,
        title=new.title,
        url=new.url,
        language=new.language,
        audience=new.audience,
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
    same = labels == (new.content_hash, new.url, new.language, new.audience)
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


def fail_revision(session: Session, revision_id: str, reason: str) -> None:
    """Give the open revision up, with a reason for the person who uploaded it."""
    session.exec(
        update(models.Revision)
        .where(col(models.Revision.id) == revision_id, col(models.Revision.state).in_(OPEN_STATES))
        .values(state="failed", reason=reason)
    )


def save_chunks(session: Session, revision_id: str, chunks: Sequence[NewChunk]) -> None:
    """Store a batch of chunks of a revision that is being parsed. The first batch (ordinal 0)
    replaces what an interrupted attempt left."""
    if chunks and chunks[0].ordinal == 0:
        session.exec(delete(models.Chunk).where(col(models.Chunk.revision_id) == revision_id))
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


def verifying_hashes(session: Session) -> list[str]:
    """The hashes of revisions whose vectors may be in the index although they are not live."""
    return list(
        session.exec(
            select(models.Chunk.content_hash)
            .join(models.Revision, col(models.Revision.id) == col(models.Chunk.revision_id))
            .where(models.Revision.state == "verifying")
            .distinct()
        )
    )


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


def publish(session: Session, revision_id: str, *, expected_version: int) -> Published | None:
    """Answer from this revision from now on, in place of its source's older one.

    None if it was withdrawn meanwhile, or a newer one was quicker. Raises VersionMoved.
    """
    revision = session.get(models.Revision, revision_id)
    source = revision and session.get(models.Source, revision.source_id)
    if revision is None or source is None or revision.state not in OPEN_STATES:
        return None
    replaced = source.live_revision_id
    older = session.get(models.Revision, replaced) if replaced else None
    if older is not None and older.ordinal > revision.ordinal:
        _supersede(session, col(models.Revision.id) == revision.id)
        return None
    version = _advance(session, expected_version)
    source.live_revision_id = revision.id
    source.title, source.url = revision.title, revision.url
    source.language, source.audience = revision.language, revision.audience
    revision.state, revision.reason = "live", None
    revision.chunks_done = revision.chunks_total
    session.add_all((source, revision))
    if replaced is None:
        return Published(version, ())
    _supersede(session, col(models.Revision.id) == replaced)
    return Published(version, _hashes(session, replaced))


def retire(
    session: Session, source_id: str, *, expected_version: int, now: datetime
) -> Published | None:
    """Take a source out of all answers, and give up what of it is still being taken in.

    None if there is no such source, or nothing of it is live or waiting. Raises VersionMoved.
    """
    source = session.get(models.Source, source_id)
    if source is None or source.retired_at is not None:
        return None
    version = _advance(session, expected_version)
    live = source.live_revision_id
    source.live_revision_id, source.retired_at = None, now
    session.add(source)
    of_source = col(models.Revision.source_id) == source_id
    _supersede(session, of_source & col(models.Revision.state).in_((*OPEN_STATES, "live")))
    return Published(version, _hashes(session, live) if live else ())


def announce(session: Session, floor: int) -> None:
    """Note that `floor` is about to be raised to, before anybody is told."""
    knowledge = session.get(models.Knowledge, 1) or models.Knowledge(id=1)
    knowledge.floor = max(knowledge.floor, floor)
    session.add(knowledge)


def settle(session: Session) -> bool:
    """Whether the version had to be raised to a floor announced for a change that then did not
    happen. Without it no answer would ever reach that floor."""
    knowledge = session.get(models.Knowledge, 1)
    if knowledge is None or knowledge.floor <= knowledge.version:
        return False
    knowledge.version = knowledge.floor
    session.add(knowledge)
    return True


def _advance(session: Session, expected: int) -> int:
    if expected == 0 and session.get(models.Knowledge, 1) is None:
        session.add(models.Knowledge(id=1, version=1))
        session.flush()
        return 1
    moved = session.exec(
        update(models.Knowledge)
        .where(col(models.Knowledge.version) == expected)
        .values(version=expected + 1)
    )
    if moved.rowcount != 1:
        raise VersionMoved(f"the base is no longer at version {expected}")
    return expected + 1


def _next_ordinal(session: Session, source_id: str) -> int:
    of_source = models.Revision.source_id == source_id
    highest = session.exec(select(func.max(models.Revision.ordinal)).where(of_source)).one()
    return (highest or 0) + 1


def _supersede(session: Session, which: ColumnElement[bool]) -> None:
    session.exec(update(models.Revision).where(which).values(state="superseded"))


def _hashes(session: Session, revision_id: str) -> tuple[str, ...]:
    of_revision = models.Chunk.revision_id == revision_id
    return tuple(session.exec(select(models.Chunk.content_hash).where(of_revision).distinct()))
