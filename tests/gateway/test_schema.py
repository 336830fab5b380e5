"""What the database itself refuses, whatever the code above it believes."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import Session

from agent_inbox import models as inbox_models
from gateway import audit
from gateway.models import GatewayTable
from gateway.store import MIGRATIONS, migrate
from storage.migrate import pending
from tests.gateway.world import ANA, World

assert inbox_models


A_SECOND_OPEN_CONVERSATION = """
INSERT INTO conversation (id, contact_id, thread_key, state, epoch, next_seq, customer_seq,
  language, reply_channel, reply_account, reply_chat, reply_thread, opened_at, updated_at)
SELECT 'second', contact_id, thread_key, 'bot', 0, 1, 0, language,
  reply_channel, reply_account, reply_chat, reply_thread, opened_at, updated_at FROM conversation
"""
A_SECOND_IDENTITY = """
INSERT INTO identity (id, contact_id, channel, account, external_id, name, proof, verified,
  numbering, linked_at)
SELECT 'second', contact_id, channel, account, external_id, name, proof, verified,
  numbering, linked_at FROM identity
"""


async def refused(world: World, statement: str) -> None:
    def run(session: Session) -> None:
        session.connection().execute(text(statement))

    with pytest.raises(DatabaseError):
        await world.store.write(run)


async def a_conversation(world: World) -> None:
    await world.ingress.store(world.memory.event_of(chat="c1", text="How long?"))
    await world.worker.settle()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "UPDATE attempt SET outcome = 'A'",
        "UPDATE delivery SET state = 'pending'",
        "UPDATE conversation SET owner = 'ana'",
        "UPDATE conversation SET state = 'agent'",
        "UPDATE message SET seq = 1",
        "INSERT INTO knowledge_floor (id, version) VALUES (2, 0)",
        A_SECOND_OPEN_CONVERSATION,
        A_SECOND_IDENTITY,
    ],
)
async def test_the_database_refuses(world: World, statement: str) -> None:
    """Append-only, final, single and gapless are constraints, not habits."""
    await a_conversation(world)
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.act(lambda s, c: world.conversations.hand_back(s, c, ANA), visitor="c1")
    await world.worker.settle()

    await refused(world, statement)


async def test_a_changed_audit_entry_is_found(world: World) -> None:
    """Whoever gets past the trigger still breaks the chain."""
    await a_conversation(world)
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.act(lambda s, c: world.conversations.hand_back(s, c, ANA), visitor="c1")

    def tamper(session: Session) -> None:
        connection = session.connection()
        if world.store.database.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_no_update"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_no_change"))
        connection.execute(text("UPDATE audit SET actor = 'nobody' WHERE action = 'claim'"))
        if not world.store.database.is_sqlite:
            connection.execute(text("ALTER TABLE audit ENABLE TRIGGER audit_no_change"))

    whole = await world.store.read(audit.first_broken)
    await world.store.write(tamper)

    assert whole is None
    assert await world.store.read(audit.first_broken) is not None


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    """A migrated store and the models agree, column for column."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    url = f"sqlite:///{tmp_path}/m.sqlite"
    migrate(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "gateway_schema_version"}
        )
        differences = compare_metadata(context, GatewayTable.metadata)
    engine.dispose()

    assert differences == []
    assert pending(url, MIGRATIONS) == ()
