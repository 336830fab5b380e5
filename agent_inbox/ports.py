"""What the agent inbox needs from the world, and what it offers to the screens agents work on."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from sqlmodel import Session

from agent_inbox.models import Case
from gateway.models import Message
from rag.types import (
    Explanation,
    Language,
    NumberedLine,
    Page,
    RevisionStatus,
    SourceDetail,
    SourceSummary,
    Summary,
    Upload,
)


class DocumentsIn(Protocol):
    """Documents on their way in. Raises RagError's leaves."""

    def add(self, upload: Upload) -> Awaitable[RevisionStatus]:
        """Take a document in. Returns once it is stored; the rest is told by `progress`."""
        ...

    def pages(self, url: str) -> Awaitable[Sequence[str]]:
        """The addresses of pages that a page or a sitemap stands for."""
        ...

    def add_page(self, page: Page) -> Awaitable[RevisionStatus]:
        """Fetch a web page and take it in."""
        ...

    def progress(self, revision_id: str) -> Awaitable[RevisionStatus]: ...


class DocumentsKept(Protocol):
    """Documents that are there, and what of them is answered from. Raises RagError's leaves."""

    def sources(self, *, after: str = "", limit: int = 50) -> Awaitable[Sequence[SourceSummary]]:
        """Sources that are not retired, oldest first, from the id `after` on."""
        ...

    def show(self, source_id: str) -> Awaitable[SourceDetail]: ...

    def retire(self, source_id: str) -> Awaitable[None]:
        """Answers never cite it again from the moment this returns."""
        ...

    def roll_back(
        self, source_id: str, revision_id: str | None = None
    ) -> Awaitable[RevisionStatus]:
        """Answer from an earlier version again."""
        ...

    def set_audience(self, source_id: str, audience: str) -> Awaitable[None]:
        """Say who may read it; whoever may no longer is told nothing of it from then on."""
        ...


class KnowledgeBase(DocumentsIn, DocumentsKept, Protocol):
    """The documents the bot answers from."""


class Librarian(Protocol):
    """Who can say why an answer was given, and sum a talk up. Raises RagError's leaves."""

    def explain(self, record_id: str, *, replay: bool = False) -> Awaitable[Explanation]:
        """The record of an answer; with `replay` what today's documents would change in it."""
        ...

    def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Awaitable[Summary]:
        """A talk in three lines; empty where there is no model, or nothing that can be proven."""
        ...


class Surface(Protocol):
    """A place where agents see cases. Each verb runs in the open transaction that changed them:
    it notes what is to be shown (rows, hints) and sends nothing itself."""

    def present(self, session: Session, case: Case) -> None:
        """A case is new."""
        ...

    def append(self, session: Session, case: Case, message: Message) -> None:
        """A line was added to it."""
        ...

    def refresh(self, session: Session, case: Case) -> None:
        """Its owner, state or brief changed."""
        ...
