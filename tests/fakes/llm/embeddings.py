"""Vectors from words: the same text has the same vector, texts that share words are near."""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Mapping
from typing import Any

from tests.fakes.faults import Answer
from tests.fakes.llm.replies import refusal
from tests.fakes.llm.tokens import count

DIMENSIONS = 64
INPUTS_MAX = 2048
INPUT_TOKENS_MAX = 8192
_WORD = re.compile(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]")


def inputs_of(body: Mapping[str, Any]) -> list[str] | Answer:
    """The texts to embed, or what the API answers when it does not take them."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        return refusal(400, "'input' must be a text or a list of texts.", code="invalid_type")
    if not all(texts):
        return refusal(400, "'input' cannot be an empty string.", code="invalid_value")
    if len(texts) > INPUTS_MAX:
        return refusal(400, f"At most {INPUTS_MAX} inputs.", code="array_above_max_length")
    if any(count(text) > INPUT_TOKENS_MAX for text in texts):
        said = f"This model's maximum context length is {INPUT_TOKENS_MAX} tokens."
        return refusal(400, said, code="context_length_exceeded")
    return texts


def embedded(text: str, *, encoding: str) -> list[float] | str:
    """The vector of `text`, of length 1, as numbers or as base64 of 32-bit floats."""
    sums = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        sums[digest[0] % DIMENSIONS] += 1 if digest[1] % 2 else -1
    length = math.hypot(*sums) or 1.0
    vector = [value / length for value in sums]
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
    return vector
