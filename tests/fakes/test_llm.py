"""The fake model speaks as the API is documented, keeps its limits, and fails on demand."""

import asyncio
import base64
import json
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.fakes.faults import Cut, Garbled
from tests.fakes.llm import KEY, MODEL, FakeModel, Reply, busy, failed
from tests.fakes.serving import served

WAIT_S = 10.0
ANSWER = "Refunds are paid within five days [1]. 退款在五天之内支付。"


@asynccontextmanager
async def client_of(model: FakeModel, *, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        served(model.app) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", headers=headers, timeout=WAIT_S) as client,
    ):
        yield client


def chat(question: str = "When is my refund paid?", **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": question}]
    return {"model": MODEL, "messages": messages} | more


def talkative(**way: Any) -> FakeModel:
    model = FakeModel()
    model.answer("refund", Reply(ANSWER, **way))
    return model


def frames(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line]


async def test_a_question_gets_its_scripted_answer():
    """Matched by its words, whole, with what it cost."""
    model = talkative()
    async with client_of(model) as client:
        answer = (await client.post("/chat/completions", json=chat())).json()

    assert answer["choices"][0]["message"]["content"] == ANSWER
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] > answer["usage"]["prompt_tokens"] > 0
    assert model.asked[0].question == "When is my refund paid?"


async def test_a_stream_comes_in_pieces_and_tells_its_cost_last():
    """Role, pieces, finish reason, usage with no choices, [DONE]."""
    asked = chat(stream=True, stream_options={"include_usage": True})
    async with client_of(talkative(chunk_chars=4)) as client:
        answer = await client.post("/chat/completions", json=asked)

    *chunks, done = frames(answer.text)
    read = [json.loads(chunk) for chunk in chunks]
    choices = [chunk["choices"][0] for chunk in read if chunk["choices"]]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert choices[0]["delta"]["role"] == "assistant"
    assert "".join(choice["delta"].get("content", "") for choice in choices) == ANSWER
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["stop"]
    assert read[-1]["choices"] == []
    assert read[-1]["usage"]["completion_tokens"] > 0
    assert done == "[DONE]"


async def test_usage_is_not_told_unasked():
    """Without `include_usage` no chunk has empty choices."""
    async with client_of(talkative()) as client:
        answer = await client.post("/chat/completions", json=chat(stream=True))

    assert all(json.loads(chunk)["choices"] for chunk in frames(answer.text)[:-1])


async def test_portions_cut_characters_anywhere():
    """A Chinese character arrives in two reads; together they are what was said."""
    async with (
        client_of(talkative(write_bytes=7)) as client,
        client.stream("POST", "/chat/completions", json=chat(stream=True)) as answer,
    ):
        portions = [portion async for portion in answer.aiter_raw()]

    text = b"".join(portions).decode()
    said = "".join(
        json.loads(f)["choices"][0]["delta"].get("content", "") for f in frames(text)[:-1]
    )
    assert said == ANSWER
    with pytest.raises(UnicodeDecodeError):
        [portion.decode() for portion in portions]


async def test_the_newest_rule_wins_and_queued_answers_go_first():
    """A test may say one special thing without unsaying the rest."""
    model = talkative()
    model.answer(lambda asked: asked.prompt_tokens > 0, Reply("newer"))
    model.then(Reply("next"))
    async with client_of(model) as client:
        said = [
            (await client.post("/chat/completions", json=chat())).json()["choices"][0]["message"]
            for _ in range(2)
        ]

    assert [message["content"] for message in said] == ["next", "newer"]


async def test_what_nobody_scripted_is_told():
    """A question without an answer fails loudly, instead of being answered with anything."""
    async with client_of(FakeModel()) as client:
        answer = await client.post("/chat/completions", json=chat("What?"))

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_scripted"


async def test_an_answer_can_be_held_back():
    """The first piece comes when the test says so, not after some seconds."""
    released = asyncio.Event()
    async with (
        client_of(talkative(waits_for=released)) as client,
        client.stream("POST", "/chat/completions", json=chat(stream=True)) as answer,
    ):
        lines = answer.aiter_lines()
        first = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0)
        assert not first.done()
        released.set()

        assert "assistant" in await first


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_an_answer_may_end_for_another_reason(finish: str):
    """Too long, or held back by a filter: the reason is told, whole and streamed."""
    model = talkative(finish=finish)
    async with client_of(model) as client:
        whole = (await client.post("/chat/completions", json=chat())).json()
        streamed = await client.post("/chat/completions", json=chat(stream=True))

    last = json.loads(frames(streamed.text)[-2])
    assert whole["choices"][0]["finish_reason"] == finish
    assert last["choices"][0]["finish_reason"] == finish


