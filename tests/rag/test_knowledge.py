"""Documents in and out: embedded once, live in one step, gone for good when withdrawn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rag import store
from rag.errors import SourceUnknown, SourceUnreadable
from rag.types import Upload
from storage.database import Database
from storage.ids import new_id
from tests.rag.taking import MANUAL, Base


@pytest.fixture(name="database")
def database_of_either_kind(either_database: Database) -> Database:
    """All tests of this file run on SQLite and on PostgreSQL."""
    return either_database


@pytest.fixture
async def base(database: Database, tmp_path: Path) -> AsyncIterator[Base]:
    base = Base(database, tmp_path / "files")
    yield base
    base.batcher.close()


async def test_a_document_goes_in_and_is_found(base: Base) -> None:
    """Added, taken in by the worker, live with its progress, and retrievable."""
    async with base.running() as knowledge:
        queued = await knowledge.add(Upload(name="manual.md", content=MANUAL.encode()))
        await knowledge.wait_idle()
        live = await knowledge.progress(queued.revision_id)
        (summary,) = await knowledge.sources()
        detail = await knowledge.show(summary.id)

        assert (queued.state, live.state) == ("queued", "live")
        assert (live.chunks_total, live.chunks_done, live.chunks_embedded) == (2, 2, 2)
        assert live.health is not None
        assert (live.health.language, live.health.chunks) == ("en", 2)
        assert (summary.title, summary.chunks) == ("Manual", 2)
        assert [passage.heading_path[-1] for passage in detail.passages] == ["Refunds", "Hours"]
        assert "Within 30 days." in await base.found("refunds within days")
        assert base.told == ["changed"]  # nothing was withdrawn: the floor stays


async def test_the_same_folder_again_embeds_nothing(base: Base) -> None:
    """Unchanged documents are the revisions that are live already; no file is kept twice."""
    async with base.running() as knowledge:
        first = await base.put("manual.md", MANUAL)
        embedded = len(base.embedder.embedded)
        again = await knowledge.add(Upload(name="manual.md", content=MANUAL.encode()))

        assert (again.revision_id, again.state) == (first, "live")
        assert len(base.embedder.embedded) == embedded
        assert len(list(base.files.iterdir())) == 1


async def test_one_changed_paragraph_embeds_exactly_that_passage(base: Base) -> None:
    """The second version embeds its new text only, and takes the old one's vector out."""
    async with base.running() as knowledge:
        await base.put("manual.md", MANUAL)
        base.embedder.embedded.clear()
        changed = await base.put("manual.md", MANUAL.replace("30 days", "14 days"))
        status = await knowledge.progress(changed)

        assert base.embedder.embedded == ["Manual > Refunds\nWithin 14 days."]
        assert status.chunks_embedded == 1
        assert len(base.index) == 2
        assert sorted(await base.found("refunds days hours")) == [
            "Nine to five.",
            "Within 14 days.",
        ]


async def test_going_back_to_an_old_text_embeds_nothing(base: Base) -> None:
    """Embeddings are kept for good: the third version, equal to the first, costs no encoding."""
    async with base.running():
        await base.put("manual.md", MANUAL)
        await base.put("manual.md", MANUAL.replace("30", "14"))
        base.embedder.embedded.clear()
        await base.put("manual.md", MANUAL)

        assert base.embedder.embedded == []
        assert "Within 30 days." in await base.found("refunds within days")


async def test_a_replaced_text_is_announced_before_it_goes(base: Base) -> None:
    """The floor is raised while the old text is still live, and everybody is told afterwards."""
    seen: list[tuple[str, int]] = []
    base.observe = lambda event: seen.append(
        (event, base.database.read_now(store.knowledge_version))
    )
    async with base.running():
        await base.put("a.md", "first text")
        await base.put("a.md", "second text")

        assert seen == [("changed", 1), ("floor 2", 1), ("changed", 2)]


