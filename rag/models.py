"""Tables of the librarian's store. Loaded rows may leave `store.py`; nothing else touches SQL.

No table refers to the gateway's: by default this is a database file of its own.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import declared_attr, registry
from sqlmodel import Field, SQLModel

from storage.columns import UtcDateTime, table_name


class RagTable(SQLModel, registry=registry()):
    """One metadata per store: both folders have a table named `revision`."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return table_name(cls.__name__)


class Source(RagTable, table=True):
    """A document by name. `live_revision_id` is what is answered from; None while there is none.

    `retired_at` is set by one row update that also clears `live_revision_id`: from then on nothing
    of it may be retrieved. Handing the document in again clears it; that alone publishes nothing.
    """

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    title: str
    url: str | None = None
    language: str | None = None
    audience: str = "public"
    live_revision_id: str | None = Field(default=None, index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Revision(RagTable, table=True):
    """One version of a document, and the job that takes it in: `state` says how far it got."""

    __table_args__ = (
        UniqueConstraint("source_id", "ordinal"),
        CheckConstraint("chunks_done <= chunks_total", name="ck_revision_done"),
        Index("ix_revision_state", "state", "id"),
    )
    id: str = Field(primary_key=True)
    source_id: str = Field(foreign_key="source.id", index=True)
    ordinal: int  # 1, 2, … per source
    content_hash: str  # sha256 of the uploaded bytes
    file_name: str  # random name below data_dir/files, never the uploader's
    title: str
    # What the source is to say of itself once this version is live.
    url: str | None = None
    language: str | None = None
    audience: str = "public"
    state: str = "queued"
    attempts: int = 0  # counted before the work: three crashes end in "failed"
    reason: dict[str, str] | None = Field(default=None, sa_type=JSON)  # in English and Chinese
    chunks_total: int = 0
    chunks_done: int = 0
    chunks_embedded: int = 0
    health: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Chunk(RagTable, table=True):
    """A piece of a revision. `text` is what is quoted, `heading_path` what is prefixed to it when
    it is embedded; `content_hash` covers both.

    `entry_id` names the chunk that this one is another wording of: its question alone is embedded.
    `audience` is who may read it: that of the source, or a narrower one of its own.
    """

    __table_args__ = (UniqueConstraint("revision_id", "ordinal"),)
    id: str = Field(primary_key=True)
    revision_id: str = Field(foreign_key="revision.id", index=True)
    ordinal: int
    heading_path: list[str] = Field(sa_type=JSON)
    text: str
    kind: str
    language: str
    content_hash: str = Field(index=True)
    entry_id: str | None = None
    own_audience: str | None = None
    audience: str = "public"


class Embedding(RagTable, table=True):
    """A vector, made once per (text, embedder) and kept for good: little-endian float32 bytes."""

    content_hash: str = Field(primary_key=True)
    fingerprint: str = Field(primary_key=True)
    vector: bytes = Field(sa_type=LargeBinary)


class VectorSpace(RagTable, table=True):
    """An embedder whose vectors were or are searched, with what it takes to load it again."""

    fingerprint: str = Field(primary_key=True)
    recipe: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Knowledge(RagTable, table=True):
    """One row: the version of the base, raised by each publish and each withdrawal.

    `space` is the fingerprint of the embedder whose vectors are searched. `floor` is the version
    that was last announced as the lowest one that answers may be based on: it is ahead of `version`
    only while a withdrawal is under way, or after one was cut off.
    """

    __table_args__ = (CheckConstraint("id = 1", name="ck_knowledge_single"),)
    id: int = Field(default=1, primary_key=True)
    version: int = 0
    floor: int = 0
    space: str | None = None


class Calibration(RagTable, table=True):
    """How evidence becomes p, and the cuts: the newest row is in force."""

    id: str = Field(primary_key=True)
    knowledge_version: int
    fingerprint: str  # of the embedder it was made with
    model: dict[str, Any] = Field(sa_type=JSON)  # what calibrate.py needs to apply it
    report: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Record(RagTable, table=True):
    """Why one answer was given: enough to explain it, and to replay it."""

    id: str = Field(primary_key=True)
    question: dict[str, Any] = Field(sa_type=JSON)
    features: dict[str, float] = Field(sa_type=JSON)
    decision: dict[str, Any] = Field(sa_type=JSON)
    chunk_hashes: list[str] = Field(sa_type=JSON)
    knowledge_version: int
    timings_ms: dict[str, float] = Field(sa_type=JSON)
    # Since version 2: what was found, in its order; and who wrote what, from which prompt.
    candidates: list[dict[str, Any]] | None = Field(default=None, sa_type=JSON)
    writing: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class TokenUse(RagTable, table=True):
    """Tokens that language models cost on one day: for one who asked, or ("") for everybody."""

    day: str = Field(primary_key=True)  # UTC, as 2026-11-01
    asker: str = Field(primary_key=True)
    tokens: int = 0
