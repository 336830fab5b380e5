"""What travels between us and an OpenAI-compatible service. Pure: bytes and values.

Nothing that the service writes about an error is ever passed on: some repeat the key in it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from rag.errors import ModelBroken, ModelBusy, ModelRefused, ModelUnavailable
from rag.ports import ModelLimits, ModelMessage

LINE_BYTES_MAX = 1_000_000  # of one event
STREAM_BYTES_MAX = 8_000_000  # of one answer with all that is around it
PROBLEM_BYTES_MAX = 65_536  # of an error's body that is looked at
RETRY_AFTER_S = 1.0  # where the service does not say how long
RETRY_AFTER_S_MAX = 60.0
_WHOLE = ("stop", "eos", "end_turn", "stop_sequence")
_DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Heard:
    """What one event of a stream says. `finish`: why the model ended."""

    text: str = ""
    finish: str = ""
    tokens: tuple[int, int] | None = None  # of prompt and answer
    done: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """What this service was found not to understand; models differ in it."""

    left_out: frozenset[str] = field(default_factory=frozenset[str])

    def understood(self, problem: bytes) -> "Dialect | None":
        """The dialect that avoids what a refused request was refused for; None if that is not
        one of ours to avoid."""
        said = problem.decode("utf-8", "replace")
        for name in ("max_tokens", "temperature", "stream_options"):
            if name not in self.left_out and re.search(rf"\b{name}\b", said):
                return Dialect(self.left_out | {name})
        return None


def request_body(
    model: str, messages: Sequence[ModelMessage], limits: ModelLimits, dialect: Dialect
) -> dict[str, Any]:
    """The body of a chat completion: streamed, without tools, as repeatable as the model can."""
    optional = {
        "max_tokens": limits.answer_tokens_max,
        "temperature": 0,
        "stream_options": {"include_usage": True},
    }
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": one.role, "content": one.content} for one in messages],
        "stream": True,
    }
    body |= {name: value for name, value in optional.items() if name not in dialect.left_out}
    if "max_tokens" in dialect.left_out:  # the newer name of the same limit
        body["max_completion_tokens"] = limits.answer_tokens_max
    return body


class Lines:
    """Bytes as they arrive, cut into lines. Raises ModelBroken when there are too many."""

    def __init__(self) -> None:
        self._rest = b""
        self._bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._bytes += len(data)
        if self._bytes > STREAM_BYTES_MAX:
            raise ModelBroken("it says too much")
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise ModelBroken("one event is too long")
        yield from (line.rstrip(b"\r") for line in whole)

    def rest(self) -> Iterator[bytes]:
        """The last line, where no line end follows it."""
        if self._rest:
            yield self._rest


def heard(line: bytes) -> Heard | None:
    """What a line of the stream says; None for one that says nothing. Raises ModelBroken,
    ModelUnavailable."""
    if not line.startswith(b"data:"):
        return None  # a comment that keeps the line open, or a field we do not use
    data = line.removeprefix(b"data:").strip()
    if not data:
        return None
    if data == _DONE:
        return Heard(done=True)
    try:
        event: Any = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise ModelBroken("its bytes are no text") from None
    except (ValueError, RecursionError):
        raise ModelBroken("its JSON is broken") from None
    if not isinstance(event, dict):
        raise ModelBroken("its JSON is no event")
    return _event(cast("dict[str, Any]", event))


def _event(event: Mapping[str, Any]) -> Heard:
    if event.get("error"):
        raise ModelUnavailable("it reported an error in the middle")
    choice = _first(event.get("choices"))
    delta = _table(choice.get("delta"))
    if delta.get("tool_calls") or delta.get("function_call"):
        raise ModelBroken("it called a tool, and has none")
    if delta.get("refusal"):
        raise ModelBroken("it refused")
    text, finish = delta.get("content"), choice.get("finish_reason")
    return Heard(
        text if isinstance(text, str) else "",
        finish if isinstance(finish, str) else "",
        _tokens(event.get("usage")),
    )


def _first(choices: Any) -> Mapping[str, Any]:
    return _table(cast("list[Any]", choices)[0]) if isinstance(choices, list) and choices else {}


def _table(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _tokens(usage: Any) -> tuple[int, int] | None:
    counts = [_table(usage).get(name) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(one, int) and 0 <= one <= 10_000_000 for one in counts):
        return None
    return cast("int", counts[0]), cast("int", counts[1])


def check_whole(text: str, finish: str, *, done: bool) -> None:
    """Raise ModelBroken unless what was said is a whole answer."""
    if finish == "length":
        raise ModelBroken("its answer is longer than allowed")
    if finish == "content_filter":
        raise ModelBroken("its answer was filtered")
    if finish and finish not in _WHOLE:
        raise ModelBroken("it ended for a reason of its own")
    if not finish and not done:
        raise ModelBroken("its answer was cut off")
    if not text.strip():
        raise ModelBroken("its answer is empty")


def refusal(status: int, retry_after: str | None) -> ModelUnavailable:
    """What an answer that is no success means for the caller."""
    if status == 429 or (status == 503 and retry_after is not None):
        return ModelBusy(f"it is busy ({status})", _wait_s(retry_after))
    if status >= 500 or status == 408:
        return ModelUnavailable(f"it failed ({status})")
    return ModelRefused(f"it refused the request ({status})")


def _wait_s(retry_after: str | None) -> float:
    if retry_after is None or not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", retry_after.strip()):
        return RETRY_AFTER_S
    return min(float(retry_after), RETRY_AFTER_S_MAX)


def first_model(body: bytes) -> str:
    """The first name in a list of models. Raises ModelBroken."""
    try:
        listed: Any = json.loads(body)
    except (ValueError, RecursionError):
        listed = None
    name = _first(_table(listed).get("data")).get("id")
    if not isinstance(name, str) or not name:
        raise ModelBroken("it lists no model: set model.name")
    return name