async def test_a_retired_document_is_out_when_retire_returns(base: Base) -> None:
    """Floor, commit, vectors: then nothing of it is found, listed, or kept in the index."""
    async with base.running() as knowledge:
        await base.put("manual.md", MANUAL)
        await base.put("other.md", "# Other\n\nSomething else.")
        source = (await knowledge.sources())[0]
        base.told.clear()
        await knowledge.retire(source.id)
        await knowledge.retire(source.id)

        assert base.told == ["floor 3", "changed"]
        assert await base.found("refunds within days hours") == ["Something else."]
        assert [s.name for s in await knowledge.sources()] == ["other.md"]
        assert len(base.index) == 1


async def test_a_text_that_two_documents_share_survives_one_of_them(base: Base) -> None:
    """One vector serves both; it goes with the last document that uses it."""
    async with base.running() as knowledge:
        await base.put("a.txt", "Shared words.")
        await base.put("b.txt", "Shared words.")
        first, second = await knowledge.sources()
        await knowledge.retire(first.id)
        left = await base.found("shared words")
        await knowledge.retire(second.id)

        assert left == ["Shared words."]
        assert len(base.embedder.embedded) == 2 + 0  # one passage, one question
        assert len(base.index) == 0


async def test_a_retired_document_can_come_back(base: Base) -> None:
    """Handed in again it is taken in again, without embedding anything."""
    async with base.running() as knowledge:
        await base.put("manual.md", MANUAL)
        await knowledge.retire((await knowledge.sources())[0].id)
        base.embedder.embedded.clear()
        await base.put("manual.md", MANUAL)

        assert base.embedder.embedded == []
        assert "Within 30 days." in await base.found("refunds within days")


async def test_a_broken_document_fails_with_its_reason_and_keeps_its_file(base: Base) -> None:
    """The reason is in words, the live version stays, later documents are taken in."""
    async with base.running() as knowledge:
        await base.put("page.html", "<p>good</p>")
        bad = await base.put("page.html", "<script>only</script>")
        await base.put("next.md", "next")
        status = await knowledge.progress(bad)

        assert status.state == "failed"
        assert status.reason is not None
        assert status.reason.en.startswith("No text was found in it.")
        assert status.reason.zh.startswith("其中没有找到文字")
        assert sorted(await base.found("good next")) == ["good", "next"]
        assert len(list(base.files.iterdir())) == 3


@pytest.mark.parametrize(
    ("upload", "says"),
    [
        (Upload(name="a.exe", content=b"x"), "not a kind of document"),
        (Upload(name="a.md", content=b""), "empty"),
        (Upload(name="  ", content=b"x"), "no name"),
        (Upload(name="x" * 256 + ".md", content=b"x"), "longer than 255"),
        (Upload(name="a.md", content=b"x", url="javascript:alert(1)"), "https://"),
    ],
)
async def test_what_can_never_be_taken_in_is_refused_at_once(
    base: Base, upload: Upload, says: str
) -> None:
    """The uploader hears it in the same breath; nothing is stored."""
    with pytest.raises(SourceUnreadable, match=says):
        await base.knowledge.add(upload)
    assert await base.knowledge.sources() == []
    assert not base.files.exists()


async def test_a_name_never_becomes_a_path(base: Base) -> None:
    """A hostile name is a label in the store; the file lies where all files lie."""
    async with base.running() as knowledge:
        await base.put("../../etc/passwd.md", "harmless")
        (source,) = await knowledge.sources()

        assert source.name == "../../etc/passwd.md"
        assert [path.suffix for path in base.files.iterdir()] == [".bin"]
        assert len(list(base.files.parent.glob("**/passwd*"))) == 0


async def test_unknown_ids_are_told_as_unknown(base: Base) -> None:
    """No such source, no such revision: SourceUnknown, for all verbs."""
    for verb in (base.knowledge.progress, base.knowledge.show, base.knowledge.retire):
        with pytest.raises(SourceUnknown):
            await verb(new_id())
