"""Documents, handed to a librarian that runs as a process and asked back from it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rag.client import Line, RemoteKnowledge, RemoteLibrarian
from rag.types import Answer, CheckReport, Question, RevisionStatus, Upload
from tests.process.server import Deployment, until

T = TypeVar("T")
ENDED = ("live", "failed", "superseded")

RETURNS = b"""# Returns

## How long can I return a lamp?

You can return a lamp within 30 days of the day it arrived, in its box.

## Who pays the postage of a return?

The shop pays the postage of a return. Print the label from your order page.
"""


def add(shop: Deployment, name: str, content: bytes) -> RevisionStatus:
    """Hand a document in; where it stands at once. Raises ModelUnavailable if nobody takes it."""
    return _ask(shop, lambda line: RemoteKnowledge(line).add(Upload(name=name, content=content)))


def answer(shop: Deployment, text: str) -> Answer:
    return _ask(shop, lambda line: RemoteLibrarian(line).answer(Question(text=text)))


def check(shop: Deployment) -> CheckReport:
    """The canary's report: how far index and store agree."""
    return _ask(shop, lambda line: RemoteKnowledge(line).check())


def states(shop: Deployment, name: str) -> list[str]:
    """The states of a document's versions, oldest first."""
    rows = shop.rows(
        "SELECT r.state FROM revision r JOIN source s ON s.id = r.source_id WHERE s.name = ?"
        " ORDER BY r.ordinal", name, store="knowledge",
    )  # fmt: skip
    return [row["state"] for row in rows]


def until_live(shop: Deployment, name: str) -> None:
    until(lambda: states(shop, name)[-1:] == ["live"], lambda: f"{name}: {states(shop, name)}")


def _ask(shop: Deployment, call: Callable[[Line], Awaitable[T]]) -> T:
    async def work() -> T:
        line = Line(shop.librarian_socket)
        try:
            return await call(line)
        finally:
            await line.close()

    return asyncio.run(work())
