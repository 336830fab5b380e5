"""Our small markdown as Telegram shows it: a text without marks, and spans that say what is bold.

Spans instead of a parse mode: nothing that a customer, an agent or a model writes can break the
markup. Pure. A text never gets longer by it, in Telegram's unit, and unknown marks stay as typed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.render import units

SPANS_MAX = 100  # Telegram ignores those beyond

_INLINE = re.compile(
    r"\*\*(?P<bold>[^*\n]{1,500})\*\*"
    r"|`(?P<code>[^`\n]{1,500})`"
    r"|\[(?P<label>[^\[\]\n]{1,200})\]\((?P<url>https://[^\s()]{1,500})\)"
)
_BULLET = re.compile(r"(\s*)[-*](\s+\S)")
_HEADING = re.compile(r"#{1,6}\s+(\S.*)")
_QUOTE = re.compile(r">\s?(.*)")
_FENCE = re.compile(r"\s*```")
_SAFE_HOST = re.compile(r"https://[^\s/@?#]+(?:[/?#]|$)")

Kind = Literal["bold", "code", "pre", "text_link", "blockquote"]


@dataclass(frozen=True, slots=True)
class Span:
    """`length` UTF-16 units from `start` on. `url` is a text link's target."""

    kind: Kind
    start: int
    length: int
    url: str = ""


@dataclass(frozen=True, slots=True)
class Formatted:
    """A text as it is shown, with its spans in order."""

    text: str
    spans: tuple[Span, ...] = ()


class _Page:
    """What was written so far."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.spans: list[Span] = []
        self.length = 0

    def write(self, text: str, kind: Kind | None = None, url: str = "") -> None:
        size = units(text, "utf16")
        if kind and text.strip():
            self.spans.append(Span(kind, self.length, size, url))
        self.pieces.append(text)
        self.length += size

    def cover(self, kind: Kind, start: int) -> None:
        """Mark what was written since `start`."""
        if self.length > start:
            self.spans.append(Span(kind, start, self.length - start))


def formatted(text: str) -> Formatted:
    """`text` without the marks it understands: **bold**, `code`, links, headings, quotes, lists,
    fenced code."""
    text = text.strip()
    page = _Page()
    for block in _blocks(text.split("\n")):
        if page.length:
            page.write("\n")
        _write(page, block)
    shown = "".join(page.pieces)
    if not shown.strip():
        return Formatted(text)
    spans = _settled(page.spans, len(shown) - len(shown.lstrip()), units(shown.rstrip(), "utf16"))
    return Formatted(shown.strip(), spans)


@dataclass(frozen=True, slots=True)
class _Block:
    kind: Literal["line", "pre", "blockquote"]
    lines: tuple[str, ...]


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """Lines of their own, and those that belong together: fenced code and quotes."""
    at = 0
    while at < len(lines):
        if _FENCE.match(lines[at]):
            end = next((n for n in range(at + 1, len(lines)) if _FENCE.match(lines[n])), None)
            if end is not None:
                if code := tuple(lines[at + 1 : end]):
                    yield _Block("pre", code)
                at = end + 1
                continue
        end = at
        while end < len(lines) and _QUOTE.match(lines[end]):
            end += 1
        if end > at:
            yield _Block("blockquote", tuple(_QUOTE.sub(r"\1", one) for one in lines[at:end]))
            at = end
            continue
        yield _Block("line", (lines[at],))
        at += 1


def _write(page: _Page, block: _Block) -> None:
    if block.kind == "pre":
        page.write("\n".join(block.lines), "pre")
        return
    start = page.length
    for number, line in enumerate(block.lines):
        if number:
            page.write("\n")
        _write_line(page, line)
    if block.kind == "blockquote":
        page.cover("blockquote", start)


def _write_line(page: _Page, line: str) -> None:
    if heading := _HEADING.fullmatch(line):
        page.write(_INLINE.sub(_words, heading[1]), "bold")
        return
    line = _BULLET.sub(r"\1•\2", line, count=1) if _BULLET.match(line) else line
    end = 0
    for found in _INLINE.finditer(line):
        page.write(line[end : found.start()])
        end = found.end()
        if found["bold"]:
            page.write(found["bold"], "bold")
        elif found["code"]:
            page.write(found["code"], "code")
        elif _SAFE_HOST.match(found["url"]):
            page.write(found["label"], "text_link", found["url"])
        else:
            page.write(found.group())
    page.write(line[end:])


def _words(found: re.Match[str]) -> str:
    return found["bold"] or found["code"] or found["label"]


def _settled(spans: list[Span], skipped: int, end: int) -> tuple[Span, ...]:
    """In order, the outer one first, within the text that is left when blanks around it go.

    `skipped` blanks were in front, each one unit; `end` is where the text ends, counted with them.
    """
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.length)):
        start, stop = max(span.start, skipped), min(span.start + span.length, end)
        if stop > start:
            kept.append(Span(span.kind, start - skipped, stop - start, span.url))
    return tuple(kept[:SPANS_MAX])
