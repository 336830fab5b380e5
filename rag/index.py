"""Vectors by audience and content hash, nearest first: Chroma's, and a twin in memory.

An index holds nothing that SQL does not hold. So whatever is wrong with it has one remedy: throw
it away and fill it again.
"""

import asyncio
import hashlib
import importlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rag.chroma import ChromaServer
from rag.errors import IndexUnavailable
from rag.ports import Index, Near, Vectors

Vector = npt.NDArray[np.float32]

# A vector's cosine with itself after the way through float32 and HNSW.
_SELF_COSINE = 0.999
_PROBE_DEPTH = 5
_HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}


class ChromaIndex:
    """One collection per audience on a `ChromaServer`, which the caller starts and stops.

    Every verb raises IndexUnavailable, whatever Chroma or the connection to it raised.
    """

    def __init__(self, server: ChromaServer, *, fingerprint: str, dimension: int) -> None:
        self._server = server
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._generation = 0
        self._connecting = asyncio.Lock()
        self._timeouts = 0
        self._is_imported = False

    async def put(self, audience: str, vectors: Mapping[str, Vector]) -> None:
        for some in _batches(list(vectors), self._server.limits.rows_per_call):
            async with self._calling(self._server.limits.write_wait_s) as client:
                collection = await self._collection(client, audience)
                await collection.upsert(ids=some, embeddings=[vectors[name] for name in some])

    async def remove(self, audience: str, ids: Sequence[str]) -> None:
        for some in _batches(list(dict.fromkeys(ids)), self._server.limits.rows_per_call):
            async with self._calling(self._server.limits.write_wait_s) as client:
                await (await self._collection(client, audience)).delete(ids=some)

    async def near(
        self, vectors: Vectors, *, limit: int, audiences: Sequence[str]
    ) -> list[list[Near]]:
        """For each row of `vectors`, the nearest ids of these audiences, best first; within
        `query_wait_s`."""
        if not len(vectors):
            return []
        async with self._calling(self._server.limits.query_wait_s) as client:
            asked = [
                self._near(await self._collection(client, audience), vectors, limit)
                for audience in dict.fromkeys(audiences)
            ]
            found = await asyncio.gather(*asked)
        return _merged(found, len(vectors), limit)

    async def _near(self, collection: Any, vectors: Vectors, limit: int) -> list[list[Near]]:
        found = await collection.query(
            query_embeddings=list(vectors), n_results=limit, include=["distances"]
        )
        return [
            [Near(name, 1.0 - float(distance)) for name, distance in zip(names, row, strict=True)]
            for names, row in zip(found["ids"], found["distances"], strict=True)
        ]

    async def check(
        self, sample: Mapping[str, Mapping[str, Vector]], *, totals: Mapping[str, int]
    ) -> int:
        """See `rag.ports.Index`: 0 means healthy."""
        async with self._calling(self._server.limits.query_wait_s) as client:
            there = {one.metadata["audience"] for one in await client.list_collections()}
            wrong = 0
            for audience in there | set(totals):
                count = await (await self._collection(client, audience)).count()
                wrong += abs(count - totals.get(audience, 0))
        return wrong + await count_lost(self, sample)

    async def reset(self) -> None:
        """Start on a new, empty folder."""
        await self.close()
        await self._server.wipe()

    async def close(self) -> None:
        """Let go of the connections; the next call makes new ones."""
        client, self._client, self._collections = self._client, None, {}
        if client is not None:
            # The client has no close of its own; the part below it is a context manager.
            await cast("Any", vars(client)["_server"]).__aexit__(None, None, None)

    @asynccontextmanager
    async def _calling(self, wait_s: float) -> AsyncGenerator[Any]:
        """The client to call; anything that goes wrong meanwhile is IndexUnavailable."""
        if not self._is_imported:  # takes seconds on a busy machine: not out of the deadline
            await asyncio.to_thread(importlib.import_module, "chromadb")
            self._is_imported = True
        try:
            async with asyncio.timeout(wait_s):
                yield await self._connected()
        except IndexUnavailable:
            raise
        except TimeoutError:
            self._note_timeout()
            raise IndexUnavailable(f"no answer within {wait_s:g} s") from None
        except Exception as error:  # Chroma raises bare Exception for what it cannot name
            self._collections = {}
            raise IndexUnavailable(f"{type(error).__name__}: {error}") from error
        self._timeouts = 0

    def _note_timeout(self) -> None:
        self._collections = {}
        self._timeouts += 1
        if self._timeouts >= self._server.limits.timeouts_max:
            self._timeouts = 0
            self._server.kill()

    async def _connected(self) -> Any:
        async with self._connecting:
            port = self._server.port
            if self._client is None or self._generation != self._server.generation:
                await self._connect(port)
            return self._client

    async def _connect(self, port: int) -> None:
        chromadb = importlib.import_module("chromadb")
        settings = chromadb.Settings(_env_file=None, anonymized_telemetry=False)
        self._collections = {}
        self._client = await chromadb.AsyncHttpClient(
            host="127.0.0.1", port=port, settings=settings
        )
        self._generation = self._server.generation

    async def _collection(self, client: Any, audience: str) -> Any:
        """That of the audience: filtering inside a collection is slow, and lets the texts of many
        others crowd out the few that a customer may read."""
        if audience not in self._collections:
            named = f"{self._fingerprint}\n{audience}"
            self._collections[audience] = await client.get_or_create_collection(
                "kb_" + hashlib.sha256(named.encode()).hexdigest()[:16],
                embedding_function=None,  # else Chroma attaches one that wants to download a model
                metadata={
                    "model": self._fingerprint, "dimension": self._dimension, "audience": audience,
                },
                configuration={"hnsw": _HNSW},
            )  # fmt: skip
        return self._collections[audience]


