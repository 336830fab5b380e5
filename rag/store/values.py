"""What the ingest side of the store takes and gives."""

from dataclasses import dataclass
from datetime import datetime

from rag.types import ChunkKind, Language

Place = tuple[str, str]
"""Where a vector lies: the audience of the text, and its content hash."""


class VersionMoved(Exception):
    """The base changed since the floor was raised: raise it again, then try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRevision:
    """A document as handed in. The ids are made by the caller, so that a repeat is the same row."""

    revision_id: str
    source_id: str  # used if the name is new
    name: str
    title: str  # empty: the document's own will be taken
    url: str | None
    language: Language | None
    audience: str | None  # None: that of the source, public for a new one
    content_hash: str
    file_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A piece of a document before it is stored."""

    chunk_id: str
    ordinal: int
    heading_path: tuple[str, ...]
    text: str
    kind: ChunkKind
    language: Language
    content_hash: str
    entry_id: str | None = None
    own_audience: str | None = None  # narrower than the document's


@dataclass(frozen=True, slots=True)
class Published:
    """A change of what is live: the new version, and the places that may have become unused."""

    version: int
    withdrawn: tuple[Place, ...]
