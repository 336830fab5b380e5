"""Another embedder by a setting: both are loaded, and the new one takes over by itself."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from commands.deployment import Deployment
from commands.library import open_own
from commands.spaces import open_spaces
from config.folders import Folders
from config.sources import load
from rag import store
from rag.index import MemoryIndex
from rag.library import Library
from rag.types import Question, Upload
from storage.database import Database
from tests.rag.stored import NOON, put_live
from tests.rag.taking import MANUAL
from tests.running import environ

pytestmark = [pytest.mark.torch, pytest.mark.process]


def deployment(folder: Path, **embedder: str) -> Deployment:
    """One whose settings name this embedder; its index is a real one."""
    patient = ("SEARCH__NEAR_WAIT_S", "BATCHER__QUESTION_WAIT_S", "CHROMA__QUERY_WAIT_S")
    waits = {f"TANDEM_RAG__{name}": "60.0" for name in patient}  # the machine may be busy
    index = {"TANDEM_RAG__INDEX__KIND": "chroma"}
    settings = load(environ(folder, **index | waits | embedder))
    return Deployment(settings, Folders(folder).prepare())


async def reasons(library: Library) -> list[str]:
    """Why the decision on a question came out as it did: told if the vectors had no part in it."""
    answer = await library.librarian.answer(Question(text="When are you open? Nine to five?"))
    return [str(reason) for reason in answer.decision.reasons]


async def until_changed(library: Library) -> list[str]:
    """How the change was reported, and that there were answers all the time."""
    said: list[str] = []
    async with asyncio.timeout(100):
        while text := (await library.librarian.health()).reembedding:
            said.append(text)
            assert "keywords_only" not in await reasons(library)
            await asyncio.sleep(0.05)
    return said


async def test_the_new_embedder_takes_over_and_the_old_index_goes(tmp_path: Path) -> None:
    """From the twin to the real model and back: never without the search by meaning, one index
    folder in the end, and nothing embedded again on the way back."""
    first = deployment(tmp_path)
    async with open_own(first) as library:
        await library.knowledge.add(Upload(name="manual.md", content=MANUAL.encode()))
        while (await library.knowledge.sources())[0].state != "live":  # noqa: ASYNC110 as people do
            await asyncio.sleep(0.05)
    real = deployment(tmp_path, TANDEM_RAG__EMBEDDER__KIND="sentence")
    async with open_own(real) as library:
        said = await until_changed(library)
        report = await library.knowledge.check()
        after = await reasons(library)
    async with open_own(first) as library:
        await until_changed(library)
        back = await library.knowledge.check()
    async with open_own(first):  # what a change left behind when it was cut off goes at the start
        pass
    folders = [path for path in first.folders.index.iterdir() if path.is_dir()]
    database = Database(first.settings.rag_database_url)
    live = database.read_now(store.live_space)
    database.close()

    assert said
    assert "of 2 passages" in said[0]
    assert (report.healthy, report.embedded) == (True, 0)
    assert "keywords_only" not in after
    assert (back.healthy, back.embedded) == (True, 0)
    assert live is not None
    assert live[0] == "hash-256"
    assert len(folders) == 1


async def test_an_old_embedder_that_is_gone_does_not_stop_the_new_one(tmp_path: Path) -> None:
    """Its folder was deleted: keywords answer until the new index is complete."""
    wanted = deployment(tmp_path, TANDEM_RAG__INDEX__KIND="memory")
    store.migrate(wanted.settings.rag_database_url)
    database = Database(wanted.settings.rag_database_url)
    recipe = wanted.settings.rag.embedder.model_dump() | {"kind": "sentence", "model": "/nowhere"}
    put_live(database, "a.md", ["text"])
    database.write_now(lambda session: store.switch_space(session, "gone@1", recipe, now=NOON))
    async with AsyncExitStack() as stack:
        live, building = await open_spaces(wanted, database, stack)

        assert live.fingerprint == "hash-256"
        assert isinstance(live.index, MemoryIndex)
        assert building is None
    database.close()
