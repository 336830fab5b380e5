"""What the ingest side of the store takes and gives."""

from dataclasses import dataclass
from datetime import datetime

from rag.types import ChunkKind, Language


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
    audience: str
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


@dataclass(frozen=True, slots=True)
class Published:
    """A change of what is live: the new version, and the hashes that may have become unused."""

    version: int
    withdrawn_hashes: tuple[str, ...]
