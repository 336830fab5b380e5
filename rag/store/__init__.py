"""All SQL of the librarian: plain functions from a `Session` to values or loaded rows.

`live` reads what may be answered from, `ingest` takes documents in, `publishing` changes what is
live, `listing` shows it, `spaces` says whose vectors are searched, `answers` keeps calibrations and
records, `tokens` what models cost. No other module of rag touches SQL.
"""

from pathlib import Path

from rag.audience import visible_to
from rag.models import Revision, Source
from rag.store.answers import load_record, newest_calibration, save_calibration, save_record
from rag.store.ingest import (
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
    save_chunks,
    save_embeddings,
    set_state,
    stored_chunks,
    verifying_places,
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
    count_live,
    fetch_live,
    has_live,
    knowledge_version,
    live_chunks,
    live_missing,
    live_places,
    live_revisions,
    live_texts,
    sample_live_places,
    unused_places,
    vectors,
)
from rag.store.publishing import (
    announce,
    find_earlier,
    give_own_audience,
    publish,
    reopen,
    retire,
    roll_back,
    set_audience,
    settle,
)
from rag.store.spaces import count_embedded, live_space, switch_space
from rag.store.tokens import forget_spent, spend, spent
from rag.store.values import NewChunk, NewRevision, Place, Published, VersionMoved

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
    "Place",
    "Published",
    "Revision",
    "Source",
    "VersionMoved",
    "announce",
    "begin_attempt",
    "count_chunks",
    "count_embedded",
    "count_live",
    "fail_revision",
    "fetch_live",
    "file_names",
    "find_earlier",
    "find_revision",
    "find_same",
    "find_source",
    "finish_parsing",
    "forget_spent",
    "give_own_audience",
    "hand_in",
    "has_live",
    "knowledge_version",
    "list_sources",
    "live_chunks",
    "live_missing",
    "live_places",
    "live_revisions",
    "live_space",
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
    "reopen",
    "retire",
    "roll_back",
    "sample_live_places",
    "save_calibration",
    "save_chunks",
    "save_embeddings",
    "save_record",
    "set_audience",
    "set_state",
    "settle",
    "show_source",
    "spend",
    "spent",
    "stored_chunks",
    "switch_space",
    "unused_places",
    "vectors",
    "verifying_places",
    "visible_to",
]
