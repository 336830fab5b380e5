"""One data folder and one librarian for all tests whose subject is the gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.documents import RETURNS, add, until_live
from tests.process.far_end import FarEnd
from tests.process.server import Deployment, deployed


@pytest.fixture(scope="session")
def far_end() -> Iterator[FarEnd]:
    far_end = FarEnd()
    yield far_end
    far_end.stop()


def on_the_wire(far_end: FarEnd) -> dict[str, str]:
    """The settings of a network that keeps what it was sent, and of one that does not."""
    module = "tests.process.wire_channel"
    return {
        "CHANNELS__WIRE__MODULE": module, "CHANNELS__WIRE__FAR_END": far_end.url,
        "CHANNELS__MUTE__MODULE": module, "CHANNELS__MUTE__FAR_END": far_end.url,
        "CHANNELS__MUTE__SECTION": "mute", "CHANNELS__MUTE__KEEPS_HISTORY": "false",
    }  # fmt: skip


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, far_end: FarEnd) -> Iterator[Deployment]:
    """A shop on the web and on the wire, whose bot knows about returns. Its librarian runs
    for all tests; each of them starts its gateways and leaves nothing open."""
    folder: Path = tmp_path_factory.mktemp("shop")
    settings = on_the_wire(far_end) | {
        "RAG__INDEX__KIND": "memory",
        "CHANNELS__WEB__MESSAGES_PER_MINUTE": "100000",
        "CHANNELS__WEB__READS_PER_MINUTE": "100000",
    }
    with deployed(folder, **settings) as shop:
        shop.librarian()
        add(shop, "returns.md", RETURNS)
        until_live(shop, "returns.md")
        yield shop


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, far_end: FarEnd) -> Iterator[Deployment]:
    """A shop whose librarian keeps its vectors in a real Chroma. Nothing of it runs yet."""
    folder: Path = tmp_path_factory.mktemp("library")
    with deployed(folder, **on_the_wire(far_end), RAG__INTAKE__EMBED_BATCH="1") as library:
        yield library
