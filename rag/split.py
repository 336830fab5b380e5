"""Markdown to passages: small enough for the embedder, whole enough to be quoted.

A passage never crosses a heading. The headings above it are its `heading_path`: they are put
before the text when it is embedded and searched, and left out when it is quoted.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from semantic_text_splitter import MarkdownSplitter

from rag.errors import SourceUnreadable
from rag.load import FaqEntry, Loaded, fence_after, heading_of
from rag.types import ChunkKind, Language

# 120 Latin characters are some 30 tokens, 120 Chinese ones 120: both leave room for the text.
HEADING_CHARS_MAX = 120
_TOKEN_STEP = 20  # splitters are made per capacity, so capacities are rounded

_EMPHASIS = re.compile(r"[*`]+|\{#[\w-]+\}\s*$")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_QUESTION_LINE = re.compile(
    r"\s*(?:\*\*|__)?(?:Q(?:uestion)?\s*\d*|问题?\s*\d*|問題?\s*\d*)\s*[:：.、]\s*\S", re.IGNORECASE
)
_QUESTION_END = re.compile(r"[?？]\W*$")
_LIST_LINE = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s")
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLimits:
    """Sizes of passages, in the embedder's own tokens unless the name says otherwise."""

    chunk_tokens: int = 220  # with the headings; the bundled embedder reads 256
    overlap_tokens: int = 30
    faq_tokens_max: int = 400  # an entry up to this size stays whole
    chunk_chars_max: int = 3_000  # for text whose tokens are endless (base64, other scripts)
    chunks_max: int = 20_000  # per document


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A passage. `text` stands in the document word for word.

    `wording_of` is the place in the list of the passage that this one asks for in other words.
    Audience and language are those that a row of a list names for itself.
    """

    heading_path: tuple[str, ...]
    text: str
    kind: ChunkKind
    wording_of: int | None = None
    audience: str | None = None
    language: Language | None = None

    @property
    def content_hash(self) -> str:
        """Names what is embedded: equal for equal text under equal headings."""
        parts = [
            self.heading_path,
            self.text,
            *(["wording"] if self.wording_of is not None else []),
        ]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Heading:
    line: int  # tells apart two headings of one wording
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class _Section:
    path: tuple[str, ...]
    body: str


class Splitter:
    """Cuts documents for one embedder. `tokenizer` (of the `tokenizers` package) makes it some
    ten times faster than calling `count_tokens`; both must count alike."""

    def __init__(
        self,
        count_tokens: Callable[[str], int],
        *,
        tokenizer: Any = None,
        limits: SplitLimits | None = None,
    ) -> None:
        self._count = count_tokens
        self._tokenizer = tokenizer
        self.limits = limits or SplitLimits()
        self._by_capacity: dict[int, MarkdownSplitter] = {}

    def split(self, markdown: str) -> list[Piece]:
        """The passages in order. The same text gives the same passages. Blocks (some 3 s per
        million characters). Raises SourceUnreadable when there are none, or too many."""
        pieces: list[Piece] = []
        for section in _sections(markdown):
            pieces += self._pieces(section)
            self._refuse_many(pieces)
        if not pieces:
            raise SourceUnreadable(
                "No text was found in it. Check that the file is the right one.",
                "其中没有找到文字。请检查文件是否正确。",
            )
        return pieces

    def cut(self, loaded: Loaded) -> list[Piece]:
        """The passages of a document: its entries, each whole with a vector for each wording of
        its question, then its text. Blocks. Raises as `split`."""
        pieces: list[Piece] = []
        for entry in loaded.entries:
            pieces += self._of_entry(entry, len(pieces))
            self._refuse_many(pieces)
        if not pieces or loaded.markdown.strip():
            pieces += self.split(loaded.markdown)
            self._refuse_many(pieces)
        return pieces

    def _of_entry(self, entry: FaqEntry, first: int) -> Iterator[Piece]:
        above = (entry.section,) if entry.section else ()
        path = (*above, entry.question)
        texts = self._texts(path, entry.answer, whole=True)
        labels: dict[str, Any] = {"audience": entry.audience, "language": entry.language}
        for text in texts:
            yield Piece(heading_path=path, text=text, kind="faq", **labels)
        for wording in entry.phrasings:
            yield Piece(
                heading_path=(*above, wording),
                text=texts[0],
                kind="faq",
                wording_of=first,
                **labels,
            )

    def _refuse_many(self, pieces: Sequence[Piece]) -> None:
        most = self.limits.chunks_max
        if len(pieces) > most:
            raise SourceUnreadable(
                f"It makes more than {most:,} passages. Split the document.",
                f"文档会产生超过 {most:,} 个段落。请拆分文档。",
            )

    def _pieces(self, section: _Section) -> Iterator[Piece]:
        asks = bool(section.path and _QUESTION_END.search(section.path[-1]))
        for entry, is_entry in _entries(section.body):
            is_faq = is_entry or asks
            for text in self._texts(section.path, entry, whole=is_faq):
                if _WORD.search(text):
                    kind = "faq" if is_faq else _kind(text)
                    yield Piece(heading_path=section.path, text=text, kind=kind)

    def _texts(self, path: tuple[str, ...], text: str, *, whole: bool) -> list[str]:
        stripped = text.strip("\n").rstrip()
        fits = len(stripped) <= self.limits.chunk_chars_max
        if whole and fits and self._count(stripped) <= self.limits.faq_tokens_max:
            return [stripped]
        texts: list[str] = []
        for part in self._splitter(path).chunks(text):
            long = len(part) > self.limits.chunk_chars_max
            texts += MarkdownSplitter(self.limits.chunk_chars_max).chunks(part) if long else [part]
        return texts

    def _splitter(self, path: tuple[str, ...]) -> MarkdownSplitter:
        prefix = heading_line(path)
        used = math.ceil(self._count(prefix) / _TOKEN_STEP) * _TOKEN_STEP if prefix else 0
        most = self.limits.chunk_tokens
        capacity = max(most - used, most // 2)
        if capacity not in self._by_capacity:
            overlap = min(self.limits.overlap_tokens, capacity - 1)
            self._by_capacity[capacity] = (
                MarkdownSplitter.from_callback(self._count, capacity, overlap=overlap)
                if self._tokenizer is None
                else MarkdownSplitter.from_huggingface_tokenizer(
                    self._tokenizer, capacity, overlap=overlap
                )
            )
        return self._by_capacity[capacity]


def heading_line(path: Sequence[str]) -> str:
    """The nearest headings in one line of at most `HEADING_CHARS_MAX` characters."""
    kept: list[str] = []
    room = HEADING_CHARS_MAX
    for heading in reversed(path):
        part = heading[:room]
        if not part:
            break
        kept.append(part)
        room -= len(part) + 3
        if room <= 0:
            break
    return " > ".join(reversed(kept))


def embedded_text(path: Sequence[str], text: str, *, is_wording: bool = False) -> str:
    """What the embedder reads for a passage. Of another wording it is the question alone: with the
    answer below it, all wordings would come out alike."""
    line = heading_line(path)
    if is_wording:
        return line
    return f"{line}\n{text}" if line else text


def _sections(markdown: str) -> Iterator[_Section]:
    """The document cut at its headings. A heading with nothing below it joins the next one's path,
    so that it is neither lost nor a passage of its own; at the very end it has to be one."""
    stack: list[_Heading] = []
    pending: list[_Heading] = []  # not yet in the path of any section
    for heading, body in _cut_at_headings(markdown):
        if heading is not None:
            while stack and stack[-1].level >= heading.level:
                stack.pop()
            stack.append(heading)
            pending.append(heading)
        if _WORD.search(body):
            lone = tuple(other.title for other in pending if other not in stack)
            path = tuple(other.title for other in stack)
            yield _Section((*path[:-1], *lone, *path[-1:]), body)
            pending = []
    if pending:
        yield _Section((), "\n\n".join(heading.title for heading in pending))


def _cut_at_headings(markdown: str) -> Iterator[tuple[_Heading | None, str]]:
    heading: _Heading | None = None
    lines: list[str] = []
    fence: str | None = None
    for number, line in enumerate(markdown.split("\n")):
        found = None if fence else heading_of(line)
        fence = fence_after(line, fence)
        if found is None:
            lines.append(line)
            continue
        yield heading, "\n".join(lines)
        heading, lines = _Heading(number, found[0], _plain(found[1])), []
    yield heading, "\n".join(lines)


def _plain(heading: str) -> str:
    return " ".join(_EMPHASIS.sub("", _LINK.sub(r"\1", heading)).split())


def _entries(body: str) -> Iterator[tuple[str, bool]]:
    """The body cut before each line that asks a question ("Q: …", "问：…"), and whether it does."""
    lines: list[str] = []
    is_entry = False
    fence: str | None = None
    for line in body.split("\n"):
        if fence is None and _QUESTION_LINE.match(line):
            yield "\n".join(lines), is_entry
            lines, is_entry = [], True
        fence = fence_after(line, fence)
        lines.append(line)
    yield "\n".join(lines), is_entry


def _kind(text: str) -> ChunkKind:
    """What most of the text's characters belong to."""
    characters: Counter[ChunkKind] = Counter()
    fence: str | None = None
    for line in text.split("\n"):
        before, fence = fence, fence_after(line, fence)
        kind: ChunkKind = "text"
        if before or fence:
            kind = "code"
        elif line.lstrip().startswith("|"):
            kind = "table"
        elif _LIST_LINE.match(line) or (line.startswith("  ") and characters["list"]):
            kind = "list"
        characters[kind] += len(line)
    kind, most = characters.most_common(1)[0]
    return kind if most * 2 > len(text) else "text"
