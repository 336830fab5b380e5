"""Another embedder: its index is built beside the live one, and takes over when it is right."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rag import store
from rag.answer import Librarian
from rag.embed import HashEmbedder, MicroBatcher
from rag.index import Vector
from rag.intake import Parts
from rag.knowledge import Building, Knowledge
from rag.ports import Vectors
from rag.retrieve import Retriever
from rag.spaces import Space
from rag.types import Question, TextKind, Upload
from storage.database import Database
from tests.rag.taking import MANUAL, QUICK, Base, CountingIndex, until


class OtherEmbedder(HashEmbedder):
    """Another model, which remembers what it embedded."""

    def __init__(self) -> None:
        super().__init__(dimension=128)
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        if kind == "document":
            self.embedded += texts
        return super().embed(texts, kind)


class HeldIndex(CountingIndex):
    """Takes no vector before it may, so that a test sees what goes on meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.may_take = asyncio.Event()
        self.is_asked = asyncio.Event()
        self.loses = 0

    async def put(self, audience: str, vectors: Mapping[str, Vector]) -> None:
        self.is_asked.set()
        await self.may_take.wait()
        await super().put(audience, vectors)
        if self.loses and self.by_audience.get(audience):
            self.loses -= 1
            self.by_audience[audience].popitem()


class Change:
    """A base whose embedder is being replaced."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.embedder = OtherEmbedder()
        self.index = HeldIndex()
        self.batcher = MicroBatcher(self.embedder, encoder=base.batcher.encoder)
        self.space = Space(self.batcher, self.index, {"model": "other"})
        self.replaced: list[Space] = []
        self.retriever = Retriever(base.database, base.spaces)
        self.librarian = Librarian(base.database, self.retriever)
        self.knowledge = Knowledge(
            Parts(
                database=base.database, spaces=base.spaces, files=base.files, limits=QUICK,
                changed=self.librarian.refresh,
            ),
            Building(self.space, self._replaced),
        )  # fmt: skip
        base.knowledge = self.knowledge

    async def _replaced(self, space: Space) -> None:
        self.replaced.append(space)

    async def answer(self, text: str = "When open? Nine to five?") -> list[str]:
        found = await self.retriever.search(Question(text=text))
        assert found.vectors_used
        return [one.text for one in found.evidence.candidates]

    @property
    def is_done(self) -> bool:
        return bool(self.replaced)


@pytest.fixture
async def base(database: Database, tmp_path: Path) -> AsyncIterator[Base]:
    base = Base(database, tmp_path / "files")
    async with base.running():
        await base.put("manual.md", MANUAL)
        await base.put("inner.md", "# Desk\n\nOnly for the desk.", audience="staff")
    yield base
    base.batcher.close()


@asynccontextmanager
async def changing(base: Base) -> AsyncIterator[Change]:
    change = Change(base)
    await change.librarian.refresh()
    async with base.running():
        yield change
    await change.librarian.close()
    change.batcher.close()


async def test_questions_are_answered_until_the_new_index_takes_over(base: Base) -> None:
    """Before, during and after the change the answer is there, by meaning too."""
    old = base.spaces.live
    async with changing(base) as change:
        before = await change.answer()
        during, progress = base.spaces.live is old, await change.knowledge.reembedding()
        change.index.may_take.set()
        await until(lambda: change.is_done)
        after = await change.answer()

        assert before[0] == after[0] == "Nine to five."
        assert during
        assert "of 3 passages" in progress
        assert await change.knowledge.reembedding() == ""
        assert base.spaces.live is change.space
        assert change.replaced == [old]
        assert await base.database.read(store.live_space) == ("hash-128", {"model": "other"})
        assert {name: len(held) for name, held in change.index.by_audience.items()} == {
            "public": 2,
            "staff": 1,
        }
        assert (await change.knowledge.check()).healthy


async def test_what_is_published_and_withdrawn_meanwhile_is_not_forgotten(base: Base) -> None:
    """The new index holds exactly what is live when it takes over."""
    async with changing(base) as change:
        await base.put("late.md", "# Late\n\nCame in late.")
        (desk,) = [one for one in await change.knowledge.sources() if one.name == "inner.md"]
        await change.knowledge.retire(desk.id)
        change.index.may_take.set()
        await until(lambda: change.is_done)

        assert (await change.answer("What came in late?"))[0] == "Came in late."
        assert len(change.index) == 3
        assert (await change.knowledge.check()).healthy


async def test_an_index_that_lost_a_vector_does_not_take_over(base: Base) -> None:
    """It is checked before the change, thrown away, and built again from stored vectors."""
    async with changing(base) as change:
        change.index.loses = 1
        change.index.may_take.set()
        await until(lambda: change.is_done)

        assert len(change.index) == 3
        assert len(change.embedder.embedded) == 3  # nothing was embedded twice
        assert (await change.knowledge.check()).healthy


async def test_a_document_on_its_way_goes_live_in_the_new_space(base: Base) -> None:
    """Embedded by the old model when the change happens, it is embedded again by the new one."""
    async with changing(base) as change:
        change.index.may_take.set()
        content = "\n\n".join(f"## Part {n}\n\nText of part {n}." for n in range(60)).encode()
        status = await change.knowledge.add(Upload(name="long.md", content=content))
        await change.knowledge.wait_idle()
        await until(lambda: change.is_done)

        assert (await change.knowledge.progress(status.revision_id)).state == "live"
        assert (await change.answer("Text of part 42"))[0] == "Text of part 42."
        assert len(change.index) == 63
        assert (await change.knowledge.check()).healthy


async def test_going_back_embeds_nothing(base: Base) -> None:
    """The old model's vectors are kept for good: its index is filled from the store."""
    async with changing(base) as change:
        change.index.may_take.set()
        await until(lambda: change.is_done)
    base.embedder.embedded.clear()
    back = Change(base)
    back.space = Space(base.batcher, back.index, {"model": "first"})
    back.knowledge = base.knowledge = Knowledge(
        Parts(database=base.database, spaces=base.spaces, files=base.files, limits=QUICK),
        Building(back.space, back._replaced),  # pyright: ignore[reportPrivateUsage]
    )
    back.index.may_take.set()
    async with base.running():
        await until(lambda: back.is_done)

    assert base.spaces.live is back.space
    assert base.embedder.embedded == []
    assert len(back.index) == 3


