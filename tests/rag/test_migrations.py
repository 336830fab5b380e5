"""A store of an earlier version goes on with all that was in it."""

import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from rag import store
from rag.types import Words
from storage import migrate
from storage.database import Database

REVISION = (
    "INSERT INTO revision (id, source_id, ordinal, content_hash, file_name, title, audience, state,"
    " attempts, reason, chunks_total, chunks_done, chunks_embedded, health, created_at) VALUES"
    " (:id, 's1', :ordinal, 'c', 'f', 't', 'staff', :state, 0, :reason, 1, 1, 1, :health,"
    " '2026-01-01 00:00:00')"
)


def old_store(url: str) -> None:
    """As the version before kept it: a live document for staff, and one that failed."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = migrate._config(store.MIGRATIONS, connection)  # pyright: ignore[reportPrivateUsage]
        command.upgrade(config, "0002")
        connection.execute(
            text(
                "INSERT INTO source (id, name, title, audience, live_revision_id, created_at)"
                " VALUES ('s1', 'a.md', 't', 'staff', 'r1', '2026-01-01 00:00:00')"
            )
        )
        health = json.dumps({"characters": 9, "chunks": 1, "warnings": ["short"]})
        rows = [
            {"id": "r1", "ordinal": 1, "state": "live", "reason": None, "health": health},
            {"id": "r2", "ordinal": 2, "state": "failed", "reason": "empty", "health": None},
        ]
        for row in rows:
            connection.execute(text(REVISION), row)
        connection.execute(
            text(
                "INSERT INTO chunk (id, revision_id, ordinal, heading_path, text, kind, language,"
                " content_hash) VALUES ('c1', 'r1', 0, '[]', 'Ask the desk.', 'text', 'en', 'h')"
            )
        )
    engine.dispose()


def test_documents_of_the_version_before_are_still_there_and_for_the_same_people(
    tmp_path: Path,
) -> None:
    """Passages take their document's audience over; reasons and warnings stay readable."""
    url = f"sqlite:///{tmp_path / 'rag.sqlite'}"
    old_store(url)
    store.migrate(url)
    database = Database(url)
    detail = database.read_now(lambda session: store.show_source(session, "s1"))
    public = database.read_now(lambda session: store.fetch_live(session, ["h"], "public"))
    staff = database.read_now(lambda session: store.fetch_live(session, ["h"], "staff"))
    database.close()

    assert detail is not None
    failed, live = detail.revisions
    assert failed.reason == Words("empty", "empty")
    assert live.health is not None
    assert live.health.warnings == (Words("short", "short"),)
    assert live.health.characters == 9
    assert public == []
    assert [chunk.text for chunk in staff] == ["Ask the desk."]


@pytest.mark.postgres
def test_the_migrations_make_what_the_models_say(postgres_store: str) -> None:
    """On PostgreSQL as on SQLite, nothing is left for Alembic to find."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from rag.models import RagTable

    engine = create_engine(postgres_store)
    with engine.connect() as connection:
        options = {"version_table": migrate.version_table(store.MIGRATIONS)}
        context = MigrationContext.configure(connection, opts=options)
        found = compare_metadata(context, RagTable.metadata)
    engine.dispose()

    assert found == []
