"""One data folder and one librarian for all tests whose subject is the gateway."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.client import Line, RemoteKnowledge
from rag.types import RevisionStatus, Upload
from tests.process.far_end import FarEnd
from tests.process.server import Deployment, deployed, until

RETURNS = b"""# Returns

## How long can I return a lamp?

You can return a lamp within 30 days of the day it arrived, in its box.

## Who pays the postage of a return?

The shop pays the postage of a return. Print the label from your order page.
"""


@pytest.fixture(scope="module")
def far_end() -> Iterator[FarEnd]:
    far_end = FarEnd()
    yield far_end
    far_end.stop()


def add(shop: Deployment, name: str, content: bytes) -> RevisionStatus:
    """Hand a document to the librarian that runs; where it stands at once."""

    async def work() -> RevisionStatus:
        line = Line(shop.librarian_socket)
        try:
            return await RemoteKnowledge(line).add(Upload(name=name, content=content))
        finally:
            await line.close()

    return asyncio.run(work())


def state_of(shop: Deployment, name: str) -> str:
    """The state of the newest version of a document; "" if there is none."""
    rows = shop.rows(
        "SELECT r.state FROM revision r JOIN source s ON s.id = r.source_id WHERE s.name = ?"
        " ORDER BY r.ordinal DESC LIMIT 1", name, store="knowledge",
    )  # fmt: skip
    return rows[0]["state"] if rows else ""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, far_end: FarEnd) -> Iterator[Deployment]:
    """A shop on the web and on the wire, whose bot knows about returns. No gateway runs yet."""
    folder: Path = tmp_path_factory.mktemp("shop")
    with deployed(
        folder,
        RAG__INDEX__KIND="memory",
        CHANNELS__WIRE__MODULE="tests.process.wire_channel",
        CHANNELS__WIRE__FAR_END=far_end.url,
        CHANNELS__MUTE__MODULE="tests.process.wire_channel",
        CHANNELS__MUTE__SECTION="mute",
        CHANNELS__MUTE__KEEPS_HISTORY="false",
        CHANNELS__MUTE__FAR_END=far_end.url,
        CHANNELS__WEB__MESSAGES_PER_MINUTE="100000",
        CHANNELS__WEB__READS_PER_MINUTE="100000",
    ) as shop:
        shop.librarian()
        add(shop, "returns.md", RETURNS)
        until(lambda: state_of(shop, "returns.md") == "live", "the document to be live")
        yield shop
