"""Our fake model and somebody else's say the same things in the same form."""

import json
from typing import Any

import httpx

from tests.fakes.llm import KEY, MODEL, FakeModel, Reply
from tests.fakes.serving import served

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
