"""The client of a language model against a real server: every way in which one can fail."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import pytest

from rag.errors import ModelBroken, ModelBusy, ModelRefused, ModelSlow, ModelUnavailable
from rag.llm import CallLimits, Endpoint, OpenAICompatible, Scripted
from rag.llm.client import _mapped  # pyright: ignore[reportPrivateUsage]
from rag.ports import LanguageModel, ModelLimits, ModelMessage, ModelUse
from tests.fakes.faults import Answer, Cut
from tests.fakes.llm import KEY, MODEL, FakeModel, Reply, busy, failed
from tests.fakes.serving import served

TEXT = "Refunds are paid within five days [1]. 退款需要五天。"
QUICK = ModelLimits(first_token_wait_s=20.0, idle_wait_s=0.3, total_wait_s=30.0)


async def said(
    model: LanguageModel, prompt: str = "refund?", limits: ModelLimits | None = None
) -> tuple[str, ModelUse | None]:
    text, use = "", None
    messages = [ModelMessage("system", "Be brief."), ModelMessage("user", prompt)]
    async with aclosing(model.complete(messages, limits or ModelLimits())) as pieces:
        async for piece in pieces:
            if isinstance(piece, ModelUse):
                use = piece
            else:
                text += piece
    return text, use


@asynccontextmanager
async def asking(
    fake: FakeModel, *names: str, key: str = KEY, limits: CallLimits | None = None
) -> AsyncIterator[OpenAICompatible]:
    async with served(fake.app) as url:
        model = OpenAICompatible(Endpoint(url=f"{url}/v1/", key=key, names=names), limits)
        try:
            yield model
        finally:
            await model.close()


def scripted(*replies: Reply) -> FakeModel:
    fake = FakeModel()
    fake.then(*replies)
    return fake


async def test_the_twin_says_its_lines_in_pieces_and_remembers_what_it_was_asked() -> None:
    """One line per completion, streamed by words, as a real model would; then it is over."""
    model = Scripted(["It takes 14 days. [1]"])
    text, use = await said(model, "How long?")

    assert text == "It takes 14 days. [1]"
    assert use is not None
    assert use.model == "scripted"
    assert [prompt[1].content for prompt in model.asked] == ["How long?"]
    with pytest.raises(ModelUnavailable):
        await said(model)


@pytest.mark.parametrize("write_bytes", [0, 1, 7])
async def test_an_answer_arrives_whole_with_what_it_cost(write_bytes: int) -> None:
    """However the bytes are cut on their way, in the middle of a character too."""
    async with asking(scripted(Reply(TEXT, write_bytes=write_bytes)), MODEL) as model:
        text, use = await said(model)

    assert text == TEXT
    assert use is not None
    assert use.model == MODEL
    assert use.prompt_tokens > 0
    assert use.answer_tokens > 0
    assert use.total_ms >= use.first_token_ms > 0


async def test_an_address_alone_is_enough() -> None:
    """Without a name the first model that the service lists is asked; without a key none is
    sent."""
    fake = FakeModel(key="")
    fake.then(Reply("Yes."), Reply("No."))
    async with asking(fake, key="") as model:
        answers = [(await said(model))[0], (await said(model))[0]]

    assert answers == ["Yes.", "No."]
    assert fake.asked[0].body["model"] == MODEL
    assert "Authorization" not in fake.asked[0].headers


async def test_what_is_asked_has_a_limit_and_no_tools() -> None:
    """The length of the answer is limited by the service too, and no tool is offered."""
    fake = scripted(Reply("Yes."))
    async with asking(fake, MODEL) as model:
        await said(model, limits=ModelLimits(answer_tokens_max=77))

    body = fake.asked[0].body
    assert body["max_tokens"] == 77
    assert body["stream"] is True
    assert set(body) == {"model", "messages", "stream", "max_tokens", "temperature",
                         "stream_options"}  # fmt: skip


@pytest.mark.parametrize("word", ["max_tokens", "temperature", "stream_options"])
async def test_a_service_that_does_not_know_a_parameter_is_asked_without(word: str) -> None:
    """Newer models take another name for the length, and some take no temperature: found out
    once, then remembered."""
    fake = scripted(Reply("Yes."), Reply("No."))
    problem = {"error": {"message": f"Unsupported parameter: '{word}'.", "param": word}}
    fake.faults.plan("chat", Answer(400, str(problem)))
    async with asking(fake, MODEL) as model:
        first, second = (await said(model))[0], (await said(model))[0]

    assert (first, second) == ("Yes.", "No.")
    assert all(word not in asked.body for asked in fake.asked)
    renamed = "max_completion_tokens" in fake.asked[1].body
    assert renamed == (word == "max_tokens")


BROKEN: dict[str, Reply] = {
    "cut": Reply(TEXT, ending="cut"),
    "closed early": Reply(TEXT, ending="closed"),
    "broken JSON": Reply(TEXT, ending="garbled"),
    "bad UTF-8": Reply(TEXT, ending="bad_utf8"),
    "an error inside": Reply(TEXT, ending="error"),
    "silent": Reply(TEXT, ending="silent"),
    "endless": Reply(ending="endless"),
    "too long": Reply("word " * 3_000),
    "filtered": Reply(TEXT, finish="content_filter"),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_is_no_answer(reply: Reply) -> None:
    """Something was said and it is not whole: the caller hears that, and it is not tried again."""
    fake = scripted(reply, Reply("A second answer."))
    async with asking(fake, MODEL) as model:
        with pytest.raises(ModelUnavailable):
            await said(model, limits=QUICK)

    assert len(fake.asked) == 1


@pytest.mark.parametrize("text", ["", "  \n", None])
async def test_an_empty_answer_is_asked_for_once_more(text: str | None) -> None:
    """Nothing was said, so nothing can be doubled; twice empty is no answer."""
    async with asking(scripted(Reply(text), Reply("Yes.")), MODEL) as model:
        again, _ = await said(model)
    async with asking(scripted(Reply(text), Reply(text), Reply("No.")), MODEL) as model:
        with pytest.raises(ModelBroken, match="empty"):
            await said(model)

    assert again == "Yes."


FAULTS: dict[str, Any] = {
    "busy": busy(0),
    "failed": failed(500),
    "unavailable": failed(503),
    "reset before": Cut(processed=False),
    "a page of a proxy": Answer(200, "<html>502</html>", content_type="text/html"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_passing_fault_is_tried_once_more(fault: Any) -> None:
    """One retry while nothing was shown; a second fault is the caller's to know."""
    fake = FakeModel()
    fake.otherwise = Reply("Yes.")
    fake.faults.plan("chat", fault)
    async with asking(fake, MODEL) as model:
        text, _ = await said(model)
        fake.faults.plan("chat", fault, fault, fault)
        with pytest.raises(ModelUnavailable):
            await said(model)

    assert text == "Yes."


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
async def test_a_refusal_is_not_tried_again(status: int) -> None:
    """A wrong key, a wrong name or a redirect does not pass by itself; nothing is followed."""
    fake = scripted(Reply("Yes."))
    elsewhere = {"Location": "http://127.0.0.1:9/v1"}
    fake.faults.plan("chat", Answer(status, '{"error": {}}', elsewhere))
    async with asking(fake, MODEL) as model:
        with pytest.raises(ModelRefused):
            await said(model)

    assert fake.asked == []


