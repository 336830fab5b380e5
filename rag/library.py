"""What others may ask of rag: a librarian that answers, and the knowledge base it answers from.

In process `rag.answer.Librarian` and `rag.knowledge.Knowledge`, else their remotes in `rag.client`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag.types import (
    Answer,
    CheckReport,
    Explanation,
    Language,
    LibrarianHealth,
    NumberedLine,
    Page,
    Question,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Summary,
    Upload,
)


class AnsweringPart(Protocol):
    """What the service needs of a librarian; `rag.answer.Librarian` has it."""

    def answer(self, question: Question) -> Awaitable[Answer]: ...

    def answer_aloud(
        self, question: Question, show: Callable[[str], None]
    ) -> Awaitable[Answer]: ...

    def explain(self, record_id: str, *, replay: bool = False) -> Awaitable[Explanation]: ...

    def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Awaitable[Summary]: ...

    def alike(self, text: str, others: Sequence[str]) -> Awaitable[list[float]]: ...

    def health(self) -> Awaitable[LibrarianHealth]: ...


class Intake(Protocol):
    """Documents in."""

    def add(self, upload: Upload) -> Awaitable[RevisionStatus]: ...

    def pages(self, url: str) -> Awaitable[list[str]]: ...

    def add_page(self, page: Page) -> Awaitable[RevisionStatus]: ...

    def progress(self, revision_id: str) -> Awaitable[RevisionStatus]: ...


class Holdings(Protocol):
    """What is there, and what of it is live for whom."""

    def sources(self, *, after: str = "", limit: int = 50) -> Awaitable[list[SourceSummary]]: ...

    def show(self, source_id: str) -> Awaitable[SourceDetail]: ...

    def retire(self, source_id: str) -> Awaitable[Any]: ...

    def roll_back(
        self, source_id: str, revision_id: str | None = None
    ) -> Awaitable[RevisionStatus]: ...

    def set_audience(self, source_id: str, audience: str) -> Awaitable[Any]: ...

    def check(self, *, rebuild: bool = False) -> Awaitable[CheckReport]: ...


class KnowledgePart(Intake, Holdings, Protocol):
    """What the service needs of a knowledge base; `rag.knowledge.Knowledge` has it."""


@dataclass(frozen=True, slots=True)
class Library:
    """A loaded librarian with its knowledge base."""

    librarian: AnsweringPart
    knowledge: KnowledgePart
