"""Both indexes keep one contract; Chroma's server is watched, and replaced when it is broken."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.audience import visible_to
from rag.chroma import ChromaLimits, ChromaServer
from rag.errors import IndexUnavailable
from rag.index import ChromaIndex, MemoryIndex, Vector
from rag.ports import Index, Near
from tests.rag.taking import until

DIMENSION = 8


def unit(seed: int) -> Vector:
    """A direction of its own for each seed."""
    vector = np.random.default_rng(seed).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def units(seeds: range) -> dict[str, Vector]:
    return {f"v{seed}": unit(seed) for seed in seeds}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ChromaServer]:
    server = ChromaServer(tmp_path / "chroma")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def chroma(server: ChromaServer) -> AsyncIterator[ChromaIndex]:
    index = ChromaIndex(server, fingerprint="test@1", dimension=DIMENSION)
    yield index
    await index.close()


async def near(index: Index, *seeds: int, limit: int, audience: str = "public") -> list[list[Near]]:
    vectors = np.stack([unit(seed) for seed in seeds])
    return await index.near(vectors, limit=limit, audiences=visible_to(audience))


async def keep_the_contract(index: Index) -> None:
    """What every index does: empty, filled, changed, thinned, checked, reset."""
    assert await near(index, 0, limit=3) == [[]]
    assert await index.check({}, totals={}) == 0

    await index.put("public", units(range(20)))
    await index.put("public", {"v3": unit(100)})  # the same id again replaces its vector
    found = await near(index, 5, 100, 3, limit=2)
    assert [hits[0].id for hits in found] == ["v5", "v3", found[2][0].id]
    assert found[0][0].cosine == pytest.approx(1.0, abs=1e-3)
    assert found[0][0].cosine >= found[0][1].cosine
    assert found[2][0].cosine < 0.999

    await index.remove("public", ["v5", "v5", "never-there"])
    assert "v5" not in [hit.id for hit in (await near(index, 5, limit=20))[0]]
    totals = {"public": 19}
    assert await index.check({"public": {"v7": unit(7), "v3": unit(100)}}, totals=totals) == 0
    assert await index.check({"public": {"v7": unit(7)}}, totals={"public": 21}) == 2
    assert await index.check({"public": {"v7": unit(8)}}, totals=totals) == 1
    assert await index.check({"public": {"v5": unit(5)}}, totals=totals) == 1

    await index.put("staff", {"v7": unit(7), "secret": unit(7)})
    assert (await near(index, 7, limit=2))[0][0].id == "v7"
    assert "secret" not in [hit.id for hit in (await near(index, 7, limit=30))[0]]
    (seen,) = await near(index, 7, limit=30, audience="staff")
    assert sorted(hit.id for hit in seen[:2]) == ["secret", "v7"]
    assert len([hit for hit in seen if hit.id == "v7"]) == 1
    assert await index.check({}, totals=totals) == 2
    assert await index.check({"staff": {"secret": unit(7)}}, totals=totals | {"staff": 2}) == 0

    await index.reset()
    assert await near(index, 0, limit=3, audience="staff") == [[]]
    await index.put("public", units(range(2)))
    assert await index.check({"public": units(range(2))}, totals={"public": 2}) == 0


async def test_the_memory_index_keeps_the_contract() -> None:
    """The twin does what Chroma does."""
    await keep_the_contract(MemoryIndex())


async def test_the_chroma_index_keeps_the_contract(chroma: ChromaIndex) -> None:
    """The real index, over HTTP, with a child process of its own."""
    await keep_the_contract(chroma)


async def live_a_random_life(index: Index, dice: random.Random, steps: int) -> None:
    """Put, remove and ask at random; after each step the index agrees with a dictionary."""
    model: dict[str, Vector] = {}
    for _ in range(steps):
        seeds = range(start := dice.randrange(12), start + dice.randrange(1, 6))
        if dice.random() < 0.6:
            await index.put("public", units(seeds))
            model |= units(seeds)
        else:
            await index.remove("public", [f"v{seed}" for seed in seeds])
            for seed in seeds:
                model.pop(f"v{seed}", None)
        hits = (await near(index, dice.randrange(30), limit=50))[0]

        assert {hit.id for hit in hits} == set(model)
        assert [hit.cosine for hit in hits] == sorted((h.cosine for h in hits), reverse=True)
        assert await index.check({"public": model}, totals={"public": len(model)}) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_random_life_of_the_memory_index_agrees_with_a_dictionary(seed: int) -> None:
    """No history of puts and removes leaves it with more, less or other than was put."""
    asyncio.run(live_a_random_life(MemoryIndex(), random.Random(seed), 15))


async def test_a_random_life_of_the_chroma_index_agrees_with_a_dictionary(
    chroma: ChromaIndex,
) -> None:
    """The same with the real thing, shorter."""
    await live_a_random_life(chroma, random.Random(7), 8)


async def test_a_memory_index_that_is_down_says_so() -> None:
    """The twin can fail as the server does, until it is reset."""
    index = MemoryIndex()
    index.is_down = True

    with pytest.raises(IndexUnavailable):
        await near(index, 1, limit=1)
    with pytest.raises(IndexUnavailable):
        await index.put("public", units(range(1)))
    await index.reset()
    assert await index.check({}, totals={}) == 0


async def test_more_rows_than_one_call_takes_are_put_in_several(tmp_path: Path) -> None:
    """The limit of a call is no limit of a document."""
    server = ChromaServer(tmp_path / "chroma", ChromaLimits(rows_per_call=3))
    await server.start()
    index = ChromaIndex(server, fingerprint="test@1", dimension=DIMENSION)
    try:
        await index.put("public", units(range(8)))
        await index.remove("public", [f"v{seed}" for seed in range(4)])

        assert await index.check({"public": units(range(4, 8))}, totals={"public": 4}) == 0
    finally:
        await index.close()
        await server.stop()


async def test_a_killed_server_comes_back_with_what_it_had(
    server: ChromaServer, chroma: ChromaIndex
) -> None:
    """After kill -9 the first calls fail as unavailable; soon the new server answers rightly."""
    await chroma.put("public", units(range(6)))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    generation = server.generation

    with pytest.raises(IndexUnavailable):
        await near(chroma, 1, limit=1)
    await until(lambda: server.generation > generation)

    assert await chroma.check({"public": units(range(6))}, totals={"public": 6}) == 0


async def test_a_server_that_hangs_is_given_up_within_its_deadline_and_replaced(
    tmp_path: Path,
) -> None:
    """A stopped process accepts connections for ever: deadlines pass, then it is killed."""
    limits = ChromaLimits(query_wait_s=0.5, timeouts_max=2)
    server = ChromaServer(tmp_path / "chroma", limits)
    await server.start()
    index = ChromaIndex(server, fingerprint="test@1", dimension=DIMENSION)
    try:
        await index.put("public", units(range(3)))
        generation = server.generation
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        for _ in range(2):
            with pytest.raises(IndexUnavailable, match=r"no answer within 0\.5 s"):
                await near(index, 1, limit=1)
        await server.start()

        assert server.generation == generation + 1
        assert (await near(index, 1, limit=1))[0][0].id == "v1"
    finally:
        await index.close()
        await server.stop()


async def test_vectors_of_another_length_are_refused(chroma: ChromaIndex) -> None:
    """A wrong dimension is a broken index, not a wrong answer."""
    await chroma.put("public", units(range(2)))

    with pytest.raises(IndexUnavailable, match="dimension"):
        await chroma.near(np.ones((1, DIMENSION + 1), np.float32), limit=1, audiences=("public",))


@pytest.mark.parametrize("harm", ["flipped", "halved", "zeroed", "deleted"])
async def test_a_corrupt_folder_is_noticed_and_never_blocks_a_new_start(
    tmp_path: Path, harm: str
) -> None:
    """However the files are broken, the canary says so, and a reset gives an index that works."""
    server = ChromaServer(tmp_path / "chroma", ChromaLimits(ready_wait_s=15))
    await server.start()
    index = ChromaIndex(server, fingerprint="test@1", dimension=DIMENSION)
    try:
        many = units(range(1_200))  # past 1,000 Chroma writes the files of its graph
        await index.put("public", many)
        await index.close()
        await server.stop()
        damage(server.folder, harm)
        noticed = await is_noticed(server, index, units(range(0, 1_200, 10)))
        await index.reset()
        await index.put("public", units(range(5)))

        assert noticed
        assert await index.check({"public": units(range(5))}, totals={"public": 5}) == 0
    finally:
        await index.close()
        await server.stop()


async def is_noticed(server: ChromaServer, index: ChromaIndex, sample: dict[str, Vector]) -> bool:
    try:
        await server.start()
        return await index.check({"public": sample}, totals={"public": 1_200}) > 0
    except IndexUnavailable:
        return True


def damage(folder: Path, harm: str) -> None:
    """Break the files as a bad disk, a cut write or a careless person would."""
    if harm == "deleted":
        (folder / "chroma.sqlite3").unlink()
        return
    name = {"flipped": "data_level0.bin", "halved": "data_level0.bin", "zeroed": "header.bin"}[harm]
    (path,) = folder.glob(f"*/{name}")
    content = bytearray(path.read_bytes())
    if harm == "halved":
        del content[len(content) // 2 :]
    elif harm == "zeroed":
        content[:] = bytes(len(content))
    else:
        for at in random.Random(3).sample(range(len(content)), 200):
            content[at] ^= 0xFF
    path.write_bytes(content)
