"""Our fake model and somebody else's say the same things in the same form."""

import json
from typing import Any

import httpx
import pytest

from rag.errors import ModelUnavailable
from rag.llm import Endpoint, OpenAICompatible
from tests.fakes.llm import KEY, MODEL, FakeModel, Reply
from tests.fakes.serving import served
from tests.rag.test_llm import said

REFUND = "Refunds are paid within five days [1]."
ASKED: dict[str, Any] = {
    "model": MODEL,
    "stream": True,
    "stream_options": {"include_usage": True},
    "messages": [{"role": "user", "content": "When is my refund paid?"}],
}


async def _answers(url: str) -> tuple[str, dict[str, Any]]:
    """A stream and a whole answer."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        streamed = await client.post("/chat/completions", json=ASKED)
        plain = {name: ASKED[name] for name in ("model", "messages")}
        whole = await client.post("/chat/completions", json=plain)
    return streamed.text, whole.json()


def _form(value: Any) -> Any:
    """The keys and kinds of a value; what is null counts as left out."""
    match value:
        case dict():
            return {key: _form(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_form(inner) for inner in value]
        case _:
            return type(value).__name__


def _events(stream: str) -> list[Any]:
    frames = [line.removeprefix("data: ") for line in stream.splitlines() if line]
    return [frame if frame == "[DONE]" else _form(json.loads(frame)) for frame in frames]


async def test_our_model_s_stream_has_the_form_of_another_one(model: str):
    """Role, pieces, reason, cost, end: key by key and piece by piece."""
    ours = FakeModel()
    ours.answer("refund", Reply(REFUND))
    async with served(ours.app) as url:
        our_stream, our_whole = await _answers(f"{url}/v1")
    their_stream, their_whole = await _answers(model)

    assert _events(our_stream) == _events(their_stream)
    assert our_whole["choices"][0]["message"]["content"] == REFUND
    assert their_whole["choices"][0]["message"]["content"] == REFUND
    assert _form(our_whole)["usage"] == _form(their_whole)["usage"]


async def test_our_client_is_served_by_somebody_else_s_model(model: str):
    """A whole answer with its cost; and with the service busy or gone, our own errors."""
    ours = OpenAICompatible(Endpoint(url=model, names=("any",)))
    try:
        text, use = await said(ours, "When is my refund paid?")
    finally:
        await ours.close()

    assert text == REFUND
    assert use is not None
    assert use.answer_tokens > 0


@pytest.mark.parametrize("fault", ["ratelimit", "disconnect", "malformed", "drop"])
async def test_our_client_survives_somebody_else_s_chaos(model: str, fault: str):
    """Busy, cut, broken, failed: each is a leaf of ModelUnavailable, within the deadlines."""
    ours = OpenAICompatible(Endpoint(url=model, names=("any",)))
    chaos = ours._http.headers  # pyright: ignore[reportPrivateUsage]
    chaos[f"x-aimock-chaos-{fault}"] = "1"
    try:
        with pytest.raises(ModelUnavailable):
            await said(ours, "When is my refund paid?")
    finally:
        await ours.close()
