"""What breaks while documents are taken in: nothing is lost, nothing withdrawn comes back."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag import store
from rag.errors import IndexUnavailable
from rag.types import Upload
from storage.database import Database
from tests.rag.taking import MANUAL, QUICK, Base, until


@pytest.fixture
async def base(database: Database, tmp_path: Path) -> AsyncIterator[Base]:
    base = Base(database, tmp_path / "files")
    yield base
    base.batcher.close()


async def test_while_the_index_is_down_documents_wait_and_are_not_lost(
    database: Database, tmp_path: Path
) -> None:
    """Neither counted as the document's failure nor forgotten: back up, it goes live."""
    base = Base(database, tmp_path / "files", replace(QUICK, failures_max=10**6))
    base.index.is_down = True
    async with base.running() as knowledge:
        status = await knowledge.add(Upload(name="a.md", content=b"text"))
        await until(lambda: base.index.puts > QUICK.attempts_max)
        waiting = await knowledge.progress(status.revision_id)
        await base.index.reset()
        await knowledge.wait_idle()

        assert waiting.state == "verifying"
        assert await base.found("text") == ["text"]
        assert (await knowledge.progress(status.revision_id)).chunks_embedded == 1
    base.batcher.close()


async def test_while_the_embedder_is_down_documents_wait(base: Base) -> None:
    """The same for a model that is not to be had."""
    base.embedder.is_down = True
    async with base.running() as knowledge:
        status = await knowledge.add(Upload(name="a.md", content=b"text"))
        await until(lambda: base.embedder.refused > QUICK.attempts_max)
        waiting = await knowledge.progress(status.revision_id)
        base.embedder.is_down = False
        await knowledge.wait_idle()

        assert waiting.state == "embedding"
        assert (await knowledge.progress(status.revision_id)).state == "live"


async def test_a_gateway_that_cannot_be_told_keeps_the_text_live(base: Base) -> None:
    """No floor, no withdrawal: the caller hears it, and the base can still be answered from."""
    async with base.running() as knowledge:
        await base.put("a.md", "text")
        (source,) = await knowledge.sources()

        def refuse(event: str) -> None:
            if event.startswith("floor"):
                raise ConnectionError("the gateway is gone")

        base.observe = refuse
        with pytest.raises(ConnectionError):
            await knowledge.retire(source.id)

        assert await base.found("text") == ["text"]
        # The floor 2 may have been raised: the version must reach it, or nothing is ever said.
        assert await base.database.read(store.knowledge_version) == 2


async def test_a_change_cut_off_after_its_floor_is_settled_at_the_next_start(base: Base) -> None:
    """A librarian that died between floor and commit comes back at the floor's version."""
    async with base.running():
        await base.put("a.md", "text")
    await base.database.write(lambda session: store.announce(session, 2))
    async with base.running() as knowledge:
        await knowledge.wait_idle()
        await knowledge.check()

        assert await base.database.read(store.knowledge_version) == 2
        assert base.told == ["changed", "changed"]


async def test_a_document_that_kills_its_attempts_is_given_up_after_three(base: Base) -> None:
    """Attempts are counted before the work, so crashes count too."""
    await base.knowledge.add(Upload(name="a.md", content=b"text"))
    for _ in range(3):
        revision = await base.database.read(store.next_open)
        assert revision is not None
        await base.database.write(
            lambda session, revision_id=revision.id: store.begin_attempt(session, revision_id)
        )
    async with base.running() as knowledge:
        await knowledge.wait_idle()
        (source,) = await knowledge.sources()

        assert source.state == "failed"
        detail = await knowledge.show(source.id)
        assert "3 times" in str(detail.revisions[0].reason)


