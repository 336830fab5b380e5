"""What the model says, how it is cut into pieces, and what goes wrong on the way."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Literal

from tests.fakes.faults import Answer
from tests.fakes.llm.tokens import count, first_tokens

Finish = Literal["stop", "length", "content_filter"]
Ending = Literal["done", "cut", "closed", "silent", "endless", "error", "garbled", "bad_utf8"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the model; None is the `null` that filtered and broken models give.

    A stream carries `chunk_chars` a piece. `ending` is what becomes of it: "done" is how it should
    be; the others happen after `after_chunks` pieces. "cut" resets the connection, "closed" ends
    the body politely but early, "silent" sends nothing more, "endless" never stops, "error" is an
    error inside the stream, "garbled" broken JSON, "bad_utf8" bytes that are no text.
    `waits_for` holds the first piece back, `halts_for` the one after `after_chunks`. With
    `write_bytes` the bytes arrive in such portions, wherever they cut a character. Not streamed,
    the body itself is cut, held back or broken.
    """

    text: str | None = ""
    _: KW_ONLY
    finish: Finish = "stop"
    chunk_chars: int = 6
    ending: Ending = "done"
    after_chunks: int = 2
    waits_for: asyncio.Event | None = None
    halts_for: asyncio.Event | None = None
    write_bytes: int = 0

    def within(self, tokens_max: int | None) -> "Reply":
        """What is left of it when the caller allows `tokens_max`."""
        if tokens_max is None or self.text is None or count(self.text) <= tokens_max:
            return self
        return replace(self, text=first_tokens(self.text, tokens_max), finish="length")

    def pieces(self) -> Iterator[str]:
        text = self.text or ""
        for start in range(0, len(text), self.chunk_chars):
            yield text[start : start + self.chunk_chars]


def refusal(status: int, message: str, *, code: str, kind: str = "invalid_request_error") -> Answer:
    """An error in the form of the API."""
    return Answer(status, error_body(message, code=code, kind=kind))


def error_body(message: str, *, code: str, kind: str) -> str:
    error: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error}, ensure_ascii=False)


def busy(retry_after_s: int | None = 1) -> Answer:
    """429; servers do not always say how long to wait."""
    said = error_body("Rate limit reached", code="rate_limit_exceeded", kind="requests")
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return Answer(429, said, headers)


def failed(status: int = 500) -> Answer:
    """The server failed before it read anything."""
    return Answer(status, error_body("The server had an error", code="", kind="server_error"))