async def test_an_answer_is_as_long_as_the_caller_allows():
    """`max_tokens` cuts it, and the finish reason says so."""
    async with client_of(talkative()) as client:
        answer = (await client.post("/chat/completions", json=chat(max_tokens=5))).json()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
    assert ANSWER.startswith(answer["choices"][0]["message"]["content"])


async def test_what_does_not_fit_the_context_is_refused():
    """One token more than fits is a 400 with its code; exactly what fits is answered."""
    model = talkative()
    async with client_of(model) as client:
        await client.post("/chat/completions", json=chat())
        room = model.context_tokens - model.asked[0].prompt_tokens
        fits = await client.post("/chat/completions", json=chat(max_tokens=room))
        more = await client.post("/chat/completions", json=chat(max_completion_tokens=room + 1))

    assert fits.status_code == 200
    assert more.status_code == 400
    assert more.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (chat(temprature=1), 400, "unknown_parameter"),
        (chat(temperature=3), 400, "decimal_above_max_value"),
        (chat(max_tokens=0), 400, "integer_below_min_value"),
        (chat(stream_options={"include_usage": True}), 400, "invalid_value"),
        (chat() | {"messages": []}, 400, "invalid_type"),
        (chat() | {"messages": [{"role": "boss", "content": "x"}]}, 400, "invalid_value"),
        (chat() | {"model": "other"}, 404, "model_not_found"),
    ],
)
async def test_a_wrong_request_is_refused_as_the_api_does(
    asked: dict[str, Any], status: int, code: str
):
    """A typing mistake of the client is found by its tests, not in production."""
    async with client_of(talkative()) as client:
        answer = await client.post("/chat/completions", json=asked)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_body_that_is_no_json_is_refused():
    """Broken JSON and JSON that is no object are both 400."""
    async with client_of(talkative()) as client:
        answers = [await client.post("/chat/completions", content=raw) for raw in (b"{", b"[]")]

    assert [answer.status_code for answer in answers] == [400, 400]


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings", "/models"])
async def test_a_wrong_key_is_refused_everywhere(path: str):
    """401 with its code; a server that wants no key takes any."""
    async with client_of(FakeModel(), key="stolen") as client:
        answer = await client.request("GET" if path == "/models" else "POST", path)
    async with client_of(FakeModel(key=""), key="stolen") as client:
        open_to_all = await client.get("/models")

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert open_to_all.status_code == 200


async def test_busy_and_failing_servers_say_so():
    """429 with and without Retry-After, 500, HTML in place of JSON, then all is well."""
    model = talkative()
    model.faults.plan("chat", busy(7), busy(None), failed(), Garbled())
    async with client_of(model) as client:
        first, second, third, fourth, fifth = [
            await client.post("/chat/completions", json=chat()) for _ in range(5)
        ]

    assert (first.status_code, first.headers["retry-after"]) == (429, "7")
    assert (second.status_code, "retry-after" in second.headers) == (429, False)
    assert third.status_code == 500
    assert (fourth.status_code, fourth.headers["content-type"][:9]) == (200, "text/html")
    assert fifth.status_code == 200


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_cut_answer_is_an_error_of_the_connection(streamed: bool):
    """Before or in the middle of it, the client sees that it did not end."""
    model = talkative(ending="cut")
    model.faults.plan("chat", Cut(processed=False))
    async with client_of(model) as client:
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                await client.post("/chat/completions", json=chat(stream=streamed))

    assert len(model.asked) == 1


async def test_a_stream_may_be_closed_politely_and_early():
    """No finish reason and no [DONE]: only a client that looks for them notices."""
    async with client_of(talkative(ending="closed")) as client:
        answer = await client.post("/chat/completions", json=chat(stream=True))

    chunks = [json.loads(chunk) for chunk in frames(answer.text)]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None]