async def test_a_long_retry_after_is_not_waited_for() -> None:
    """Who must wait for a minute is told at once, and how long."""
    fake = scripted(Reply("Yes."))
    fake.faults.plan("chat", busy(3_600))
    async with asking(fake, MODEL) as model:
        with pytest.raises(ModelBusy) as refused:
            await said(model)

    assert refused.value.wait_s == 60.0
    assert fake.asked == []


async def test_another_model_stands_in() -> None:
    """The first one is unknown there, so the second one is asked, and then rests are kept."""
    fake = scripted(Reply("Yes."), Reply("No."))
    async with asking(fake, "unheard-of", MODEL) as model:
        first, second = await said(model), await said(model)

    assert (first[0], second[0]) == ("Yes.", "No.")
    assert [asked.body["model"] for asked in fake.asked] == [MODEL, MODEL]


async def test_a_model_that_failed_is_left_alone_for_a_while() -> None:
    """The next question is refused at once instead of waiting for the same deadline."""
    fake = scripted(Reply("Yes."))
    fake.faults.plan("chat", failed(), failed())
    async with asking(fake, MODEL) as model:
        with pytest.raises(ModelUnavailable, match=r"failed \(500\)"):
            await said(model)
        with pytest.raises(ModelUnavailable, match="left alone"):
            await said(model)
        trouble = model.trouble

    assert "500" in trouble
    assert fake.asked == []


