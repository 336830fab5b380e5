"""Fitting a message to what a channel can show. Pure: the same input gives the same parts, so a
delivery can be rendered again after a crash and still be part 3 of 5."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import regex

from gateway.files import label_of
from gateway.messages import Attachment, Button, Capabilities, OutboundMessage
from gateway.phrases import Phrases
from rag.types import Language

_GRAPHEME = regex.compile(r"\X")
# The best place to pause comes first.
_BORDERS = ("\n\n", "\n", "。", ". ", "！", "! ", "？", "? ", "；", "; ", "，", ", ", " ")
BORDER_SHARE_MIN = 0.5  # a border in the first half would leave a stump of a part


def fit(message: OutboundMessage, can: Capabilities) -> list[OutboundMessage]:
    """`message` as the parts that `can` takes, in order; never cut short, never empty.

    Buttons too many become numbered lines; sources become lines where the channel does not show
    them itself. Buttons, files and sources go with the last part.
    """
    text, buttons = message.text, message.buttons
    shows_sources = can.pulled or can.sources
    if message.citations and not shows_sources:
        text = f"{text}\n\n{_sources(message)}"
    if len(buttons) > can.buttons_max:
        text, buttons = f"{text}\n\n{_numbered(buttons)}", ()
    texts = list(split(text, can.text_units_max, can.unit)) or [""]
    parts = [
        replace(message, text=part, buttons=(), attachments=(), citations=()) for part in texts
    ]
    citations = message.citations if shows_sources else ()
    parts[-1] = replace(
        parts[-1], buttons=buttons, attachments=message.attachments, citations=citations
    )
    return parts


def with_excuses(message: OutboundMessage, can: Capabilities, phrases: Phrases) -> OutboundMessage:
    """`message` without the files that `can` does not take; its text says which, and why."""
    told = excuses(message.attachments, can, phrases, message.language)
    if not told:
        return message
    taken = tuple(one for one in message.attachments if _trouble(one, can) is None)
    text = "\n\n".join(part for part in (message.text, "\n".join(told)) if part)
    return replace(message, text=text, attachments=taken)


def excuses(
    files: Iterable[Attachment], can: Capabilities, phrases: Phrases, language: Language
) -> list[str]:
    """A sentence for each of `files` that cannot be sent to where `can` is true. A place that
    reads our own store takes what we have taken."""
    troubles = ((one, _trouble(one, can)) for one in files)
    return [
        phrases.say(key, language, name=label_of(one.name), mb=megabytes(can.attachment_bytes_max))
        for one, key in troubles
        if key is not None
    ]


def _trouble(one: Attachment, can: Capabilities) -> str | None:
    """The phrase that says why a file cannot go; None if it can."""
    if can.pulled or (can.attachment_bytes_max and one.size_bytes <= can.attachment_bytes_max):
        return None
    return "file.too_large" if can.attachment_bytes_max else "file.not_here"


def megabytes(size_bytes: int) -> str:
    """A size for people: "20", "0.5"."""
    return f"{size_bytes / 1_000_000:.1f}".removesuffix(".0")


def units(text: str, unit: Literal["characters", "utf16"]) -> int:
    """The length of `text` as the channel counts it."""
    return len(text) if unit == "characters" else len(text.encode("utf-16-le")) // 2


def split(text: str, units_max: int, unit: Literal["characters", "utf16"]) -> Iterator[str]:
    """`text` in pieces of at most `units_max`, at paragraph, sentence or word borders, never inside
    a grapheme. Joined again they are the text, but for blank borders."""
    while units(text, unit) > units_max:
        head = _head(text, units_max, unit)
        near = len(head) * BORDER_SHARE_MIN
        borders = (head.rfind(border) + len(border) for border in _BORDERS)
        cut = next((border for border in borders if border > near), len(head))
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    if text:
        yield text


def _head(text: str, units_max: int, unit: Literal["characters", "utf16"]) -> str:
    """The longest beginning of whole graphemes that fits; an oversized one is cut by force."""
    taken, used = 0, 0
    for grapheme in _GRAPHEME.finditer(text):
        size = units(grapheme.group(), unit)
        if used + size > units_max:
            break
        taken, used = grapheme.end(), used + size
    if taken:
        return text[:taken]
    short = text[:units_max]
    while units(short, unit) > units_max:
        short = short[:-1]
    return short


def _sources(message: OutboundMessage) -> str:
    lines = (f"[{c.n}] {c.title}" + (f" {c.url}" if c.url else "") for c in message.citations)
    return "\n".join(lines)


def _numbered(buttons: tuple[Button, ...]) -> str:
    return "\n".join(f"{n}. {button.label}" for n, button in enumerate(buttons, 1))
