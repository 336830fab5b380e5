"""All SQL of the librarian: plain functions from a `Session` to values or loaded rows.

`live` reads what may be answered from, `ingest` takes documents in and out, `listing` shows them,
`answers` keeps calibrations and records, `tokens` what models cost. No other module of rag touches
SQL.
"""

from pathlib import Path

from rag.models import Revision, Source
from rag.store.answers import load_record, newest_calibration, save_calibration, save_record
from rag.store.ingest import (
    announce,
    begin_attempt,
    count_chunks,
    fail_revision,
    file_names,
    find_same,
    finish_parsing,
    hand_in,
    missing_texts,
    next_open,
    park_revision,
    publish,
    retire,
    save_chunks,
    save_embeddings,
    set_state,
    settle,
    stored_chunks,
    verifying_hashes,
)
from rag.store.listing import (
    find_revision,
    find_source,
    list_sources,
    load_revision,
    load_source,
    open_count,
    show_source,
)
from rag.store.live import (
    LiveChunk,
    LiveRevision,
    count_live_hashes,
    fetch_live,
    has_live,
    knowledge_version,
    live_chunks,
    live_hashes,
    live_missing,
    live_revisions,
    live_texts,
    sample_live_hashes,
    unused_hashes,
    vectors,
    visible_to,
)
from rag.store.tokens import forget_spent, spend, spent
from rag.store.values import NewChunk, NewRevision, Published, VersionMoved

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations" / "rag"


def migrate(url: str) -> None:
    """Bring the librarian's store up to date. Raises SchemaTooNew. Blocks."""
    from storage.migrate import upgrade

    upgrade(url, MIGRATIONS)


__all__ = [
    "MIGRATIONS",
    "LiveChunk",
    "LiveRevision",
    "NewChunk",
    "NewRevision",
    "Published",
    "Revision",
    "Source",
    "VersionMoved",
    "announce",
    "begin_attempt",
    "count_chunks",
    "count_live_hashes",
    "fail_revision",
    "fetch_live",
    "file_names",
    "find_revision",
    "find_same",
    "find_source",
    "finish_parsing",
    "forget_spent",
    "hand_in",
    "has_live",
    "knowledge_version",
    "list_sources",
    "live_chunks",
    "live_hashes",
    "live_missing",
    "live_revisions",
    "live_texts",
    "load_record",
    "load_revision",
    "load_source",
    "migrate",
    "missing_texts",
    "newest_calibration",
    "next_open",
    "open_count",
    "park_revision",
    "publish",
    "retire",
    "sample_live_hashes",
    "save_calibration",
    "save_chunks",
    "save_embeddings",
    "save_record",
    "set_state",
    "settle",
    "show_source",
    "spend",
    "spent",
    "stored_chunks",
    "unused_hashes",
    "vectors",
    "verifying_hashes",
    "visible_to",
]
