"""Random histories and kill -9: withdrawn text stays out, and what was added gets in once."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func
from sqlmodel import Session, select

from rag import models, store
from rag.errors import IndexUnavailable, NoEarlierVersion
from rag.knowledge import Knowledge
from rag.types import Upload
from storage.database import Database, DatabaseLimits
from tests.rag.taking import Base

VERBS = ["add", "add", "retire", "back", "hide", "show", "ask", "wait", "check", "down", "up"]
ACTIONS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.sampled_from(["a.md", "b.md", "c.md"])),
    min_size=3,
    max_size=16,
)


@dataclass
class History:
    """What may come back: kept by the test beside the base that it is compared with."""

    base: Base
    texts: dict[str, str] = field(default_factory=dict[str, str])  # revision → its text
    allowed: dict[str, set[str]] = field(default_factory=dict[str, set[str]])  # live or on its way
    last: dict[str, str | None] = field(default_factory=dict[str, str | None])  # decided last
    hidden: set[str] = field(default_factory=set[str])  # names that only staff may read

    @property
    def knowledge(self) -> Knowledge:
        return self.base.knowledge

    async def do(self, verb: str, name: str) -> None:
        match verb:
            case "add":
                await self.add(name)
            case "down" | "up":
                self.base.index.is_down = verb == "down"
            case "check" if not self.base.index.is_down:
                with contextlib.suppress(IndexUnavailable):
                    await self.knowledge.check(rebuild=True)
            case "wait" if not self.base.index.is_down:
                await self.settle()
            case "retire" | "back" | "hide" | "show":
                for source in await self.knowledge.sources():
                    if source.name == name:
                        await self.change(verb, name, source.id)
            case _:
                pass

    async def add(self, name: str) -> None:
        text = f"text number {len(self.texts) + 1} of {name}"
        status = await self.knowledge.add(Upload(name=name, content=text.encode()))
        self.texts[status.revision_id] = text
        self.allowed.setdefault(name, set()).add(text)
        self.last[name] = text

    async def change(self, verb: str, name: str, source_id: str) -> None:
        if verb == "retire":
            await self.knowledge.retire(source_id)
            self.allowed[name], self.last[name] = set(), None
        elif verb == "back":
            with contextlib.suppress(IndexUnavailable, NoEarlierVersion):
                text = self.texts[(await self.knowledge.roll_back(source_id)).revision_id]
                self.allowed[name], self.last[name] = {text}, text
        else:
            await self.knowledge.set_audience(source_id, "staff" if verb == "hide" else "public")
            (self.hidden.add if verb == "hide" else self.hidden.discard)(name)

    async def settle(self) -> None:
        """Nothing is on its way any more."""
        await self.knowledge.wait_idle()
        self.allowed = {name: {text} for name, text in self.last.items() if text}

    async def compare(self, *, exactly: bool = False) -> None:
        """What the public and what staff are told is among what may be, or exactly that."""
        for audience in ("public", "staff"):
            may_be = {
                text
                for name, texts in self.allowed.items()
                if audience == "staff" or name not in self.hidden
                for text in texts
            }
            question = "text number of a.md b.md c.md 1 2 3 4 5"
            found = set(await self.base.found(question, audience))
            assert found == may_be if exactly else found <= may_be


async def live_through(base: Base, actions: Sequence[tuple[str, str]]) -> None:
    """Play a history; whenever something is asked, only text that may be live comes back."""
    history = History(base)
    async with base.running() as knowledge:
        for verb, name in actions:
            await history.do(verb, name)
            with contextlib.suppress(IndexUnavailable):
                await history.compare()
        base.index.is_down = False
        await history.settle()

        if not (await knowledge.check()).healthy:  # an index that was down while texts moved
            assert (await knowledge.check(rebuild=True)).healthy
        await history.compare(exactly=True)


@settings(max_examples=25, deadline=None)
@given(ACTIONS)
def test_withdrawn_or_replaced_text_never_comes_back(
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
    actions: Sequence[tuple[str, str]],
) -> None:
    """Whatever is added, retired, taken back, hidden, rebuilt or broken in between: from the commit
    on it is gone, and in the end exactly what was decided last is live, and the index agrees."""
    folder = tmp_path_factory.mktemp("history")
    path = shutil.copy(empty_store, folder / "rag.sqlite")
    database = Database(f"sqlite:///{path}", limits=DatabaseLimits(commit_wait_s=30))
    base = Base(database, folder / "files")
    try:
        asyncio.run(live_through(base, actions))
    finally:
        base.batcher.close()
        database.close()


TAKE_IN = """
import asyncio, sys
from pathlib import Path
from rag.embed import HashEmbedder, MicroBatcher
from rag.index import MemoryIndex, Vector
from rag.intake import Parts
from rag.knowledge import Knowledge
from rag.spaces import Space, Spaces
from rag.types import Upload
from storage.database import Database, DatabaseLimits

async def main(folder):
    database = Database(f"sqlite:///{folder}/rag.sqlite")
    spaces = Spaces(Space(MicroBatcher(HashEmbedder()), MemoryIndex()))
    knowledge = Knowledge(Parts(database=database, spaces=spaces, files=folder / "files"))
    task = asyncio.create_task(knowledge.run())
    content = (folder / "in.md").read_bytes()
    await knowledge.add(Upload(name="in.md", content=content))
    await knowledge.wait_idle()
    if (folder / "retire").exists():
        await knowledge.retire((await knowledge.sources())[0].id)
    task.cancel()

asyncio.run(main(Path(sys.argv[1])))
"""


def take_in(folder: Path, failpoint: str = "") -> int:
    """Run a librarian of its own until the document is in, or it dies; its exit code."""
    environ = os.environ | {"TANDEM_FAILPOINTS": failpoint}
    command = [sys.executable, "-c", TAKE_IN, str(folder)]
    return subprocess.run(command, env=environ, check=False, timeout=60).returncode


@pytest.mark.process
@pytest.mark.parametrize("failpoint", ["K1", "K2", "K3", "K4", "K5", "K6", "K7"])
async def test_killed_at_any_step_a_document_is_in_once_at_the_next_start(
    empty_store: Path, tmp_path: Path, failpoint: str
) -> None:
    """After kill -9 it was not searchable before it was complete; the next run goes on from
    there, embeds nothing twice, and leaves one live version."""
    shutil.copy(empty_store, tmp_path / "rag.sqlite")
    sections = [f"## Section {n}\n\nText of number {n}." for n in range(40)]
    (tmp_path / "in.md").write_text("\n\n".join(sections))

    killed = take_in(tmp_path, f"{failpoint}=crash")
    database = Database(f"sqlite:///{tmp_path / 'rag.sqlite'}")
    live_after_crash = len(await database.read(store.live_places))
    embedded_before = await database.read(embeddings)
    database.close()
    finished = take_in(tmp_path)
    database = Database(f"sqlite:///{tmp_path / 'rag.sqlite'}")
    (source,) = await database.read(store.list_sources)
    detail = await database.read(lambda session: store.show_source(session, source.id))
    live = len(await database.read(store.live_places))
    database.close()

    assert (killed, finished) == (-9, 0)
    assert live_after_crash == (40 if failpoint == "K7" else 0)
    assert {"K4": 0, "K5": 24, "K6": 40}.get(failpoint, embedded_before) == embedded_before
    assert detail is not None
    assert [revision.state for revision in detail.revisions] == ["live"]
    assert (source.chunks, live) == (40, 40)
    assert detail.revisions[0].chunks_embedded == 40


def embeddings(session: Session) -> int:
    return session.exec(select(func.count()).select_from(models.Embedding)).one()
