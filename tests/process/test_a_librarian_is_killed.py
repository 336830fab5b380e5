"""kill -9 of the librarian, of Chroma, and of a librarian at every step of taking a document in."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.documents import RETURNS, add, check, until_live
from tests.process.far_end import FarEnd
from tests.process.provider import Chat
from tests.process.server import Deployment, Process, is_alive, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

QUESTION = "How long can I return a lamp?"


@pytest.fixture(scope="module")
def server(library: Deployment) -> Iterator[Process]:
    """The whole of it: the gateway with its librarian, and the librarian with its Chroma."""
    server = library.serve()
    until(lambda: is_whole(library), lambda: f"{library.health()}")
    add(library, "returns.md", RETURNS)
    until_live(library, "returns.md")
    yield server
    server.clean_up()


def test_killed_in_the_middle_of_an_answer_it_leaves_nobody_waiting(
    library: Deployment, server: Process, far_end: FarEnd
) -> None:
    """The customer is told that a person follows up; a new librarian answers the next one."""
    chat, later = Chat(library, "in-the-middle"), Chat(library, "after-it")
    librarian, chroma = member(server, " librarian "), member(server, "chroma")
    os.kill(librarian, signal.SIGSTOP)
    chat.write(QUESTION)
    until(lambda: chat.left().turn == "running", lambda: f"a running turn: {chat.left()}")
    os.kill(librarian, signal.SIGKILL)
    chat.settle()
    until(lambda: is_whole(library), lambda: f"{library.health()}")
    until(lambda: not is_alive(chroma), "the old Chroma to be gone")
    later.write(QUESTION)
    later.settle()

    chat.check(far_end)
    later.check(far_end)
    assert chat.reply()["mark"] == "handed_over"
    assert "30 days" in later.reply()["text"]
    assert member(server, " librarian ") != librarian


def test_without_chroma_keywords_answer_until_it_is_back(
    library: Deployment, server: Process, far_end: FarEnd
) -> None:
    """A customer who asks right after the kill is answered; then the index is whole again."""
    until(lambda: is_whole(library), lambda: f"{library.health()}")
    chroma, chat = member(server, "chroma"), Chat(library, "by-keywords")
    os.kill(chroma, signal.SIGKILL)
    chat.write(QUESTION)
    chat.settle()
    until(lambda: server.member("chroma") not in (None, chroma), "a new Chroma")
    until(lambda: is_whole(library), lambda: f"{library.health()}")
    report = check(library)

    chat.check(far_end)
    assert "30 days" in chat.reply()["text"]
    assert (report.wrong, report.rebuilt) == (0, False)


def test_an_index_that_was_deleted_costs_time_only(library: Deployment, server: Process) -> None:
    """It is noticed at the start, keywords answer meanwhile, and a rebuild embeds nothing."""
    before = ask_when_calibrated(library)
    server.kill()
    shutil.rmtree(library.folder / "index")
    again = library.serve()
    until(lambda: library.librarian_state().get("ready"), "the librarian")
    at_once = ask(library)
    until(lambda: is_whole(library), lambda: f"{library.health()}")
    rebuilt = library.run("kb", "check", "--rebuild", "--json")
    after = ask_when_calibrated(library)
    again.kill()
    report = json.loads(rebuilt.stdout.splitlines()[-1])

    assert "healthy=False" in again.log
    assert (rebuilt.returncode, report["healthy"], report["embedded"]) == (0, True, 0)
    assert before["action"] == "answer"
    assert at_once["citations"] == before["citations"]
    assert after == before


def ask(shop: Deployment) -> dict[str, Any]:
    """What `tandem ask --json` says, without what differs from one time to the next."""
    said = json.loads(shop.run("ask", QUESTION, "--json").stdout.splitlines()[-1])
    same = {name: said[name] for name in ("text", "action", "reasons", "citations")}
    return same | {"p": round(said["p"], 6)}  # calibrated anew, so the last digits differ


def ask_when_calibrated(shop: Deployment) -> dict[str, Any]:
    until(lambda: shop.librarian_state().get("settled"), "the calibration")
    return ask(shop)


def is_whole(shop: Deployment) -> bool:
    """Whether the gateway says so, who asks the librarian, who asks the index."""
    return set(shop.health().values()) == {"ok"}


def member(server: Process, word: str) -> int:
    return until(lambda: server.member(word), f"a process with {word!r}") or 0
