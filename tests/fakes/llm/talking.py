"""One answer on its way to one client, whole or as a stream of server-sent events."""

import asyncio
import json
from typing import Any

from aiohttp import web

from tests.fakes.llm.replies import Reply, error_body
from tests.fakes.llm.requests import Asked
from tests.fakes.llm.tokens import count

GONE_POLL_S = 0.02
CUT_BODY_SHARE = 0.5
BROKEN_JSON = b'{"id": "chatcmpl-fake", "choices": [{"delta": {"conte'
NO_TEXT = b'{"choices": [{"index": 0, "delta": {"content": "\xff\xfe\xc3("}}]}'


class Talk:
    """What goes out for one request; `hung_up` is whether the client left first."""

    def __init__(self, request: web.Request, asked: Asked, reply: Reply) -> None:
        self._request = request
        self._asked = asked
        self._reply = reply
        self._response = web.StreamResponse()
        self.hung_up = False

    async def answer(self) -> web.StreamResponse:
        if self._reply.waits_for is not None and not self._asked.streamed:
            await self._reply.waits_for.wait()
        kind = "text/event-stream" if self._asked.streamed else "application/json"
        self._response.headers["Content-Type"] = kind
        try:
            if self._asked.streamed:
                await self._stream()
            elif self._reply.ending == "done":
                return web.Response(body=self._body(), content_type="application/json")
            else:
                await self._broken()
        except ConnectionError:
            self.hung_up = True
        return self._response

    # Whole

    def _body(self) -> bytes:
        reply = self._reply
        message = {"role": "assistant", "content": reply.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
        whole = self._envelope("chat.completion") | {"choices": [choice], "usage": self._usage()}
        return json.dumps(whole, ensure_ascii=False).encode()

    async def _broken(self) -> None:
        reply, body = self._reply, self._body()
        if reply.ending in ("garbled", "bad_utf8"):
            await self._begin()
            await self._write(BROKEN_JSON if reply.ending == "garbled" else NO_TEXT)
        elif reply.ending == "error":
            await self._begin()
            await self._write(_error())
        else:
            # The length of the whole is promised, and half of it comes.
            self._response.content_length = len(body)
            await self._begin()
            await self._write(body[: int(len(body) * CUT_BODY_SHARE)])
            if reply.ending in ("cut", "closed"):
                self._reset()
            else:
                await self._gone()

    # Stream

    async def _stream(self) -> None:
        reply = self._reply
        await self._begin()
        if reply.waits_for is not None:
            await reply.waits_for.wait()
        await self._delta({"role": "assistant", "content": ""})
        for number, piece in enumerate(reply.pieces()):
            if reply.ending != "done" and number == reply.after_chunks:
                break
            if reply.halts_for is not None and number == reply.after_chunks:
                await reply.halts_for.wait()
            await self._delta({"content": piece})
        if reply.ending == "done":
            await self._finish()
        else:
            await self._go_wrong()

    async def _finish(self) -> None:
        await self._delta({}, finish=self._reply.finish)
        if self._asked.tells_usage:
            await self._event(self._chunk([]) | {"usage": self._usage()})
        await self._write(b"data: [DONE]\n\n")

    async def _go_wrong(self) -> None:
        match self._reply.ending:
            case "cut":
                self._reset()
            case "silent":
                await self._gone()
            case "endless":
                while True:
                    await self._delta({"content": self._reply.text or "and so on "})
            case "error":
                await self._write(b"data: " + _error() + b"\n\n")
            case "garbled":
                await self._write(b"data: " + BROKEN_JSON + b"\n\n")
            case "bad_utf8":
                await self._write(b"data: " + NO_TEXT + b"\n\n")
            case _:
                pass

    # The wire

    async def _begin(self) -> None:
        await self._response.prepare(self._request)

    async def _delta(self, delta: dict[str, Any], *, finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        await self._event(self._chunk([choice]))

    async def _event(self, chunk: dict[str, Any]) -> None:
        await self._write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())

    async def _write(self, data: bytes) -> None:
        portion = self._reply.write_bytes or len(data)
        for start in range(0, len(data), portion):
            await self._response.write(data[start : start + portion])
            if portion < len(data):
                await asyncio.sleep(0)  # so that each portion is a read of its own

    def _reset(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _gone(self) -> None:
        """Wait until the client has left: the server says so by taking the transport away."""
        while self._request.transport is not None:  # noqa: ASYNC110
            await asyncio.sleep(GONE_POLL_S)
        self.hung_up = True

    # The form

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {
            "id": "chatcmpl-fake",
            "object": kind,
            "created": 1_772_442_000,
            "model": self._asked.body["model"],
        }

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        chunk = self._envelope("chat.completion.chunk") | {"choices": choices}
        # With usage asked for, every chunk has the key, and only the last one a value.
        return chunk | ({"usage": None} if self._asked.tells_usage else {})

    def _usage(self) -> dict[str, int]:
        asked, said = self._asked.prompt_tokens, count(self._reply.text or "")
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _error() -> bytes:
    return error_body("The model is overloaded.", code="overloaded", kind="server_error").encode()