@pytest.mark.parametrize(
    ("ending", "error"),
    [("garbled", json.JSONDecodeError), ("bad_utf8", UnicodeDecodeError)],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_may_be_nonsense(ending: str, error: type[Exception], streamed: bool):
    """200, and then something that is no JSON or no text."""
    async with client_of(talkative(ending=ending)) as client:
        answer = await client.post("/chat/completions", json=chat(stream=streamed))

    last = answer.content.strip().splitlines()[-1].removeprefix(b"data: ")
    assert answer.status_code == 200
    with pytest.raises(error):
        json.loads(last.decode())


async def test_an_error_may_come_inside_the_stream():
    """The status was 200 already; the error is an event of its own."""
    async with client_of(talkative(ending="error")) as client:
        answer = await client.post("/chat/completions", json=chat(stream=True))

    assert json.loads(frames(answer.text)[-1])["error"]["code"] == "overloaded"


@pytest.mark.parametrize("ending", ["endless", "silent"])
async def test_an_answer_may_never_end(ending: str):
    """It goes on, or falls silent, until the client hangs up."""
    model = talkative(ending=ending)
    async with client_of(model) as client:
        async with client.stream("POST", "/chat/completions", json=chat(stream=True)) as answer:
            pieces = answer.aiter_lines()
            first = [await anext(pieces) for _ in range(3)]
        async with asyncio.timeout(WAIT_S):
            await model.hung_up.wait()

    assert any(first)


@pytest.mark.parametrize("text", ["", None])
async def test_an_answer_may_be_empty(text: str | None):
    """No words at all, or the `null` that some servers give."""
    model = FakeModel()
    model.otherwise = Reply(text)
    async with client_of(model) as client:
        whole = (await client.post("/chat/completions", json=chat())).json()
        streamed = await client.post("/chat/completions", json=chat(stream=True))

    assert whole["choices"][0]["message"]["content"] == text
    assert frames(streamed.text)[-1] == "[DONE]"


async def test_texts_become_vectors():
    """Of length one, the same for the same text, nearer where words are shared; or as base64."""
    texts = ["return a parcel", "return a parcel", "return my parcel", "opening hours"]
    async with client_of(FakeModel()) as client:
        asked = {"model": MODEL, "input": texts}
        plain = (await client.post("/embeddings", json=asked)).json()["data"]
        packed = (
            await client.post("/embeddings", json=asked | {"encoding_format": "base64"})
        ).json()["data"]

    same, again, near, far = [one["embedding"] for one in plain]
    raw = base64.b64decode(packed[0]["embedding"])
    assert same == again
    assert sum(x * y for x, y in zip(same, same, strict=True)) == pytest.approx(1)
    assert _dot(same, near) > _dot(same, far)
    assert struct.unpack(f"<{len(same)}f", raw) == pytest.approx(same)


def _dot(one: list[float], other: list[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "invalid_value"),
        ([], "invalid_type"),
        (["x"] * 2049, "array_above_max_length"),
        ("x " * 8193, "context_length_exceeded"),
    ],
)
async def test_texts_that_cannot_be_embedded_are_refused(given: Any, code: str):
    """Nothing, too many at once, too long."""
    async with client_of(FakeModel()) as client:
        answer = await client.post("/embeddings", json={"model": MODEL, "input": given})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_the_largest_input_is_taken():
    """What the limit allows works: 2048 texts, and one of 8192 tokens."""
    async with client_of(FakeModel()) as client:
        many = await client.post("/embeddings", json={"model": MODEL, "input": ["x"] * 2048})
        long = await client.post("/embeddings", json={"model": MODEL, "input": "x " * 8192})

    assert [many.status_code, long.status_code] == [200, 200]


async def test_it_says_which_models_it_has():
    """One, by list and by name; others are not found."""
    async with client_of(FakeModel()) as client:
        listed = (await client.get("/models")).json()
        known, unknown = await client.get(f"/models/{MODEL}"), await client.get("/models/other")

    assert [model["id"] for model in listed["data"]] == [MODEL]
    assert known.json()["id"] == MODEL
    assert unknown.json()["error"]["code"] == "model_not_found"


async def test_it_runs_by_hand():
    """`python -m tests.fakes.llm` says where it is and repeats what it is asked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.llm", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        url = line.split(" at ")[1].split(" ")[0]
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
            answer = await client.post(f"{url}/chat/completions", json=chat("Anybody there?"))
    finally:
        process.terminate()
        await process.wait()

    said = answer.json()["choices"][0]["message"]["content"]
    assert said == "You asked: Anybody there?"
