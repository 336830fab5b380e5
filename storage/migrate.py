"""Brings a store's tables to the shape this version of the code expects.

Each store has a folder of Alembic versions; its `env.py` is two lines that call `run`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from alembic.config import Config

# Any number: several gateways that start at once must not migrate at once (PostgreSQL only;
# SQLite has its lock on the file).
_ADVISORY_LOCK = 7_220_331


class SchemaTooNew(Exception):
    """A newer version of Tandem has migrated this store: run that one, or restore a backup."""


def upgrade(url: str, folder: Path) -> None:
    """Apply what is missing, all in one transaction. Raises SchemaTooNew.

    Blocks, and imports Alembic (half a second): run it before the event loop.
    """
    from alembic import command

    engine = _engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"select pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            config = _config(folder, connection)
            _refuse_newer(config, connection, folder)
            command.upgrade(config, "head")
        if engine.dialect.name == "sqlite":
            _switch_to_wal(engine)
    finally:
        engine.dispose()


def pending(url: str, folder: Path) -> tuple[str, ...]:
    """The versions of `folder` that the store lacks, oldest first."""
    from alembic.script import ScriptDirectory

    engine = _engine(url)
    try:
        with engine.connect() as connection:
            config = _config(folder, connection)
            script = ScriptDirectory.from_config(config)
            done = _current(connection, folder)
            versions = [version.revision for version in script.walk_revisions()]
            applied = {
                version.revision
                for head in done
                for version in script.iterate_revisions(head, "base")
            }
            return tuple(version for version in reversed(versions) if version not in applied)
    finally:
        engine.dispose()


def version_table(folder: Path) -> str:
    """Each store has its own, so that two may share one PostgreSQL database."""
    return f"{folder.name}_schema_version"


def run(metadata: MetaData) -> None:
    """The body of every `env.py`: migrate on the connection that `upgrade` opened."""
    from alembic import context

    connection: Connection = context.config.attributes["connection"]
    folder = Path(context.config.get_main_option("script_location") or "")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=version_table(folder),
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _config(folder: Path, connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _current(connection: Connection, folder: Path) -> tuple[str, ...]:
    from alembic.migration import MigrationContext

    options = {"version_table": version_table(folder)}
    return MigrationContext.configure(connection, opts=options).get_current_heads()


def _refuse_newer(config: "Config", connection: Connection, folder: Path) -> None:
    from alembic.script import ScriptDirectory

    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    for head in _current(connection, folder):
        if head not in known:
            raise SchemaTooNew(f"the store is at version {head}, which this Tandem does not know")


def _switch_to_wal(engine: Engine) -> None:
    # The file keeps the mode. Left to the first connections, two of them would meet a lock that
    # no time-out covers.
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _engine(url: str) -> Engine:
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    if engine.dialect.name != "sqlite":
        return engine

    # Left alone, the driver commits before each CREATE TABLE: a crash would leave half a schema.
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
