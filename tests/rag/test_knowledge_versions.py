"""Versions that come back, texts that only some may read, and questions worded in several ways."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag import store
from rag.audience import narrower, visible_to
from rag.errors import NoEarlierVersion, SourceUnknown, SourceUnreadable
from rag.retrieve import Retriever
from rag.types import Question, Upload
from storage.database import Database
from storage.ids import new_id
from tests.rag.taking import QUICK, Base

FAQ = (
    "Question,Answer,Similar questions,Audience\n"
    "How long may I return a lamp?,Within 30 days.,"
    "Deadline for sending back?;Bring it back until,\n"
    "Who signs for refunds?,The head of service.,,staff\n"
)


@pytest.fixture(name="database")
def database_of_either_kind(either_database: Database) -> Database:
    """All tests of this file run on SQLite and on PostgreSQL."""
    return either_database


@pytest.fixture
async def base(database: Database, tmp_path: Path) -> AsyncIterator[Base]:
    base = Base(database, tmp_path / "files")
    yield base
    base.batcher.close()


async def shown(base: Base, question: str, audience: str = "public") -> list[str]:
    """What retrieval hands to the answer, best first."""
    retriever = Retriever(base.database, base.spaces)
    await retriever.refresh()
    found = await retriever.search(Question(text=question, audience=audience))
    return [candidate.text for candidate in found.evidence.candidates]


async def test_a_version_comes_back_in_one_step(base: Base) -> None:
    """The text before the newest is live again, announced like a withdrawal, nothing embedded."""
    async with base.running() as knowledge:
        first = await base.put("a.md", "first text")
        await base.put("a.md", "second text")
        (source,) = await knowledge.sources()
        base.told.clear()
        base.embedder.embedded.clear()
        status = await knowledge.roll_back(source.id)
        found = await base.found("text")
        detail = await knowledge.show(source.id)

        assert (status.revision_id, status.state) == (first, "live")
        assert found == ["first text"]
        assert base.told == ["floor 3", "changed"]
        assert base.embedder.embedded == ["text"]  # the question alone
        assert [one.state for one in detail.revisions] == ["live", "superseded"]
        assert len(base.index) == 1
        assert (await knowledge.check()).healthy


async def test_a_named_version_comes_back_and_forward_again(base: Base) -> None:
    """Any complete version can be chosen; going back twice goes back twice."""
    async with base.running() as knowledge:
        ids = [await base.put("a.md", f"text {word}") for word in ("one", "two", "three")]
        (source,) = await knowledge.sources()
        await knowledge.roll_back(source.id, ids[0])
        oldest = await base.found("text")
        await knowledge.roll_back(source.id, ids[2])
        newest = await base.found("text")
        await knowledge.roll_back(source.id)
        again = await base.found("text")

        assert (oldest, newest, again) == (["text one"], ["text three"], ["text one"])


async def test_what_cannot_come_back_is_refused(base: Base) -> None:
    """The live version, one that failed, one of another source, none at all, a removed source."""
    async with base.running() as knowledge:
        live = await base.put("a.md", "text")
        other = await base.put("b.md", "other")
        failed = await base.put("a.html", "<script>only</script>")
        source = (await knowledge.sources())[0]
        for revision in (None, live, other, failed, new_id()):
            with pytest.raises(NoEarlierVersion):
                await knowledge.roll_back(source.id, revision)
        await base.put("a.md", "newer")
        await knowledge.retire(source.id)
        with pytest.raises(NoEarlierVersion):
            await knowledge.roll_back(source.id)
        with pytest.raises(SourceUnknown):
            await knowledge.roll_back(new_id())

        assert await base.found("text newer") == ["other"]


async def test_an_upload_that_waited_does_not_undo_a_roll_back(base: Base) -> None:
    """What was handed in before the decision to go back is older than that decision."""
    async with base.running() as knowledge:
        await base.put("a.md", "first text")
        await base.put("a.md", "second text")
    late = await knowledge.add(Upload(name="a.md", content=b"third text"))
    (source,) = await knowledge.sources()
    await knowledge.roll_back(source.id)
    async with base.running() as knowledge:
        await knowledge.wait_idle()

        assert await base.found("text") == ["first text"]
        assert (await knowledge.progress(late.revision_id)).state == "superseded"


async def test_each_wording_of_a_question_finds_its_answer_once(base: Base) -> None:
    """One vector for each, one passage shown, and the entry whole."""
    async with base.running() as knowledge:
        await knowledge.add(Upload(name="faq.csv", content=FAQ.encode()))
        await knowledge.wait_idle()
        (source,) = await knowledge.sources()
        detail = await knowledge.show(source.id)
        by_wording = [
            await shown(base, asked)
            for asked in ("Deadline for sending back", "Bring it back until")
        ]

        assert "Deadline for sending back?" in base.embedder.embedded  # alone, without the answer
        assert "How long may I return a lamp?\nWithin 30 days." in base.embedder.embedded
        assert [texts[0] for texts in by_wording] == ["Within 30 days."] * 2
        assert all(texts.count("Within 30 days.") == 1 for texts in by_wording)
        assert [(p.text, len(p.wordings)) for p in detail.passages] == [
            ("Within 30 days.", 2),
            ("The head of service.", 0),
        ]
        health = detail.revisions[0].health
        assert health is not None
        assert (health.chunks, health.wordings, health.questions) == (2, 2, 2)


async def test_a_row_may_be_for_fewer_people_than_its_document(base: Base) -> None:
    """By the index, by keywords and by SQL: the public never meets it, staff does."""
    async with base.running() as knowledge:
        await knowledge.add(Upload(name="faq.csv", content=FAQ.encode()))
        await knowledge.wait_idle()
        asked = "Who signs for refunds?"

        assert "The head of service." not in await shown(base, asked)
        assert (await shown(base, asked, "staff"))[0] == "The head of service."
        assert await base.found(asked, "customers") == await base.found(asked)
        assert sorted(base.index.by_audience) == ["public", "staff"]


async def test_near_identical_texts_of_two_audiences_do_not_meet(base: Base) -> None:
    """A thousand internal passages neither leak nor crowd the one public passage out of the
    nearest."""
    internal = "\n\n".join(
        f"## Note {n}\n\nRefunds of lamps are paid within 30 days, desk {n}." for n in range(300)
    )
    async with base.running() as knowledge:
        await base.put("internal.md", internal, audience="staff")
        await base.put("public.md", "# Refunds\n\nRefunds of lamps are paid within 30 days.")
        question = "When are refunds of lamps paid, desk 7?"
        retriever = Retriever(base.database, base.spaces)
        await retriever.refresh()
        found = await retriever.search(Question(text=question))
        staff = await retriever.search(Question(text=question, audience="staff"))

        (only,) = found.evidence.candidates
        assert only.source == "public.md"
        assert only.vector is not None
        assert only.vector > 0.5  # found by its meaning too, not by its words alone
        assert found.evidence.features["vector_top"] > 0.5
        assert staff.evidence.candidates[0].source == "internal.md"
        assert (await knowledge.check()).healthy


async def test_who_may_read_a_source_changes_at_once(base: Base) -> None:
    """Narrowed, it is announced as a withdrawal and gone for the others; widened, it is found."""
    async with base.running() as knowledge:
        await base.put("a.md", "# Prices\n\nSpecial price 10 EUR.")
        (source,) = await knowledge.sources()
        retriever = Retriever(base.database, base.spaces)
        await retriever.refresh()
        base.told.clear()
        await knowledge.set_audience(source.id, "staff")
        stale = await retriever.search(Question(text="special price"))  # its keywords are old
        narrowed = await shown(base, "special price"), await shown(base, "special price", "staff")
        told = list(base.told)
        await knowledge.set_audience(source.id, "staff")
        await knowledge.set_audience(source.id, "public")

        assert stale.evidence.candidates == ()
        assert narrowed == ([], ["Special price 10 EUR."])
        assert told == ["floor 2", "changed"]
        assert base.told == ["floor 2", "changed", "floor 3", "changed"]
        assert await shown(base, "special price") == ["Special price 10 EUR."]
        assert await base.found("special price") == ["Special price 10 EUR."]
        assert (await knowledge.check()).healthy


async def test_what_became_internal_stays_so(base: Base) -> None:
    """A new version without a word about it, and a roll-back, are for the same people."""
    async with base.running() as knowledge:
        await base.put("a.md", "old price")
        await base.put("a.md", "price")
        (source,) = await knowledge.sources()
        await knowledge.set_audience(source.id, "staff")
        await base.put("a.md", "new price")
        newer = await base.found("price"), await base.found("price", "staff")
        await base.put("a.md", "public price", audience="public")
        await base.put("a.md", "staff price", audience="staff")
        await knowledge.roll_back(source.id)
        back = await base.found("price"), await base.found("price", "staff")

        assert newer == ([], ["new price"])
        assert back == ([], ["public price"])
        assert (await knowledge.check()).healthy


async def test_a_narrowing_while_the_document_is_read_holds(base: Base) -> None:
    """A version on its way takes the audience over, whatever it was handed in with."""
    await base.knowledge.add(Upload(name="a.md", content=b"price"))
    (source,) = await base.knowledge.sources()
    await base.knowledge.set_audience(source.id, "staff")
    async with base.running() as knowledge:
        await knowledge.wait_idle()

        assert await base.found("price") == []
        assert await base.found("price", "staff") == ["price"]


@pytest.mark.parametrize("name", ["", "Staff", "a b", "x" * 33, "1st", "sta\nff", "员工"])
async def test_a_name_that_is_no_audience_is_refused(base: Base, name: str) -> None:
    """At the upload, by the command, and in a row: an audience that nobody has would hide it."""
    with pytest.raises(SourceUnreadable, match="no name of an audience"):
        await base.knowledge.add(Upload(name="a.md", content=b"x", audience=name))
    with pytest.raises(SourceUnreadable, match="no name of an audience"):
        await base.knowledge.set_audience(new_id(), name)


async def test_a_row_for_an_odd_audience_fails_the_document(base: Base) -> None:
    """With the reason, before anything of it is shown to anybody."""
    async with base.running() as knowledge:
        rows = b"Question,Answer,Audience\nWho?,Me.,All & sundry\n"
        status = await knowledge.add(Upload(name="faq.csv", content=rows))
        await knowledge.wait_idle()
        failed = await knowledge.progress(status.revision_id)

        assert failed.state == "failed"
        assert failed.reason is not None
        assert "no name of an audience" in failed.reason.en


@pytest.mark.parametrize(
    ("document", "own", "effective"),
    [
        ("public", None, "public"),
        ("public", "staff", "staff"),
        ("staff", "public", "staff"),
        ("customers", "staff", "staff"),
        ("staff", "customers", "staff"),
        ("partners", "public", "partners"),
        ("public", "partners", "partners"),
        ("partners", "partners", "partners"),
        ("partners", "staff", ""),
        ("staff", "partners", ""),
    ],
)
def test_the_narrower_of_two_audiences_counts(
    document: str, own: str | None, effective: str
) -> None:
    """Whoever may read the row may read its document too; where the two do not fit, nobody may."""
    assert narrower(document, own) == effective
    for reader in ("public", "customers", "staff", "partners"):
        if effective in visible_to(reader):
            assert document in visible_to(reader)
            assert (own or document) in visible_to(reader)


async def test_documents_over_the_limit_of_those_that_wait_are_refused(
    database: Database, tmp_path: Path
) -> None:
    """The queue ends; when one of them is in, the next is taken."""
    base = Base(database, tmp_path / "files", replace(QUICK, waiting_max=2))
    for name in ("a.md", "b.md"):
        await base.knowledge.add(Upload(name=name, content=b"text"))
    with pytest.raises(SourceUnreadable, match="2 documents wait"):
        await base.knowledge.add(Upload(name="c.md", content=b"text"))
    async with base.running() as knowledge:
        await knowledge.wait_idle()
        await base.put("c.md", "text")

        assert len(await knowledge.sources()) == 3
    assert await database.read(store.open_count) == 0
    base.batcher.close()
