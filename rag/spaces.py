"""Which vectors are searched: an embedder with its index, and the one that may replace it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rag.embed import MicroBatcher
from rag.ports import Index


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """The vectors of one embedder. `recipe` is what it takes to load that embedder again."""

    batcher: MicroBatcher
    index: Index
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def fingerprint(self) -> str:
        """Of the embedder: vectors of two spaces are never compared."""
        return self.batcher.embedder.fingerprint


class Spaces:
    """Which space is live."""

    def __init__(self, live: Space) -> None:
        self.live = live
        self._users: Counter[Space] = Counter()
        self._left = asyncio.Condition()

    @asynccontextmanager
    async def using(self) -> AsyncGenerator[Space]:
        """The live space, which stays open until the block ends even if it is replaced meanwhile.
        Whoever works with vectors stays with the one it was given: an embedder and an index of two
        spaces never meet."""
        space = self.live
        self._users[space] += 1
        try:
            yield space
        finally:
            self._users[space] -= 1
            if space is not self.live:
                async with self._left:
                    self._left.notify_all()

    async def unused(self, space: Space) -> None:
        """Until nobody works with the space any more. It must not be the live one."""
        async with self._left:
            await self._left.wait_for(lambda: not self._users[space])
