"""Lines on pages to Markdown: what is a heading, a table, a list, a paragraph, or only furniture.

Pure. A PDF knows where its letters stand and nothing else; all structure is read from places and
sizes. What is not clear stays a paragraph.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.language import has_han

_HEADING_SIZE_MIN = 1.13  # of the size that most of the text has
_HEADING_CHARS_MAX = 150
_BOLD_HEADING_CHARS_MAX = 80
_LEVELS_MAX = 4
_EDGE_SHARE = 0.045  # of a page's height: smaller print there is never part of the text
_MARGIN_SHARE = 0.12  # where headers and footers are looked for
_SMALL_SIZE = 0.9
_REPEATS_SHARE_MIN = 0.5  # of the pages, for a line in the margin to be a header or footer
_LINE_GAP_MAX = 1.75  # of the size, from one baseline to the next, within a paragraph
_FULL_SHARE_MIN = 0.8  # of the longest line: a shorter one ends its paragraph
_INDENT_MIN = 0.8  # of the size
_WRAPPED_ROW_LINES_MAX = 6

_BULLET = re.compile(r"^[•·◦▪●○■□–—*‣⁃➢✓]\s*(?=\S)")
_NUMBER = re.compile(r"^(?:\d{1,3}[.)、]|[(（]\d{1,2}[)）]|[a-z][.)])\s*(?=\S)")
_PAGE_NUMBER = re.compile(
    r"^\W*(?:page|p\.|seite|第)?\s*\d{1,5}\s*(?:(?:of|/|／|共|von)\s*\d{1,5})?\s*(?:页|頁)?\W*$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?。！？；;：:]\W*$")
_HYPHEN_END = re.compile(r"(\w+)([-\u00ad\u2010\ufffe\x02])$")
_WORD_START = re.compile(r"^[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Cell:
    """A stretch of a line between wide gaps, from `left` to `right`."""

    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a page. `base` is the height of its baseline above the page's foot, 0..1 of
    `page_height`; all other measures are in points."""

    cells: tuple[Cell, ...]
    base: float
    size: float
    bold: bool
    page: int
    page_height: float

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)

    @property
    def left(self) -> float:
        return self.cells[0].left

    @property
    def right(self) -> float:
        return self.cells[-1].right

    @property
    def height_share(self) -> float:
        return self.base / self.page_height


def markdown_of(pages: Sequence[Sequence[Line]]) -> str:
    """The document, without headers and footers that repeat."""
    sizes: Counter[float] = Counter()
    for line in (line for page in pages for line in page):
        sizes[line.size] += len(line.text)
    if not sizes:
        return ""
    body = sizes.most_common(1)[0][0]
    lines = list(_without_furniture(pages, body))
    words = {word for line in lines for word in re.findall(r"\w+(?:-\w+)+", line.text.lower())}
    style = _Style(_levels(lines, body), frozenset(words), _columns(lines))
    return "\n\n".join(_blocks(lines, style))


@dataclass(frozen=True, slots=True)
class _Style:
    levels: dict[float, int]
    hyphenated: frozenset[str]  # words that the document writes with a hyphen inside a line
    columns: dict[int, tuple[float, float]]  # page → where its text begins and ends


def _columns(lines: Sequence[Line]) -> dict[int, tuple[float, float]]:
    columns: dict[int, tuple[float, float]] = {}
    for line in lines:
        left, right = columns.get(line.page, (line.left, line.right))
        columns[line.page] = (min(left, line.left), max(right, line.right))
    return columns


