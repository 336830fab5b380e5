"""Vectors by content hash, nearest first: Chroma's, and a twin in memory.

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
    """One collection per embedder on a `ChromaServer`, which the caller starts and stops.

    Every verb raises IndexUnavailable, whatever Chroma or the connection to it raised.
    """

    def __init__(self, server: ChromaServer, *, fingerprint: str, dimension: int) -> None:
        self._server = server
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._client: Any = None
        self._collection: Any = None
        self._generation = 0
        self._connecting = asyncio.Lock()
        self._timeouts = 0
        self._is_imported = False

    async def put(self, vectors: Mapping[str, Vector]) -> None:
        for some in _batches(list(vectors), self._server.limits.rows_per_call):
            async with self._calling(self._server.limits.write_wait_s) as collection:
                await collection.upsert(ids=some, embeddings=[vectors[name] for name in some])

    async def remove(self, ids: Sequence[str]) -> None:
        for some in _batches(list(dict.fromkeys(ids)), self._server.limits.rows_per_call):
            async with self._calling(self._server.limits.write_wait_s) as collection:
                await collection.delete(ids=some)

    async def near(self, vectors: Vectors, *, limit: int) -> list[list[Near]]:
        """For each row of `vectors`, the nearest ids, best first; within `query_wait_s`."""
        if not len(vectors):
            return []
        async with self._calling(self._server.limits.query_wait_s) as collection:
            found = await collection.query(
                query_embeddings=list(vectors), n_results=limit, include=["distances"]
            )
        return [
            [Near(name, 1.0 - float(distance)) for name, distance in zip(names, row, strict=True)]
            for names, row in zip(found["ids"], found["distances"], strict=True)
        ]

    async def check(self, sample: Mapping[str, Vector], *, total: int) -> int:
        """See `rag.ports.Index`: 0 means healthy."""
        async with self._calling(self._server.limits.query_wait_s) as collection:
            count = await collection.count()
        return abs(count - total) + await count_lost(self, sample)

    async def reset(self) -> None:
        """Start on a new, empty folder."""
        await self.close()
        await self._server.wipe()

    async def close(self) -> None:
        """Let go of the connections; the next call makes new ones."""
        client, self._client, self._collection = self._client, None, None
        if client is not None:
            # The client has no close of its own; the part below it is a context manager.
            await cast("Any", vars(client)["_server"]).__aexit__(None, None, None)

    @asynccontextmanager
    async def _calling(self, wait_s: float) -> AsyncGenerator[Any]:
        """The collection to call; anything that goes wrong meanwhile is IndexUnavailable."""
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
            self._collection = None
            raise IndexUnavailable(f"{type(error).__name__}: {error}") from error
        self._timeouts = 0

    def _note_timeout(self) -> None:
        self._collection = None
        self._timeouts += 1
        if self._timeouts >= self._server.limits.timeouts_max:
            self._timeouts = 0
            self._server.kill()

    async def _connected(self) -> Any:
        async with self._connecting:
            port = self._server.port
            if self._collection is None or self._generation != self._server.generation:
                await self._connect(port)
            return self._collection

    async def _connect(self, port: int) -> None:
        chromadb = importlib.import_module("chromadb")
        settings = chromadb.Settings(_env_file=None, anonymized_telemetry=False)
        self._client = await chromadb.AsyncHttpClient(
            host="127.0.0.1", port=port, settings=settings
        )
        self._collection = await self._client.get_or_create_collection(
            "kb_" + hashlib.sha256(self._fingerprint.encode()).hexdigest()[:16],
            embedding_function=None,  # else Chroma attaches one that wants to download a model
            metadata={"model": self._fingerprint, "dimension": self._dimension},
            configuration={"hnsw": _HNSW},
        )
        self._generation = self._server.generation


class MemoryIndex:
    """The twin: every vector is compared with every question. Right up to some 10,000 vectors.

    `is_down` makes every verb raise IndexUnavailable, as a dead server would.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.vectors: dict[str, Vector] = {}
        self._matrix: Vectors | None = None
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self.vectors)

    async def put(self, vectors: Mapping[str, Vector]) -> None:
        self._refuse_if_down()
        self.vectors |= {name: np.asarray(row, np.float32) for name, row in vectors.items()}
        self._matrix = None

    async def remove(self, ids: Sequence[str]) -> None:
        self._refuse_if_down()
        for name in ids:
            self.vectors.pop(name, None)
        self._matrix = None

    async def near(self, vectors: Vectors, *, limit: int) -> list[list[Near]]:
        self._refuse_if_down()
        if not self.vectors:
            return [[] for _ in vectors]
        if self._matrix is None:
            self._names = sorted(self.vectors)
            self._matrix = np.stack([self.vectors[name] for name in self._names])
        cosines = np.asarray(vectors, np.float32) @ self._matrix.T
        best: list[list[int]] = np.argsort(-cosines, axis=1, kind="stable")[:, :limit].tolist()
        return [
            [Near(self._names[at], float(row[at])) for at in places]
            for row, places in zip(cosines, best, strict=True)
        ]

    async def check(self, sample: Mapping[str, Vector], *, total: int) -> int:
        self._refuse_if_down()
        return abs(len(self.vectors) - total) + await count_lost(self, sample)

    async def reset(self) -> None:
        self.vectors = {}
        self._matrix = None
        self.is_down = False

    def _refuse_if_down(self) -> None:
        if self.is_down:
            raise IndexUnavailable("the index is down")


async def count_lost(index: Index, sample: Mapping[str, Vector]) -> int:
    """How many vectors of the sample do not find themselves."""
    if not sample:
        return 0
    found = await index.near(np.stack(list(sample.values())), limit=_PROBE_DEPTH)
    return sum(not _is_found(name, hits) for name, hits in zip(sample, found, strict=True))


def _is_found(name: str, hits: Sequence[Near]) -> bool:
    same = [hit.id for hit in hits if hit.cosine >= _SELF_COSINE]
    # Texts that the embedder cannot tell apart may crowd each other out of a short list.
    return name in same or len(same) == _PROBE_DEPTH


def _batches(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]
