"""The librarian's store: what is live is one row, and nothing else can be fetched."""

import random
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from rag import models, store
from storage import migrate
from storage.database import Database
from storage.ids import new_id
from tests.rag.stored import NOON, new_chunks, new_revision, put_live


@pytest.fixture(name="database")
def database_of_either_kind(either_database: Database) -> Database:
    """All tests of this file run on SQLite and on PostgreSQL."""
    return either_database


def all_places(texts: list[str], audience: str = "public") -> list[store.Place]:
    return [(audience, name) for name in all_hashes(texts)]


def all_hashes(texts: list[str]) -> list[str]:
    return [chunk.content_hash for chunk in new_chunks(texts)]


def fetch(database: Database, texts: list[str], audience: str = "public") -> list[str]:
    hashes = all_hashes(texts)
    found = database.read_now(lambda session: store.fetch_live(session, hashes, audience))
    return [chunk.text for chunk in found]


def test_an_empty_base_is_at_version_nought(database: Database) -> None:
    """Before the first document there is nothing live, and asking for it is no error."""
    version = database.read_now(store.knowledge_version)
    live = database.read_now(store.live_revisions)

    assert version == 0
    assert live == []


def test_a_published_document_can_be_fetched_with_all_that_a_citation_needs(
    database: Database,
) -> None:
    """A live chunk carries its source's name, title and address."""
    put_live(database, "refunds.md", ["Within 30 days."], title="Refunds", url="https://a.test/r")

    found = database.read_now(
        lambda session: store.fetch_live(session, all_hashes(["Within 30 days."]), "public")
    )

    assert [(c.source, c.title, c.url, c.text) for c in found] == [
        ("refunds.md", "Refunds", "https://a.test/r", "Within 30 days.")
    ]
    assert found[0].heading_path == ("Manual",)


def test_a_retired_document_is_gone_at_once_even_by_chunk_id(database: Database) -> None:
    """After the one commit that retires it, neither hash nor id brings its text back."""
    source_id = put_live(database, "old.md", ["Old rule."])
    chunk = database.read_now(
        lambda session: store.fetch_live(session, all_hashes(["Old rule."]), "public")
    )[0]

    published = database.write_now(
        lambda session: store.retire(session, source_id, expected_version=1, now=NOON)
    )

    assert published == store.Published(2, (("public", chunk.content_hash),))
    assert fetch(database, ["Old rule."]) == []
    assert (
        database.read_now(lambda session: store.fetch_live(session, [chunk.chunk_id], "public"))
        == []
    )
    assert database.read_now(store.live_revisions) == []


def test_a_new_version_replaces_the_old_text_in_one_step(database: Database) -> None:
    """Publishing the second revision takes the first one's text out and tells its hashes."""
    put_live(database, "hours.md", ["Open 9-17.", "Same in both."])
    put_live(database, "hours.md", ["Open 8-20.", "Same in both."])

    source = database.read_now(store.list_sources)[0]
    detail = database.read_now(lambda session: store.show_source(session, source.id))

    assert detail is not None
    assert fetch(database, ["Open 9-17.", "Open 8-20."]) == ["Open 8-20."]
    assert [revision.state for revision in detail.revisions] == ["live", "superseded"]
    unused = database.read_now(
        lambda session: store.unused_places(session, all_places(["Open 9-17.", "Same in both."]))
    )
    assert unused == all_places(["Open 9-17."])


def test_a_change_prepared_for_another_version_is_refused(database: Database) -> None:
    """A floor raised for version 1 does not cover a commit that would make version 3."""
    first = put_live(database, "a.md", ["A"])
    put_live(database, "b.md", ["B"])

    with pytest.raises(store.VersionMoved):
        database.write_now(
            lambda session: store.retire(session, first, expected_version=1, now=NOON)
        )

    assert fetch(database, ["A"]) == ["A"]
    assert database.read_now(store.knowledge_version) == 2


def test_the_same_document_again_is_the_same_revision(database: Database) -> None:
    """Same bytes and labels: the revision that is live is returned, nothing is queued."""
    put_live(database, "a.md", ["A"])

    again = database.write_now(
        lambda session: store.hand_in(session, new_revision("a.md", "A", audience="public"))
    )
    staff = database.write_now(
        lambda session: store.hand_in(session, new_revision("a.md", "A", audience="staff"))
    )

    assert (again.state, again.ordinal) == ("live", 1)
    assert (staff.state, staff.ordinal) == ("queued", 2)
    assert database.read_now(store.open_count) == 1


def test_a_document_retired_while_it_is_taken_in_never_goes_live(database: Database) -> None:
    """Retiring gives up the open revision too: its publish does nothing."""
    new = new_revision("a.md", "A")
    revision = database.write_now(lambda session: store.hand_in(session, new))
    database.write_now(lambda session: store.begin_attempt(session, revision.id))
    database.write_now(
        lambda session: store.retire(session, new.source_id, expected_version=0, now=NOON)
    )

    published = database.write_now(
        lambda session: store.publish(session, revision.id, expected_version=1)
    )

    assert published is None
    assert database.read_now(store.open_count) == 0


