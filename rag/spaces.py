"""Which vectors are searched: an embedder with its index, and the one that may replace it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rag.embed import MicroBatcher
from rag.ports import Index


@dataclass(frozen=True, slots=True)
class Space:
    """The vectors of one embedder. `recipe` is what it takes to load that embedder again."""

    batcher: MicroBatcher
    index: Index
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def fingerprint(self) -> str:
        """Of the embedder: vectors of two spaces are never compared."""
        return self.batcher.embedder.fingerprint


@dataclass(slots=True)
class Spaces:
    """The live space. Whoever works with vectors takes `live` once and stays with it: an embedder
    and an index of two spaces never meet."""

    live: Space
