"""What a client asked, and what the API refuses of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.faults import Answer
from tests.fakes.llm.replies import refusal
from tests.fakes.llm.tokens import count

ROLES = {"system", "developer", "user", "assistant", "tool"}
KNOWN = {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "stop", "seed", "n", "user", "response_format", "frequency_penalty",
    "presence_penalty", "logit_bias", "tools", "tool_choice", "reasoning_effort", "store",
    "metadata", "service_tier", "parallel_tool_calls",
}  # fmt: skip
TOKENS_PER_MESSAGE = 4  # the role and the borders


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was understood."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def question(self) -> str:
        """The last words of the user."""
        users = [m for m in self.body.get("messages", ()) if m["role"] == "user"]
        return _text(users[-1]["content"]) if users else ""

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def tells_usage(self) -> bool:
        """Whether a stream shall end with what it cost."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @property
    def prompt_tokens(self) -> int:
        messages = self.body.get("messages", ())
        return sum(count(_text(m["content"])) + TOKENS_PER_MESSAGE for m in messages)

    @property
    def tokens_max(self) -> int | None:
        """How long the answer may be."""
        return self.body.get("max_completion_tokens") or self.body.get("max_tokens")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())


def read_json(raw: bytes) -> Mapping[str, Any] | Answer:
    """The body, or what the API answers to one that is none."""
    try:
        body = json.loads(raw)
    except ValueError:
        return _bad("We could not parse the JSON body of your request.", code="invalid_json")
    return body if isinstance(body, dict) else _bad("The body is no object.", code="invalid_type")


def refuse_chat(body: Mapping[str, Any]) -> Answer | None:
    """Why the form of a chat request is wrong; None when it is right."""
    if unknown := set(body) - KNOWN:
        return _bad(f"Unknown parameter: {min(unknown)!r}.", code="unknown_parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return _bad("'messages' must be a list that is not empty.", code="invalid_type")
    if not all(_is_message(message) for message in messages):
        return _bad("Invalid value in 'messages'.", code="invalid_value")
    if body.get("stream_options") is not None and not body.get("stream"):
        return _bad("'stream_options' is only allowed with 'stream'.", code="invalid_value")
    if not 0 <= body.get("temperature", 1) <= 2:
        return _bad("'temperature' must be between 0 and 2.", code="decimal_above_max_value")
    for name in ("max_tokens", "max_completion_tokens"):
        if body.get(name) is not None and body[name] < 1:
            return _bad(f"{name!r} must be at least 1.", code="integer_below_min_value")
    return None


def refuse_length(asked: Asked, context_tokens: int) -> Answer | None:
    """What does not fit into the model's context, the room for the answer included."""
    wanted = asked.prompt_tokens + (asked.tokens_max or 0)
    if wanted <= context_tokens:
        return None
    return _bad(
        f"This model's maximum context length is {context_tokens} tokens. However, you requested"
        f" {wanted} tokens ({asked.prompt_tokens} in the messages, {asked.tokens_max or 0} in the"
        " completion). Please reduce the length of the messages or completion.",
        code="context_length_exceeded",
    )


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(isinstance(part, dict) and "type" in part for part in content)
    return isinstance(content, str)


def _bad(message: str, *, code: str) -> Answer:
    return refusal(400, message, code=code)
