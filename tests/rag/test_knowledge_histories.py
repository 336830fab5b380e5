"""Random histories and kill -9: withdrawn text stays out, and what was added gets in once."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func
from sqlmodel import Session, select

from rag import models, store
from rag.errors import IndexUnavailable
from rag.types import Upload
from storage.database import Database
from tests.rag.taking import Base

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "retire", "ask", "wait", "check", "down", "up"]),
        st.sampled_from(["a.md", "b.md", "c.md"]),
    ),
    min_size=3,
    max_size=14,
)


async def live_through(base: Base, actions: Sequence[tuple[str, str]]) -> None:
    """Play a history; whenever something is asked, only text that may be live comes back."""
    allowed: dict[str, set[str]] = {}  # by name: the live text and those still on their way
    count = 0
    async with base.running() as knowledge:
        for action, name in actions:
            if action == "add":
                count += 1
                text = f"text number {count} of {name}"
                await knowledge.add(Upload(name=name, content=text.encode()))
                allowed.setdefault(name, set()).add(text)
            elif action == "retire":
                for source in await knowledge.sources():
                    if source.name == name:
                        await knowledge.retire(source.id)
                        allowed[name] = set()
            elif action == "down":
                base.index.is_down = True
            elif action == "up":
                base.index.is_down = False
            elif action == "check" and not base.index.is_down:
                with contextlib.suppress(IndexUnavailable):
                    await knowledge.check(rebuild=True)
            elif action == "wait" and not base.index.is_down:
                await knowledge.wait_idle()
                allowed = {
                    name: {max(texts, key=lambda text: int(text.split()[2]))} if texts else set()
                    for name, texts in allowed.items()
                }
            with contextlib.suppress(IndexUnavailable):
                found = await base.found("text number of a.md b.md c.md 1 2 3 4 5")
                assert set(found) <= set().union(*allowed.values())
        base.index.is_down = False
        await knowledge.wait_idle()
        newest = {max(t, key=lambda x: int(x.split()[2])) for t in allowed.values() if t}
        assert (await knowledge.check()).healthy
        assert set(await base.found("text number of")) == newest


@settings(max_examples=15, deadline=None)
@given(ACTIONS)
def test_withdrawn_or_replaced_text_never_comes_back(
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
    actions: Sequence[tuple[str, str]],
) -> None:
    """Whatever is added, retired, rebuilt or broken in between: from the commit on it is gone,
    and in the end exactly the newest texts are live and the index agrees."""
    folder = tmp_path_factory.mktemp("history")
    path = shutil.copy(empty_store, folder / "rag.sqlite")
    database = Database(f"sqlite:///{path}")
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
from rag.types import Upload
from storage.database import Database

async def main(folder):
    database = Database(f"sqlite:///{folder}/rag.sqlite")
    knowledge = Knowledge(Parts(database=database, batcher=MicroBatcher(HashEmbedder()),
                                index=MemoryIndex(), files=folder / "files"))
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
    live_after_crash = len(await database.read(store.live_hashes))
    embedded_before = await database.read(embeddings)
    database.close()
    finished = take_in(tmp_path)
    database = Database(f"sqlite:///{tmp_path / 'rag.sqlite'}")
    (source,) = await database.read(store.list_sources)
    detail = await database.read(lambda session: store.show_source(session, source.id))
    live = len(await database.read(store.live_hashes))
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
