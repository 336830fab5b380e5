"""What is live, and who may read it: the only functions that change it.

Each changes one row of `source` and the version of the base. All take the version they were
prepared for, and refuse any other: the gateway's floor was raised for exactly that step.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select

from rag import models
from rag.audience import narrower
from rag.store.ingest import OPEN_STATES, next_ordinal
from rag.store.values import Place, Published, VersionMoved


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
    return _put_live(session, source, revision, expected_version)


def roll_back(session: Session, revision_id: str, *, expected_version: int) -> Published | None:
    """Answer from this superseded revision again. It becomes the newest of its source, so that
    whatever is still on its way from before does not take its place.

    None if it is live, or not complete, or its source is retired. Raises VersionMoved.
    """
    revision = session.get(models.Revision, revision_id)
    source = revision and session.get(models.Source, revision.source_id)
    if revision is None or source is None or source.retired_at is not None:
        return None
    if not is_complete(revision):
        return None
    _make_newest(session, source, revision)
    return _put_live(session, source, revision, expected_version)


def reopen(session: Session, revision_id: str) -> None:
    """Queue an earlier revision again, as the newest: its chunks are kept, its vectors are not."""
    revision = session.get(models.Revision, revision_id)
    if revision is not None and is_complete(revision):
        source = session.get_one(models.Source, revision.source_id)
        _make_newest(session, source, revision)
        revision.state, revision.attempts, revision.chunks_done = "embedding", 0, 0
        session.add(revision)


def give_own_audience(session: Session, revision_id: str) -> None:
    """Make an earlier revision one for whom its source is now, before its vectors are put."""
    revision = session.get(models.Revision, revision_id)
    source = revision and session.get(models.Source, revision.source_id)
    if revision and source and is_complete(revision) and revision.audience != source.audience:
        revision.audience = source.audience
        _give_audience(session, [revision.id], source.audience)


def find_earlier(
    session: Session, source_id: str, revision_id: str | None
) -> models.Revision | None:
    """The revision to go back to: the one named, else the newest complete one before the live
    one. None if there is none."""
    if revision_id is not None:
        named = session.get(models.Revision, revision_id)
        fits = named is not None and named.source_id == source_id and is_complete(named)
        return named if fits else None
    source = session.get(models.Source, source_id)
    live = (
        source and source.live_revision_id and session.get(models.Revision, source.live_revision_id)
    )
    earlier = select(models.Revision).where(
        models.Revision.source_id == source_id, models.Revision.state == "superseded"
    )
    if live:
        earlier = earlier.where(models.Revision.ordinal < live.ordinal)
    rows = session.exec(earlier.order_by(col(models.Revision.ordinal).desc()))
    return next((row for row in rows if is_complete(row)), None)


def set_audience(
    session: Session, source_id: str, audience: str, *, expected_version: int
) -> Published | None:
    """Let `audience` read the source from now on, in all of its versions: a roll-back must not
    show again what became internal. None if nothing changes. Raises VersionMoved."""
    source = session.get(models.Source, source_id)
    if source is None or source.audience == audience:
        return None
    version = _advance(session, expected_version)
    before = _indexed_places(session, source_id)
    source.audience = audience
    session.add(source)
    of_source = select(models.Revision.id).where(models.Revision.source_id == source_id)
    _give_audience(session, list(session.exec(of_source)), audience)
    session.exec(
        update(models.Revision)
        .where(col(models.Revision.source_id) == source_id)
        .values(audience=audience)
    )
    return Published(version, before)


def _make_newest(session: Session, source: models.Source, revision: models.Revision) -> None:
    """An earlier revision comes back: after all others, and for whom the source is now."""
    revision.ordinal = next_ordinal(session, source.id)
    if revision.audience != source.audience:
        revision.audience = source.audience
        _give_audience(session, [revision.id], source.audience)


def _give_audience(session: Session, revision_ids: Sequence[str], audience: str) -> None:
    """To all chunks of the revisions, with regard to those that name an audience of their own."""
    mine = col(models.Chunk.revision_id).in_(revision_ids)
    for own in list(session.exec(select(models.Chunk.own_audience).where(mine).distinct())):
        column = col(models.Chunk.own_audience)
        which = column.is_(None) if own is None else column == own
        session.exec(
            update(models.Chunk).where(mine, which).values(audience=narrower(audience, own))
        )


def _put_live(
    session: Session, source: models.Source, revision: models.Revision, expected_version: int
) -> Published:
    version = _advance(session, expected_version)
    replaced = source.live_revision_id
    source.live_revision_id = revision.id
    source.title, source.url = revision.title, revision.url
    source.language, source.audience = revision.language, revision.audience
    revision.state, revision.reason = "live", None
    revision.chunks_done = revision.chunks_total
    session.add_all((source, revision))
    if replaced is None or replaced == revision.id:
        return Published(version, ())
    _supersede(session, col(models.Revision.id) == replaced)
    return Published(version, _places(session, replaced))


def is_complete(revision: models.Revision) -> bool:
    """Whether every chunk of it was stored and embedded: it was live, or about to be."""
    return revision.state == "superseded" and 0 < revision.chunks_total == revision.chunks_done


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
    source.live_revision_id, source.retired_at = None, now
    session.add(source)
    of_source = col(models.Revision.source_id) == source_id
    gone = _indexed_places(session, source_id)
    _supersede(session, of_source & col(models.Revision.state).in_((*OPEN_STATES, "live")))
    return Published(version, gone)


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


def _supersede(session: Session, which: ColumnElement[bool]) -> None:
    session.exec(update(models.Revision).where(which).values(state="superseded"))


def _indexed_places(session: Session, source_id: str) -> tuple[Place, ...]:
    """Of all revisions of the source whose vectors may be in the index."""
    indexed = select(models.Revision.id).where(
        models.Revision.source_id == source_id,
        col(models.Revision.state).in_(("verifying", "live")),
    )
    return _places(session, *session.exec(indexed))


def _places(session: Session, *revision_ids: str) -> tuple[Place, ...]:
    of_revision = col(models.Chunk.revision_id).in_(revision_ids)
    rows = session.exec(
        select(models.Chunk.audience, models.Chunk.content_hash).where(of_revision).distinct()
    )
    return tuple((audience, content_hash) for audience, content_hash in rows)
