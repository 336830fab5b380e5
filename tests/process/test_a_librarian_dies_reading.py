"""kill -9 at every step of taking a document in: it is live once in the end, and never in part."""

import contextlib

import pytest

from rag.errors import ModelUnavailable
from tests.process.documents import add, answer, check, states, until_live
from tests.process.server import Deployment, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

# Where it dies, and the states of the document's versions then. Each start takes up what the death
# before it left; the order sees to it that this leads past no failpoint of the new one.
DEATHS = {
    "K7": ["live"],  # published, nobody told
    "K6": ["verifying"],  # every vector in the index
    "K5": ["embedding"],  # half the vectors made
    "K4": ["embedding"],  # cut into passages
    "K3": ["parsing"],
    "K2": ["queued"],
    "K1": [],  # a file without a row
}


def test_a_document_is_live_once_whatever_step_the_librarian_dies_at(library: Deployment) -> None:
    """Seven documents, each of whose librarians is killed at another step."""
    for failpoint, left in DEATHS.items():
        librarian = library.librarian(f"{failpoint}=crash")
        finish(library)
        with contextlib.suppress(ModelUnavailable):
            add(library, name(failpoint), document(failpoint))
        assert librarian.wait() == -9, librarian.log
        assert states(library, name(failpoint)) == left, failpoint
    library.librarian()
    finish(library)
    add(library, name("K1"), document("K1"))  # its uploader was told that it had failed
    until_live(library, name("K1"))
    report = check(library)

    assert (report.wrong, report.chunks) == (0, 4 * len(DEATHS))
    for failpoint in DEATHS:
        assert states(library, name(failpoint)) == ["live"]
        assert cited(library, failpoint)


def finish(library: Deployment) -> None:
    """Until what the last death left is live. Asked all the while, it shows all or nothing."""
    open_ones = [one for one in DEATHS if states(library, name(one)) not in ([], ["live"])]
    for one in open_ones:

        def is_live(one: str = one) -> bool:
            early = cited(library, one)
            live = states(library, name(one)) == ["live"]
            assert live or not early, f"{one} was shown before it was whole"
            return live

        until(is_live, lambda one=one: f"{one}: {states(library, name(one))}")


def cited(library: Deployment, failpoint: str) -> bool:
    """Whether an answer rests on that document."""
    found = answer(library, f"What does lamp {failpoint} weigh?")
    return name(failpoint) in [citation.source for citation in found.citations]


def name(failpoint: str) -> str:
    return f"lamp-{failpoint}.md"


def document(failpoint: str) -> bytes:
    """Four passages, so that there is a half of them."""
    facts = ("weigh", "cost", "measure", "last")
    return f"# Lamp {failpoint}\n".encode() + b"".join(
        f"\n## What does lamp {failpoint} {fact}?\n\nLamp {failpoint} does {fact} {number} units"
        f" and not more than that, as every lamp {failpoint} does.\n".encode()
        for number, fact in enumerate(facts, 10)
    )
