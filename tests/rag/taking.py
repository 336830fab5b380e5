"""A knowledge base on twins that counts what is asked of them, and remembers what it told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rag import store
from rag.embed import HashEmbedder, MicroBatcher
from rag.errors import ModelUnavailable
from rag.index import MemoryIndex, Vector
from rag.intake import IntakeLimits, Parts
from rag.knowledge import Knowledge
from rag.ports import Vectors
from rag.spaces import Space, Spaces
from rag.types import TextKind, Upload
from storage.database import Database

QUICK = IntakeLimits(retry_wait_s=0.01, retry_wait_s_max=0.02, failures_max=2)
MANUAL = "# Manual\n\n## Refunds\n\nWithin 30 days.\n\n## Hours\n\nNine to five.\n"


class CountingEmbedder(HashEmbedder):
    """Remembers what it was asked to embed; can be out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []
        self.is_down = False
        self.refused = 0

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        if self.is_down:
            self.refused += 1
            raise ModelUnavailable("the embedder is down")
        self.embedded += texts
        return super().embed(texts, kind)


class CountingIndex(MemoryIndex):
    """Counts how often it was to take vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = 0

    async def put(self, audience: str, vectors: Mapping[str, Vector]) -> None:
        self.puts += 1
        await super().put(audience, vectors)


@dataclass
class Base:
    """A knowledge base on twins, with what it told the outside."""

    database: Database
    files: Path
    limits: IntakeLimits = QUICK
    embedder: CountingEmbedder = field(default_factory=CountingEmbedder)
    index: CountingIndex = field(default_factory=CountingIndex)
    told: list[str] = field(default_factory=list)
    observe: Callable[[str], None] = lambda _event: None

    def __post_init__(self) -> None:
        self.batcher = MicroBatcher(self.embedder)
        self.spaces = Spaces(Space(self.batcher, self.index))
        self.knowledge = Knowledge(
            Parts(
                database=self.database,
                spaces=self.spaces,
                files=self.files,
                raise_floor=self._floor,
                changed=self._changed,
                limits=self.limits,
            )
        )

    async def _floor(self, floor: int) -> None:
        self.told.append(f"floor {floor}")
        self.observe(f"floor {floor}")

    async def _changed(self) -> None:
        self.told.append("changed")
        self.observe("changed")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Knowledge]:
        task = asyncio.create_task(self.knowledge.run())
        try:
            yield self.knowledge
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def put(self, name: str, text: str, **labels: str) -> str:
        """Take a document in to its end; the revision's id."""
        status = await self.knowledge.add(Upload(name=name, content=text.encode(), **labels))  # pyright: ignore[reportArgumentType]
        await self.knowledge.wait_idle()
        return status.revision_id

    async def found(self, question: str, audience: str = "public") -> list[str]:
        """What retrieval would be given: near vectors, filtered by the store."""
        space, audiences = self.spaces.live, store.visible_to(audience)
        vector = await space.batcher.embed_query(question)
        (hits,) = await space.index.near(vector[None, :], limit=50, audiences=audiences)
        chunks = await self.database.read(
            lambda session: store.fetch_live(session, [hit.id for hit in hits], audience)
        )
        return [chunk.text for chunk in chunks]


async def until(true: Callable[[], bool]) -> None:
    """Let the worker work until something can be seen; the test's own time-out is the limit."""
    while not true():  # noqa: ASYNC110 nothing tells the outside about a try that failed
        await asyncio.sleep(0.005)
