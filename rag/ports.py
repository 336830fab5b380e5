"""What rag needs from the world. Each port has a twin that ships with the product."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from rag.types import TextKind

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Texts to unit vectors. Implementations: `SentenceEmbedder`; twin: `HashEmbedder`."""

    @property
    def fingerprint(self) -> str:
        """Names model, revision and weights: vectors of two fingerprints are never compared."""
        ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """One row of length 1 per text, float32. Blocks: callers run it in a thread."""
        ...

    def unknown_share(self, text: str) -> float:
        """Share of the text's tokens, 0..1, that the model has no entry for."""
        ...

    def count_tokens(self, text: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Near:
    """A vector found: its id and its cosine with the question, -1..1."""

    id: str
    cosine: float


class Index(Protocol):
    """Vectors by audience and id, a cache that SQL can rebuild. `ChromaIndex`; twin: `MemoryIndex`.

    Every verb raises IndexUnavailable when the index cannot be trusted to have done it.
    """

    async def put(self, audience: str, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None: ...

    async def remove(self, audience: str, ids: Sequence[str]) -> None: ...

    async def near(
        self, vectors: Vectors, *, limit: int, audiences: Sequence[str]
    ) -> list[list[Near]]:
        """For each row of `vectors` the nearest ids that were put for one of `audiences`, each
        once, best first: what others may read neither comes back nor takes up room."""
        ...

    async def check(
        self,
        sample: Mapping[str, Mapping[str, npt.NDArray[np.float32]]],
        *,
        totals: Mapping[str, int],
    ) -> int:
        """How many of `sample` (by audience) do not come back as themselves, plus the differences
        in count from `totals`; an audience that is not in them must be empty. 0 means healthy."""
        ...

    async def reset(self) -> None:
        """Throw everything away and start empty, even if what is there cannot be opened."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """Of one completion. `total_wait_s` leaves a turn of 45 s time to go on without a model."""

    answer_tokens_max: int = 1_500
    first_token_wait_s: float = 15.0
    idle_wait_s: float = 20.0
    total_wait_s: float = 40.0
    hurried: bool = False  # a deadline that is missed says nothing about the model


@dataclass(frozen=True, slots=True)
class ModelMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """Which model said it, and what that took. Tokens are counted by the service where it tells
    them, else estimated."""

    model: str
    prompt_tokens: int
    answer_tokens: int
    first_token_ms: float = 0.0
    total_ms: float = 0.0


class LanguageModel(Protocol):
    """Messages to text. `OpenAICompatible`; twin: `Scripted`, which says what a test told it to.
    Without a model the answer is quoted from the passages (`rag.extract`)."""

    def complete(
        self, messages: Sequence[ModelMessage], limits: ModelLimits
    ) -> AsyncGenerator[str | ModelUse]:
        """The text in pieces, then what it took. Raises ModelUnavailable and its leaves, perhaps
        after some pieces: then they are no whole text. Close it to stop the model."""
        ...
