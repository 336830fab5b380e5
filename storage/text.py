"""The one normaliser of text from outside, and the units its limits are counted in."""

import re
import unicodedata

# NUL is refused by PostgreSQL and cuts SQLite's length(); a lone surrogate cannot be encoded.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROLS = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Zero-width, direction and tag characters: kept for people, taken out before a model reads.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


class UnstorableText(ValueError):
    """A text holds NUL or a lone surrogate, which no database here can keep."""


def clean_text(text: str) -> str:
    """`text` in NFC, with unix line ends and without control characters.

    Raises UnstorableText for NUL and lone surrogates: such a text was never typed by a person,
    so its sender is told rather than having it changed in silence.
    """
    if _UNSTORABLE.search(text):
        raise UnstorableText("the text holds NUL or a lone surrogate")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", unicodedata.normalize("NFC", text))


def repair_text(text: str) -> str:
    """Like `clean_text`, for files and providers that cannot be asked again: bad characters go."""
    return clean_text(_UNSTORABLE.sub("\ufffd", text))


def without_hidden(text: str) -> str:
    """`text` without the invisible characters that can carry orders to a model."""
    return _HIDDEN.sub("", text)
