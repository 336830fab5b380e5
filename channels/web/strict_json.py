"""One strict reader of JSON from outside: refuses what parsers disagree about, or choke on.

What it lets through, every parser reads alike: UTF-8, no duplicate key, no NaN or Infinity, no
giant number, and a shape that no honest client of ours goes near. A refusal costs little.
"""

import json
import re
from typing import Any, NoReturn

from storage.text import UnstorableText

DEPTH_MAX = 64
PIECES_MAX = 2_000  # brackets and commas: our own bodies have a handful
NUMBER_CHARS_MAX = 32

# A string, or what is left of one that never ends. Possessive: no backtracking, so linear.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_NOT_SHAPE = re.compile(r"[^\[\]{},]+")


class BadJson(ValueError):
    """The bytes are no JSON that we take; the text says why, for the client's developer."""


def read_json(body: bytes) -> Any:
    """The value in `body`. Raises BadJson; a half surrogate pair, which JSON can spell and no
    text can hold, raises UnstorableText."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("the body is not UTF-8") from None
    _check_shape(text)
    value = _parsed(text)
    if _HALF_PAIR.search(text):
        _check_pairs(value)
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        raise BadJson(f"{error.msg} at character {error.pos}") from None


def _check_pairs(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnstorableText("a text holds half of a surrogate pair") from None


def _check_shape(text: str) -> None:
    """Refuse depth and width before the parser recurses into them."""
    shape = _NOT_SHAPE.sub("", _STRING.sub("", text))
    if len(shape) > PIECES_MAX:
        raise BadJson(f"more than {PIECES_MAX} brackets and commas")
    depth = 0
    for piece in shape:
        if piece != ",":
            depth += 1 if piece in "[{" else -1
        if depth > DEPTH_MAX:
            raise BadJson(f"nested deeper than {DEPTH_MAX}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadJson("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not JSON")


def _integer(digits: str) -> int:
    return int(_short(digits))


def _number(digits: str) -> float:
    number = float(_short(digits))
    if number in (float("inf"), float("-inf")):
        raise BadJson("a number is too large")
    return number


def _short(digits: str) -> str:
    if len(digits) > NUMBER_CHARS_MAX:
        raise BadJson(f"a number has more than {NUMBER_CHARS_MAX} characters")
    return digits
