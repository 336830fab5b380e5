"""Embedders keep one contract, and the queue before them lets questions go first."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from rag.embed import BatcherLimits, EmbedderSettings, HashEmbedder, MicroBatcher, SentenceEmbedder
from rag.errors import ModelUnavailable
from rag.ports import Embedder, Vectors
from rag.types import TextKind


@pytest.fixture(scope="session")
def sentence_embedder() -> SentenceEmbedder:
    return SentenceEmbedder()


@pytest.fixture(params=["hash", pytest.param("sentence", marks=pytest.mark.torch)])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "hash":
        return HashEmbedder()
    return request.getfixturevalue("sentence_embedder")


def test_each_text_gets_one_unit_vector(embedder: Embedder) -> None:
    """The vectors are float32 of length 1, as many as texts, also for odd texts and for none."""
    texts = ["refund policy", "", "退款政策", "x" * 5_000, "🎉"]
    vectors = embedder.embed(texts, "document")

    assert vectors.shape == (5, embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert embedder.embed([], "query").shape == (0, embedder.dimension)


def test_a_text_has_the_same_vector_alone_and_in_company(embedder: Embedder) -> None:
    """What a text is encoded with makes no difference worth speaking of."""
    alone = embedder.embed(["refund policy"], "document")[0]
    among = embedder.embed(["something long " * 30, "refund policy"], "document")[1]

    assert float(alone @ among) > 0.999


def test_alike_texts_are_nearer_than_strangers(embedder: Embedder) -> None:
    """A question is nearer to the passage about it than to another."""
    question = embedder.embed(["How do I get a refund for my order?"], "query")[0]
    right, wrong = embedder.embed(
        ["You get a refund for each order within 30 days.", "The office opens at nine."], "document"
    )

    assert float(question @ right) > float(question @ wrong) + 0.1


def test_tokens_are_counted_and_unknown_ones_told(embedder: Embedder) -> None:
    """English is known to every embedder; counts grow with the text."""
    assert embedder.count_tokens("") == 0
    assert embedder.count_tokens("one two three") == 3
    assert embedder.unknown_share("") == 0.0
    assert embedder.unknown_share("hand a conversation back to the bot") == 0.0
    assert embedder.fingerprint


@pytest.mark.torch
def test_the_bundled_model_says_that_it_cannot_read_chinese(
    sentence_embedder: SentenceEmbedder,
) -> None:
    """Most of a Chinese sentence is unknown tokens: fitness per language starts here."""
    assert sentence_embedder.unknown_share("我想申请退款，应该联系谁？") > 0.3
    assert sentence_embedder.dimension == 384
    assert sentence_embedder.fingerprint == "all-MiniLM-L6-v2@53aa51172d14"


@pytest.mark.torch
def test_the_real_embedder_is_safe_from_many_threads(sentence_embedder: SentenceEmbedder) -> None:
    """Encoding and counting at once from four threads give what one thread gives."""
    expected = sentence_embedder.embed(["thread safety"], "query")[0]
    results: list[float] = []

    def work() -> None:
        for _ in range(3):
            vector = sentence_embedder.embed(["thread safety"], "query")[0]
            results.append(float(vector @ expected) * sentence_embedder.count_tokens("one two"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert np.allclose(results, [2.0] * 12, atol=1e-4)


def test_a_twin_that_reads_no_chinese_takes_all_of_it_for_one_word() -> None:
    """The twin can stand for an English-only model."""
    twin = HashEmbedder(reads_chinese=False)
    one, other = twin.embed(["退款政策", "营业时间"], "document")

    assert twin.unknown_share("退款政策") == 1.0
    assert float(one @ other) == pytest.approx(1.0)


def test_importing_the_module_does_not_import_torch() -> None:
    """The gateway, the command line and test collection stay light."""
    code = "import rag.embed, rag.index, rag.knowledge, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {"torch", "sentence_transformers", "chromadb"}.isdisjoint(done.stdout.split())


def test_other_weights_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    """A model whose bytes changed is not loaded, and neither is a missing one."""
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")

    with pytest.raises(ModelUnavailable, match="not the expected"):
        SentenceEmbedder(EmbedderSettings(model=str(tmp_path), weights_sha256="0" * 64))
    with pytest.raises(ModelUnavailable, match="no weights"):
        SentenceEmbedder(EmbedderSettings(model=str(tmp_path / "none")))


class GatedEmbedder:
    """Encodes when it is told to, and remembers in which batches."""

    fingerprint = "gated"
    dimension = 1

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.busy = threading.Event()
        self.go = threading.Event()

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        self.batches.append([*texts])
        self.busy.set()
        self.go.wait(10)
        if "bad" in texts:
            raise RuntimeError("out of memory")
        return np.array([[float(len(text))] for text in texts], np.float32)

    def unknown_share(self, text: str) -> float:
        return 0.0

    def count_tokens(self, text: str) -> int:
        return len(text)


Gate = tuple[MicroBatcher, GatedEmbedder]


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gated = GatedEmbedder()
    batcher = MicroBatcher(
        gated, BatcherLimits(questions_waiting_max=3, documents_waiting_max=2, batch_max=2)
    )
    yield batcher, gated
    gated.go.set()
    batcher.close()


async def waits(gated: GatedEmbedder) -> None:
    """Until the encoder is at work."""
    await asyncio.to_thread(gated.busy.wait, 10)


async def test_questions_that_wait_are_encoded_together_and_before_documents(gate: Gate) -> None:
    """While a batch runs, questions gather; they go next, in one call, then the documents."""
    batcher, gated = gate
    first = asyncio.create_task(batcher.embed_documents(["d1"]))
    await waits(gated)
    later = [
        asyncio.create_task(batcher.embed_documents(["d2", "d3"])),
        asyncio.create_task(batcher.embed_query("q")),
        asyncio.create_task(batcher.embed_query("qq")),
        asyncio.create_task(batcher.embed_query("qqq")),
    ]
    await asyncio.sleep(0)
    gated.go.set()
    await first
    documents, *questions = await asyncio.gather(*later)

    assert gated.batches == [["d1"], ["q", "qq"], ["qqq"], ["d2", "d3"]]
    assert [float(vector[0]) for vector in questions] == [1.0, 2.0, 3.0]
    assert documents.shape == (2, 1)


async def test_a_full_queue_refuses_instead_of_growing(gate: Gate) -> None:
    """At limit + 1 a question is told at once that the embedder is not to be had."""
    batcher, gated = gate
    running = [asyncio.create_task(batcher.embed_documents(["d"]))]
    await waits(gated)
    running += [asyncio.create_task(batcher.embed_query(str(n))) for n in range(3)]
    running += [asyncio.create_task(batcher.embed_documents(["d"])) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(ModelUnavailable, match="3 questions wait"):
        await batcher.embed_query("one too many")
    with pytest.raises(ModelUnavailable, match="2 batches wait"):
        await batcher.embed_documents(["one too many"])
    gated.go.set()
    await asyncio.gather(*running)


async def test_a_failure_reaches_those_who_waited_and_nobody_else(gate: Gate) -> None:
    """A failed batch raises ModelUnavailable for its askers; the next batch is encoded."""
    batcher, gated = gate
    gated.go.set()

    with pytest.raises(ModelUnavailable, match="out of memory"):
        await batcher.embed_query("bad")
    assert (await batcher.embed_query("good"))[0] == 4.0


async def test_an_asker_who_left_is_not_encoded(gate: Gate) -> None:
    """A cancelled question costs no encoding."""
    batcher, gated = gate
    first = asyncio.create_task(batcher.embed_query("first"))
    await waits(gated)
    left = asyncio.create_task(batcher.embed_query("left"))
    stayed = asyncio.create_task(batcher.embed_query("stayed"))
    await asyncio.sleep(0)
    left.cancel()
    gated.go.set()
    await asyncio.gather(first, stayed)

    assert gated.batches == [["first"], ["stayed"]]


async def test_a_question_does_not_wait_for_ever() -> None:
    """An encoder that hangs costs a question its deadline, not its asker."""
    gated = GatedEmbedder()
    batcher = MicroBatcher(gated, BatcherLimits(question_wait_s=0.05))

    with pytest.raises(ModelUnavailable, match="in time"):
        await batcher.embed_query("slow")
    gated.go.set()
    batcher.close()