def _without_furniture(pages: Sequence[Sequence[Line]], body: float) -> Iterator[Line]:
    """The lines without page numbers, printers' marks, and what repeats in the margins."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_folded(line) for line in page if _in_margin(line)})
    needed = max(2, round(len(pages) * _REPEATS_SHARE_MIN))
    for line in (line for page in pages for line in page):
        share = line.height_share
        at_edge = share < _EDGE_SHARE or share > 1 - _EDGE_SHARE
        if at_edge and line.size <= body * _SMALL_SIZE:
            continue
        if _in_margin(line):
            if seen[_folded(line)] >= needed and line.size <= body * _HEADING_SIZE_MIN:
                continue
            if _PAGE_NUMBER.match(line.text):
                continue
        yield line


def _in_margin(line: Line) -> bool:
    return not _MARGIN_SHARE <= line.height_share <= 1 - _MARGIN_SHARE


def _folded(line: Line) -> str:
    return re.sub(r"\d+", "#", " ".join(line.text.split()).lower())


def _levels(lines: Sequence[Line], body: float) -> dict[float, int]:
    """Sizes of headings → their levels, the largest first."""
    sizes = {
        line.size
        for line in lines
        if line.size >= body * _HEADING_SIZE_MIN and len(line.text) <= _HEADING_CHARS_MAX
    }
    ordered = sorted(sizes, reverse=True)
    return {size: min(at, _LEVELS_MAX) for at, size in enumerate(ordered, start=1)}


def _blocks(lines: Sequence[Line], style: _Style) -> Iterator[str]:
    at = 0
    while at < len(lines):
        level = _level(lines, at, style)
        if level:
            text, at = _heading(lines, at, style)
            yield f"{'#' * level} {text}"
            continue
        rows, after = _table(lines, at)
        if rows:
            yield _table_text(rows)
            at = after
            continue
        block, at = _paragraph(lines, at, style)
        if line_text := block.strip():
            yield line_text


def _level(lines: Sequence[Line], at: int, style: _Style) -> int:
    """The level of the heading that the line is; 0 if it is none."""
    line = lines[at]
    if len(line.cells) == 1 and line.size in style.levels and not _BULLET.match(line.text):
        return style.levels[line.size]
    is_short = len(line.text) <= _BOLD_HEADING_CHARS_MAX and len(line.cells) == 1
    if not line.bold or not is_short or _SENTENCE_END.search(line.text.rstrip("?？")):
        return 0
    after = lines[at + 1] if at + 1 < len(lines) else None
    stands_alone = after is not None and not after.bold and after.size <= line.size
    return min(len(style.levels), _LEVELS_MAX) + 1 if stands_alone else 0


def _heading(lines: Sequence[Line], at: int, style: _Style) -> tuple[str, int]:
    """A heading with the lines that it wraps into."""
    first = lines[at]
    text, at = first.text, at + 1
    while (
        at < len(lines)
        and first.size in style.levels
        and lines[at].size == first.size
        and _is_next_line(lines[at - 1], lines[at])
        and len(text) + len(lines[at].text) <= _HEADING_CHARS_MAX
    ):
        text = _joined(text, lines[at].text, style)
        at += 1
    return " ".join(text.split()), at


def _is_next_line(line: Line, after: Line) -> bool:
    gap = line.base - after.base
    return line.page == after.page and 0 < gap <= _LINE_GAP_MAX * max(line.size, after.size)


def _paragraph(lines: Sequence[Line], at: int, style: _Style) -> tuple[str, int]:
    """A run of lines that stand together: sentences joined, list items each on a line."""
    first = lines[at]
    shift = first.left - style.columns[first.page][0]
    is_list = bool(_BULLET.match(first.text) or _NUMBER.match(first.text)) or (
        shift >= _INDENT_MIN * first.size and _is_column(lines, at)
    )
    parts = [_item(first.text, bulleted=is_list)]
    at += 1
    while at < len(lines) and _goes_on(lines, at, style):
        before, line = lines[at - 1], lines[at]
        is_new = bool(_BULLET.match(line.text) or _NUMBER.match(line.text))
        was_full = before.right >= _FULL_SHARE_MIN * style.columns[before.page][1]
        if is_new or (is_list and not was_full):
            parts.append(_item(line.text, bulleted=is_list or is_new))
        elif was_full or _HYPHEN_END.search(before.text):
            parts[-1] = _joined(parts[-1], line.text, style)
        else:
            parts.append(line.text)
        at += 1
    return "\n".join(parts), at


def _is_column(lines: Sequence[Line], at: int) -> bool:
    """Whether an indented line is one of several that begin at the same place."""
    after = lines[at + 1 : at + 2]
    return any(
        abs(line.left - lines[at].left) < 2 and line.page == lines[at].page for line in after
    )


def _goes_on(lines: Sequence[Line], at: int, style: _Style) -> bool:
    before, line = lines[at - 1], lines[at]
    if _level(lines, at, style) or len(line.cells) > 1:
        return False
    if line.page != before.page:  # a sentence may run over the page's end
        is_open = not _SENTENCE_END.search(before.text) and line.size == before.size
        return line.page == before.page + 1 and is_open
    return _is_next_line(before, line) and abs(line.size - before.size) < 0.6


def _item(text: str, *, bulleted: bool) -> str:
    if _BULLET.match(text):
        return "- " + _BULLET.sub("", text)
    if bulleted and not _NUMBER.match(text):
        return "- " + text
    return text


def _joined(text: str, more: str, style: _Style) -> str:
    """Two lines as one: a hyphen that only broke a word goes, Chinese needs no space."""
    more = more.strip()
    hyphen = _HYPHEN_END.search(text)
    word = _WORD_START.match(more)
    if hyphen and word and more[0].islower():
        whole = f"{hyphen[1]}-{word[0]}".lower()
        kept = hyphen[2] == "-" and whole in style.hyphenated
        return text[: hyphen.start(2)] + ("-" if kept else "") + more
    if has_han(text[-1:]) or has_han(more[:1]) or text[-1:] in "，。；：、！？）》”":
        return text + more
    return f"{text} {more}"


def _table(lines: Sequence[Line], at: int) -> tuple[list[list[str]], int]:
    """The rows of a table that begins at the line, and where it ends; none if there is none."""
    width = len(lines[at].cells)
    if width < 2:
        return [], at
    end = at + 1
    while end < len(lines) and _may_be_row(lines[end - 1], lines[end]):
        end += 1
    full = [line for line in lines[at:end] if len(line.cells) == width]
    if len(full) < 2:
        return [], at
    spans = [
        (min(line.cells[n].left for line in full), max(line.cells[n].right for line in full))
        for n in range(width)
    ]
    return _rows(lines, range(at, end), spans)


def _may_be_row(before: Line, line: Line) -> bool:
    return line.page == before.page and abs(line.size - before.size) < 1.2


def _rows(
    lines: Sequence[Line], where: range, spans: Sequence[tuple[float, float]]
) -> tuple[list[list[str]], int]:
    rows: list[list[str]] = []
    starts: list[int] = []  # the line at which each row begins
    for at in where:
        placed = [(_column(cell, spans), cell.text) for cell in lines[at].cells]
        if len(placed) > len(spans):
            where = range(where.start, at)
            break
        begins = placed[0][0] == 0 and (not rows or any(rows[-1][1:]))
        if begins or not rows:
            rows.append([""] * len(spans))
            starts.append(at)
        elif at - starts[-1] >= _WRAPPED_ROW_LINES_MAX:
            where = range(where.start, at)
            break
        for column, text in placed:
            held = rows[-1][column]
            rows[-1][column] = f"{held} {text}".strip()
    end = where.stop
    while len(rows) > 1 and not any(rows[-1][1:]):  # what followed was a paragraph after all
        end = starts.pop()
        rows.pop()
    return (rows, end) if len(rows) > 1 else ([], where.start)


def _column(cell: Cell, spans: Sequence[tuple[float, float]]) -> int:
    """The column that the cell overlaps most, else the nearest."""

    def merit(at: int) -> float:
        left, right = spans[at]
        return min(cell.right, right) - max(cell.left, left)

    return max(range(len(spans)), key=merit)


def _table_text(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])


def without_gaps(line: Line) -> Line:
    """The line as one cell, for pages that are too many to look at closely."""
    return replace(line, cells=(Cell(line.text, line.left, line.right),))