class MemoryIndex:
    """The twin: every vector is compared with every question. Right up to some 10,000 vectors.

    `is_down` makes every verb raise IndexUnavailable, as a dead server would.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.by_audience: dict[str, dict[str, Vector]] = {}
        self._matrices: dict[str, tuple[list[str], Vectors]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.by_audience.values()))

    async def put(self, audience: str, vectors: Mapping[str, Vector]) -> None:
        self._refuse_if_down()
        held = self.by_audience.setdefault(audience, {})
        held |= {name: np.asarray(row, np.float32) for name, row in vectors.items()}
        self._matrices.pop(audience, None)

    async def remove(self, audience: str, ids: Sequence[str]) -> None:
        self._refuse_if_down()
        for name in ids:
            self.by_audience.get(audience, {}).pop(name, None)
        self._matrices.pop(audience, None)

    async def near(
        self, vectors: Vectors, *, limit: int, audiences: Sequence[str]
    ) -> list[list[Near]]:
        self._refuse_if_down()
        found = [self._near(audience, vectors, limit) for audience in dict.fromkeys(audiences)]
        return _merged(found, len(vectors), limit)

    def _near(self, audience: str, vectors: Vectors, limit: int) -> list[list[Near]]:
        held = self.by_audience.get(audience)
        if not held:
            return [[] for _ in vectors]
        if audience not in self._matrices:
            names = sorted(held)
            self._matrices[audience] = names, np.stack([held[name] for name in names])
        names, matrix = self._matrices[audience]
        cosines = np.asarray(vectors, np.float32) @ matrix.T
        best: list[list[int]] = np.argsort(-cosines, axis=1, kind="stable")[:, :limit].tolist()
        return [
            [Near(names[at], float(row[at])) for at in places]
            for row, places in zip(cosines, best, strict=True)
        ]

    async def check(
        self, sample: Mapping[str, Mapping[str, Vector]], *, totals: Mapping[str, int]
    ) -> int:
        self._refuse_if_down()
        counts = {audience: len(held) for audience, held in self.by_audience.items()}
        wrong = sum(
            abs(counts.get(audience, 0) - totals.get(audience, 0))
            for audience in counts.keys() | totals.keys()
        )
        return wrong + await count_lost(self, sample)

    async def reset(self) -> None:
        self.by_audience = {}
        self._matrices = {}
        self.is_down = False

    def _refuse_if_down(self) -> None:
        if self.is_down:
            raise IndexUnavailable("the index is down")


async def count_lost(index: Index, sample: Mapping[str, Mapping[str, Vector]]) -> int:
    """How many vectors of the sample do not find themselves where they were put."""
    lost = 0
    for audience, vectors in sample.items():
        if vectors:
            rows = np.stack(list(vectors.values()))
            found = await index.near(rows, limit=_PROBE_DEPTH, audiences=(audience,))
            lost += sum(
                not _is_found(name, hits) for name, hits in zip(vectors, found, strict=True)
            )
    return lost


def _merged(found: Sequence[list[list[Near]]], rows: int, limit: int) -> list[list[Near]]:
    """The best of several collections. A text may lie in more than one."""
    merged: list[list[Near]] = []
    for row in range(rows):
        best: dict[str, Near] = {}
        for near in (near for one in found for near in one[row]):
            if near.id not in best or best[near.id].cosine < near.cosine:
                best[near.id] = near
        merged.append(sorted(best.values(), key=lambda near: -near.cosine)[:limit])
    return merged


def _is_found(name: str, hits: Sequence[Near]) -> bool:
    same = [hit.id for hit in hits if hit.cosine >= _SELF_COSINE]
    # Texts that the embedder cannot tell apart may crowd each other out of a short list.
    return name in same or len(same) == _PROBE_DEPTH


def _batches(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]