@pytest.mark.parametrize(
    ("asker", "sees"),
    [
        ("public", {"P"}),
        ("customers", {"P", "C"}),
        ("staff", {"P", "C", "S"}),
        ("partners", {"P", "X"}),
    ],
)
def test_each_audience_reads_its_own_and_what_is_wider(
    database: Database, asker: str, sees: set[str]
) -> None:
    """Staff texts never reach the public, nor do those of a special audience."""
    for name, audience in (("P", "public"), ("C", "customers"), ("S", "staff"), ("X", "partners")):
        put_live(database, name, [name], audience=audience)

    assert set(fetch(database, ["P", "C", "S", "X"], asker)) == sees


def test_vectors_come_back_as_they_were_and_only_for_their_embedder(database: Database) -> None:
    """Bytes in the store are the same numbers; another fingerprint has none."""
    vector = np.array([0.6, -0.8], dtype=np.float32)
    for _ in range(2):  # the same vector again is no error
        database.write_now(lambda session: store.save_embeddings(session, "m1", {"h": vector}))

    found = database.read_now(lambda session: store.vectors(session, ["h", "other"], "m1"))
    none = database.read_now(lambda session: store.vectors(session, ["h"], "m2"))

    assert list(found) == ["h"]
    assert found["h"].tolist() == vector.tolist()
    assert none == {}


def test_live_places_are_paged_without_a_gap(database: Database) -> None:
    """Reading page by page gives each live hash once, whatever the page size."""
    texts = [f"text {n}" for n in range(7)]
    put_live(database, "a.md", texts)
    put_live(database, "b.md", texts[:3])

    pages: list[store.Place] = []
    for _ in range(4):
        after = pages[-1] if pages else ("", "")
        pages += database.read_now(
            lambda session, after=after: store.live_places(session, after=after, limit=3)
        )

    assert pages == sorted(all_places(texts))
    assert database.read_now(store.count_live) == {"public": 7}
    sample = database.read_now(
        lambda session: store.sample_live_places(session, 4, random.Random(1))
    )
    assert set(sample) <= set(pages)


def test_sources_are_listed_by_key_and_a_retired_one_is_left_out(database: Database) -> None:
    """Pages follow each other by id; what was retired is not shown."""
    ids = [put_live(database, f"{n}.md", [str(n)]) for n in range(5)]
    database.write_now(lambda session: store.retire(session, ids[2], expected_version=5, now=NOON))

    first = database.read_now(lambda session: store.list_sources(session, limit=2))
    second = database.read_now(
        lambda session: store.list_sources(session, after=first[-1].id, limit=9)
    )

    assert [s.name for s in first + second] == ["0.md", "1.md", "3.md", "4.md"]
    assert {(s.state, s.chunks) for s in first} == {("live", 1)}


def test_the_newest_calibration_is_in_force(database: Database) -> None:
    """Each calibration is kept; the last one saved is the one that counts."""
    for version in (1, 2):
        row = models.Calibration(
            id=new_id(),
            knowledge_version=version,
            fingerprint="m",
            model={},
            report={},
            created_at=NOON,
        )
        database.write_now(lambda session, row=row: store.save_calibration(session, row))

    newest = database.read_now(store.newest_calibration)

    assert newest is not None
    assert newest.knowledge_version == 2


def test_a_record_saved_twice_is_kept_once(database: Database) -> None:
    """A repeated save after a lost confirmation is harmless."""
    record = models.Record(
        id=new_id(),
        question={"text": "?"},
        features={"top": 0.5},
        decision={},
        chunk_hashes=["h"],
        knowledge_version=3,
        timings_ms={},
        created_at=NOON,
    )
    for _ in range(2):
        database.write_now(lambda session: store.save_record(session, record))

    loaded = database.read_now(lambda session: store.load_record(session, record.id))

    assert loaded is not None
    assert (loaded.features, loaded.created_at) == ({"top": 0.5}, NOON)


def test_a_chunk_without_its_revision_is_refused_by_the_database(database: Database) -> None:
    """Foreign keys are on: the store cannot hold an orphan."""
    with pytest.raises(IntegrityError):
        database.write_now(lambda session: store.save_chunks(session, "none", new_chunks(["A"])))


def test_the_migrations_make_exactly_the_tables_of_the_models(empty_store: Path) -> None:
    """Nobody changed a table and forgot the migration."""
    engine = create_engine(f"sqlite:///{empty_store}")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrate.version_table(store.MIGRATIONS)}
        )
        difference = compare_metadata(context, models.RagTable.metadata)
    engine.dispose()

    assert difference == []


def test_migrating_twice_changes_nothing_and_a_newer_store_is_refused(tmp_path: Path) -> None:
    """An older Tandem says in plain words that it does not know the store's version."""
    url = f"sqlite:///{tmp_path / 'rag.sqlite'}"
    before = migrate.pending(url, store.MIGRATIONS)
    store.migrate(url)
    store.migrate(url)
    after = migrate.pending(url, store.MIGRATIONS)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update rag_schema_version set version_num = '9999'"))
    engine.dispose()

    assert before[0] == "0001"
    assert after == ()
    with pytest.raises(migrate.SchemaTooNew, match="9999"):
        store.migrate(url)