async def test_a_change_cut_off_goes_on_from_its_vectors(base: Base) -> None:
    """After a crash the stored vectors are used; the live space was the old one all the time."""
    async with changing(base) as change:
        await change.index.is_asked.wait()  # all is embedded, nothing is in the index
        made = await base.database.read(
            lambda session: store.count_embedded(session, change.space.fingerprint)
        )
    again = Change(base)
    again.index.may_take.set()
    async with base.running():
        await until(lambda: again.is_done)

    assert made == 3
    assert again.embedder.embedded == []


async def test_the_calibration_of_the_old_embedder_is_not_used_with_the_new(base: Base) -> None:
    """Its numbers mean nothing there: until the new one is made, that of a fresh install holds."""
    async with changing(base) as change:
        await change.librarian.calibrator.calibrate()
        fitted = change.librarian.calibrator.in_force.id
        change.index.may_take.set()
        await until(lambda: change.is_done)

        assert fitted != "prior"
        assert change.librarian.calibrator.in_force.id == "prior"
        assert not change.librarian.calibrator.fits


async def test_the_old_space_stays_open_for_whoever_is_still_in_it(base: Base) -> None:
    """A question that was embedded by the old model is looked up in the old index."""
    async with changing(base) as change:
        async with base.spaces.using() as space:
            change.index.may_take.set()
            await until(lambda: base.spaces.live is change.space)
            vector = await space.batcher.embed_query("nine to five")
            (hits,) = await space.index.near(vector[None], limit=1, audiences=("public",))
            closed_meanwhile = change.is_done
        await until(lambda: change.is_done)

        assert hits
        assert not closed_meanwhile
