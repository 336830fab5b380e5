"""Which embedder's vectors are searched. Going over to another one is a change of one row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from rag import models


def live_space(session: Session) -> tuple[str, dict[str, Any]] | None:
    """The fingerprint of the embedder that is searched with, and what it takes to load it. None
    before the first."""
    fingerprint = session.exec(select(models.Knowledge.space)).one_or_none()
    row = fingerprint and session.get(models.VectorSpace, fingerprint)
    return (row.fingerprint, row.recipe) if row else None


def switch_space(
    session: Session, fingerprint: str, recipe: Mapping[str, Any], *, now: datetime
) -> None:
    """Search with this embedder's vectors from this commit on."""
    row = session.get(models.VectorSpace, fingerprint)
    if row is None:
        row = models.VectorSpace(fingerprint=fingerprint, recipe=dict(recipe), created_at=now)
    row.recipe = dict(recipe)
    session.add(row)
    knowledge = session.get(models.Knowledge, 1) or models.Knowledge(id=1)
    knowledge.space = fingerprint
    session.add(knowledge)


def count_embedded(session: Session, fingerprint: str) -> int:
    """How many live hashes have a vector by that embedder."""
    return session.exec(
        select(func.count(func.distinct(models.Chunk.content_hash)))
        .select_from(models.Chunk)
        .join(models.Revision, col(models.Chunk.revision_id) == col(models.Revision.id))
        .join(models.Source, col(models.Source.live_revision_id) == col(models.Revision.id))
        .join(
            models.Embedding, col(models.Embedding.content_hash) == col(models.Chunk.content_hash)
        )
        .where(models.Embedding.fingerprint == fingerprint)
    ).one()