async def test_nobody_listening_is_told_at_once() -> None:
    """A refused connection needs no deadline."""
    model = OpenAICompatible(Endpoint(url="http://127.0.0.1:9/v1", names=("any",)))
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await said(model)
    await model.close()


async def test_more_calls_than_allowed_are_refused_at_once() -> None:
    """The limit and one more: the one too many costs nothing, and a free place is used again."""
    gate = asyncio.Event()
    fake = scripted(Reply("A.", waits_for=gate), Reply("B.", waits_for=gate), Reply("C."))
    async with asking(fake, MODEL, limits=CallLimits(calls_max=2)) as model:
        two = [asyncio.create_task(said(model)) for _ in range(2)]
        while len(fake.asked) < 2:  # noqa: ASYNC110 - the fake offers nothing to wait for
            await asyncio.sleep(0.01)
        with pytest.raises(ModelBusy, match="too many"):
            await said(model)
        gate.set()
        await asyncio.gather(*two)
        third, _ = await said(model)

    assert third == "C."


async def test_who_leaves_stops_the_model() -> None:
    """A stream that nobody reads any more is hung up, so that it costs nothing further."""
    fake = scripted(Reply(ending="endless", text="and so on "))
    async with asking(fake, MODEL) as model:
        messages = [ModelMessage("user", "?")]
        async with aclosing(model.complete(messages, ModelLimits())) as pieces:
            await anext(pieces)
        async with asyncio.timeout(5):
            await fake.hung_up.wait()

    assert fake.hung_up.is_set()


async def test_the_first_word_and_the_whole_have_deadlines() -> None:
    """Held back for ever, and dripping for ever: both end when they must."""
    drip = ModelLimits(first_token_wait_s=5.0, idle_wait_s=5.0, total_wait_s=0.3)
    never = asyncio.Event()
    fake = scripted(Reply(TEXT, waits_for=never), Reply(TEXT, waits_for=never))
    async with asking(fake, MODEL) as model:
        began = time.monotonic()
        with pytest.raises(ModelUnavailable, match="in time"):
            await said(model, limits=drip)
        took = time.monotonic() - began

    assert took < 4.0


async def test_a_hurried_question_does_not_put_a_slow_model_to_rest() -> None:
    """Who gave it little time learned nothing about it; who gave it all its time did."""
    never = asyncio.Event()
    for hurried, next_one in ((True, "Yes."), (False, "")):
        limits = ModelLimits(total_wait_s=0.3, hurried=hurried)
        fake = scripted(Reply(TEXT, waits_for=never), Reply("Yes."))
        async with asking(fake, MODEL) as model:
            with pytest.raises(ModelSlow):
                await said(model, limits=limits)
            try:
                answer, _ = await said(model)
            except ModelUnavailable:
                answer = ""

        assert answer == next_one


def _leaves(kind: type[BaseException]) -> list[type[BaseException]]:
    inner = kind.__subclasses__()
    return [kind, *(leaf for one in inner for leaf in _leaves(one))]


@pytest.mark.parametrize(
    "kind",
    [*_leaves(httpx.HTTPError), *_leaves(httpx.StreamError), *_leaves(httpx.InvalidURL)],
    ids=lambda kind: kind.__name__,
)
def test_all_that_httpx_raises_is_ours(kind: type[Exception]) -> None:
    """No exception of the vendor leaves the client, and no text of it, which may name the
    address."""
    error = kind.__new__(kind)
    error.args = ("http://user:secret@host/",)
    with pytest.raises(ModelUnavailable) as raised, _mapped():
        raise error

    assert "secret" not in str(raised.value)
