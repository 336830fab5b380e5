"""Documents put into a store by its own steps, without parser, embedder or index."""

import datetime as dt
import hashlib
import itertools
from collections.abc import Sequence

from rag import store
from storage.database import Database
from storage.ids import new_id

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def new_revision(name: str, content: str = "", **labels: str) -> store.NewRevision:
    """A document as the store sees it."""
    return store.NewRevision(
        revision_id=new_id(),
        source_id=new_id(),
        name=name,
        title=labels.get("title", name),
        url=labels.get("url"),
        language=None,
        audience=labels.get("audience", "public"),
        content_hash=hashlib.sha256(content.encode()).hexdigest(),
        file_name=f"{new_id()}.bin",
        created_at=NOON,
    )


def new_chunks(texts: Sequence[str]) -> list[store.NewChunk]:
    ordinal = itertools.count()
    return [
        store.NewChunk(
            chunk_id=new_id(),
            ordinal=next(ordinal),
            heading_path=("Manual",),
            text=text,
            kind="text",
            language="en",
            content_hash=hashlib.sha256(text.encode()).hexdigest(),
        )
        for text in texts
    ]


def put_live(database: Database, name: str, texts: Sequence[str], **labels: str) -> str:
    """Take a document in by the store's own steps and publish it; the source's id."""
    new = new_revision(name, "\n".join(texts), **labels)
    revision = database.write_now(lambda session: store.hand_in(session, new))
    database.write_now(lambda session: store.begin_attempt(session, revision.id))
    database.write_now(lambda session: store.save_chunks(session, revision.id, new_chunks(texts)))
    database.write_now(
        lambda session: store.finish_parsing(
            session, revision.id, title=new.title, chunks=len(texts), health={"warnings": []}
        )
    )
    version = database.read_now(store.knowledge_version)
    database.write_now(
        lambda session: store.publish(session, revision.id, expected_version=version)
    )
    return revision.source_id
