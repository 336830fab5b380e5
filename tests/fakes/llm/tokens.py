"""Counting roughly as a model counts, but always the same: that there is a limit matters."""

import re

# A word piece of up to four letters, a Chinese character, or one sign each.
_TOKEN = re.compile(r"\s*(?:[A-Za-z0-9]{1,4}|[^\sA-Za-z0-9])")


def count(text: str) -> int:
    """How many tokens `text` has."""
    return sum(1 for _ in _TOKEN.finditer(text))


def first_tokens(text: str, tokens_max: int) -> str:
    """The beginning of `text` with `tokens_max` tokens."""
    end = 0
    for number, token in enumerate(_TOKEN.finditer(text)):
        if number == tokens_max:
            break
        end = token.end()
    return text[:end]
