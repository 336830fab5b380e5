"""What reading a document gives, and how much of it there may be."""

from dataclasses import dataclass

from rag.types import Language, Words

BYTES_MAX = 20 * 1024 * 1024
CHARACTERS_MAX = 5_000_000
TITLE_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FaqEntry:
    """A row of a question list. `phrasings` are other wordings of the same question."""

    question: str
    answer: str
    phrasings: tuple[str, ...] = ()
    section: str = ""  # the topic or sheet it stands under
    audience: str | None = None  # None: that of the document
    language: Language | None = None  # None: told from the text


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A document as Markdown: headings as `#` lines, no front matter, no navigation.

    A question list has `entries` instead, beside the Markdown of its other sheets.
    `page_characters` and `scanned_pages` (from 1) are those of a document that has pages.
    """

    title: str
    markdown: str
    entries: tuple[FaqEntry, ...] = ()
    page_characters: tuple[int, ...] = ()
    scanned_pages: tuple[int, ...] = ()
    warnings: tuple[Words, ...] = ()

    @property
    def characters(self) -> int:
        """Of everything that can be answered from."""
        rows = (len(e.question) + len(e.answer) + sum(map(len, e.phrasings)) for e in self.entries)
        return len(self.markdown.strip()) + sum(rows)
