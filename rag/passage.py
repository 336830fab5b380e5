"""A passage of Markdown as units that can be quoted whole: sentences, lists, tables, code.

Pure. Units are slices of the passage, so that what is quoted stands there word for word;
`plain` turns a slice into what a chat can show.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

UnitKind = Literal["sentence", "list", "table", "code"]

_FENCE = re.compile(r"\s*(?:```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s|\s*(?:=+|-{3,}|\*{3,}|_{3,})\s*$")
_LIST_LINE = re.compile(r"\s*(?:[-*+•·]|\d{1,3}[.)、]|[(（]\d{1,2}[)）])\s*\S")
_LIST_MARK = re.compile(r"^(\s*)[*+•·]\s+", re.MULTILINE)
_TABLE_LINE = re.compile(r"\s*\|.*\|\s*$")
_TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]+\|?\s*$")
# A Latin sentence ends at a mark before a space and a capital, a digit or a quotation mark.
_SENTENCE_END = re.compile(
    r"[.!?…]+[\"')\]”’]*(?=\s+[\"'(\[“‘]?[A-Z0-9\u3400-\u9fff])|[。！？；…]+[”’」』）)]*|\n(?=\n)"
)
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|Mr|Mrs|Ms|Dr|No|approx|Fig|Inc|Ltd|St))\.$")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)[^)]*\)")
_EMPHASIS = re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_SLANT = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])")
_CODE = re.compile(r"`([^`\n]+)`")
_TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z][^<>]*>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of a passage, from `start` up to `end`."""

    start: int
    end: int
    kind: UnitKind


def units(text: str) -> list[Unit]:
    """The quotable stretches in order; headings and rules are none."""
    found: list[Unit] = []
    for start, end, kind in _blocks(text):
        if kind == "sentence":
            found += _sentences(text, start, end)
        else:
            found.append(Unit(start, end, kind))
    return found


def plain(text: str) -> str:
    """Markdown as a chat shows it: lists stay lines, tables become lines, marks go."""
    lines: list[str] = []
    in_code = False
    for line in text.splitlines():
        if _FENCE.match(line):
            in_code = not in_code
        elif in_code:
            lines.append(line)
        elif not _HEADING.match(line) and not (_TABLE_RULE.match(line) and "-" in line):
            lines.append(_plain_line(line))
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines))
    return joined.strip("\n").rstrip()


def ends_with_colon(text: str) -> bool:
    """Whether something must follow for the text to make sense."""
    return text.rstrip().endswith((":", "："))


def _plain_line(line: str) -> str:
    if _TABLE_LINE.match(line):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        line = " – ".join(cell for cell in cells if cell)
    line = _IMAGE.sub("", line)
    line = _LINK.sub(_shown_link, line)
    line = _TAG.sub("", line)
    line = _SLANT.sub(r"\1", _EMPHASIS.sub(r"\2", line))
    line = re.sub(r"^\s*>\s?", "", _CODE.sub(r"\1", line))
    return _LIST_MARK.sub(r"\1- ", line)


def _shown_link(match: re.Match[str]) -> str:
    label, address = match.groups()
    is_shown = address.startswith(("http://", "https://")) and address != label
    return f"{label} ({address})" if is_shown else label


def _blocks(text: str) -> Iterator[tuple[int, int, UnitKind]]:
    """Stretches of one kind. Blank lines and headings end them; a fence ends at its fence."""
    current: tuple[int, int, UnitKind] | None = None
    in_code = False
    at = 0
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        end = start + len(line.rstrip())
        kind = "code" if in_code else _kind_of(line, current)
        if _FENCE.match(line):
            in_code, kind = not in_code, "code"
        if kind is None:
            if current and not (current[2] == "list" and not line.strip()):
                yield current
                current = None
        elif current and current[2] == kind:
            current = (current[0], end, kind)
        else:
            if current:
                yield current
            current = (start, end, kind)
    if current:
        yield current


def _kind_of(line: str, current: tuple[int, int, UnitKind] | None) -> UnitKind | None:
    if not line.strip() or _HEADING.match(line):
        return None
    if _TABLE_LINE.match(line):
        return "table"
    if _LIST_LINE.match(line):
        return "list"
    if current and current[2] == "list" and line[0].isspace():
        return "list"  # an indented line goes on with its list item
    return "sentence"


def _sentences(text: str, start: int, end: int) -> Iterator[Unit]:
    begin = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if match.end() > begin and not _ABBREVIATION.search(text, begin, match.end()):
            yield from _trimmed(text, begin, match.end())
            begin = match.end()
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Unit]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Unit(start, end, "sentence")