async def test_a_lost_index_is_rebuilt_from_the_store_without_embedding(base: Base) -> None:
    """The canary notices, and a rebuild puts the same ids and vectors back."""
    async with base.running() as knowledge:
        await base.put("manual.md", MANUAL)
        await knowledge.check()
        before = dict(base.index.by_audience["public"])
        base.embedder.embedded.clear()
        await base.index.reset()
        sick = await knowledge.check()
        rebuilt = await knowledge.check(rebuild=True)

        assert (sick.healthy, sick.wrong) == (False, 4)  # two missing, and two not found
        assert (rebuilt.healthy, rebuilt.embedded, rebuilt.rebuilt) == (True, 0, True)
        assert base.embedder.embedded == []
        assert {name: row.tolist() for name, row in base.index.by_audience["public"].items()} == {
            name: row.tolist() for name, row in before.items()
        }
        assert knowledge.index_state == "ok"


async def test_the_worker_rebuilds_a_sick_index_by_itself(base: Base) -> None:
    """At the start the canary runs; what it finds is repaired with nobody asking."""
    async with base.running():
        await base.put("manual.md", MANUAL)
    await base.index.reset()
    async with base.running():
        await until(lambda: len(base.index) == 2)

    assert sorted(await base.found("refunds days nine five hours")) == [
        "Nine to five.",
        "Within 30 days.",
    ]


async def test_an_index_that_does_not_answer_is_made_anew_after_some_tries(base: Base) -> None:
    """A server that stays down is replaced by an empty one, filled from the store."""
    async with base.running() as knowledge:
        await base.put("manual.md", MANUAL)
        base.index.is_down = True
        with pytest.raises(IndexUnavailable):
            await base.found("refunds")
        knowledge.suspect_index()
        await until(lambda: not base.index.is_down and len(base.index) == 2)

        assert "Within 30 days." in await base.found("refunds within days")


async def test_another_embedder_gets_vectors_of_its_own(base: Base, tmp_path: Path) -> None:
    """After a change of model the missing vectors are made once, and counted."""
    async with base.running():
        await base.put("manual.md", MANUAL)
    other = Base(base.database, base.files)
    other.embedder.fingerprint = "another-model"
    sick = await other.knowledge.check()
    first = await other.knowledge.check(rebuild=True)
    second = await other.knowledge.check(rebuild=True)
    other.batcher.close()

    assert not sick.healthy
    assert (first.embedded, first.healthy) == (2, True)
    assert second.embedded == 0


async def test_a_file_whose_upload_died_is_swept_and_a_young_one_is_not(base: Base) -> None:
    """Lost files go at the start, an hour later, so that none belongs to a running upload."""
    async with base.running():
        await base.put("a.md", "text")
    (kept,) = base.files.iterdir()
    lost, young = base.files / "lost.bin", base.files / "young.bin"
    for path in (lost, young):
        path.write_bytes(b"x")
    os.utime(lost, (0, 0))
    async with base.running() as knowledge:
        await knowledge.wait_idle()
        await knowledge.check()

    assert sorted(path.name for path in base.files.iterdir()) == sorted([kept.name, "young.bin"])


async def test_two_versions_in_a_row_end_with_the_newer_one(base: Base) -> None:
    """Both are taken in, in order; the newer one is live."""
    async with base.running() as knowledge:
        for text in ("one", "two", "three"):
            await knowledge.add(Upload(name="a.md", content=text.encode()))
        await knowledge.wait_idle()
        (source,) = await knowledge.sources()
        detail = await knowledge.show(source.id)

        assert [revision.state for revision in detail.revisions] == [
            "live",
            "superseded",
            "superseded",
        ]
        assert [passage.text for passage in detail.passages] == ["three"]


async def test_a_document_retired_while_it_waits_never_goes_live(base: Base) -> None:
    """Retiring gives up what has been queued; an older version does not come back either."""
    await base.knowledge.add(Upload(name="a.md", content=b"text"))
    (source,) = await base.knowledge.sources()
    await base.knowledge.retire(source.id)
    async with base.running() as knowledge:
        await knowledge.wait_idle()

        assert await base.found("text") == []
        assert await knowledge.sources() == []
