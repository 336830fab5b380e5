"""Why the bot said a line, and the model's three lines on the card, as an agent sees them."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from agent_inbox.summaries import Summaries
from rag.types import Point, Summary
from storage.database import Database
from tests.agent_inbox.bench import Bench
from tests.agent_inbox.test_summaries import ScriptedLibrarian
from tests.browser.test_console import Console
from tests.conftest import TurnedClock
from tests.gateway.world import answered
from tests.rag.test_service import EXPLANATION

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> wants 30 days"


@pytest.fixture
def librarian() -> ScriptedLibrarian:
    return ScriptedLibrarian()


@pytest.fixture
def console(
    empty_sqlite: Path, tmp_path: Path, clock: TurnedClock, librarian: ScriptedLibrarian
) -> Iterator[Console]:
    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'gateway.sqlite')}")
    console = Console(Bench(database, clock, librarian=librarian))
    console.served.start()
    yield console
    console.served.do(_end(console.bench))
    console.served.stop()
    database.close()
    assert console.complaints == []


async def _end(bench: Bench) -> None:
    bench.stopping.set()


def asked(console: Console) -> str:
    """A customer was answered by the bot; the conversation's id."""
    world = console.bench.world
    world.answerer.reply = lambda _: replace(answered(), record_id=EXPLANATION.record_id)
    console.served.do(world.ask("How long can I return it?"))
    return console.served.do(world.conversation()).id


@pytest.mark.parametrize(
    ("language", "why", "writer", "replay"),
    [
        ("en", "Why?", "the language model, from these passages", "Ask again"),
        ("zh", "为什么？", "语言模型，依据以下段落", "用今天的文档再问一次"),
    ],
)
def test_an_agent_asks_why_the_bot_said_it(
    console: Console, page: Page, language: str, why: str, writer: str, replay: str
):
    """Decision, passages, model and cost in words, and what today would be otherwise."""
    console.served.do(console.bench.agent("Ana", language=language))  # pyright: ignore[reportArgumentType]
    conversation = asked(console)
    console.sign_in(page, "Ana") if language == "en" else sign_in_chinese(console, page)
    page.goto(f"{console.served.url}/console#/inbox/all/{conversation}")
    page.get_by_role("button", name=why, exact=True).click()
    dialog = page.get_by_role("dialog")

    expect(dialog).to_contain_text("0.90")
    expect(dialog).to_contain_text(writer)
    expect(dialog).to_contain_text("a.md")
    expect(dialog).to_contain_text("answer/zh/1")
    dialog.get_by_role("button", name=replay).click()
    expect(dialog).to_contain_text("p: 0.90 → 0.40")


def sign_in_chinese(console: Console, page: Page) -> None:
    console.open(page)
    page.locator("input[type=email], input[name=email]").fill("Ana@example.com")
    page.locator("input[type=password]").fill("seven green bicycles")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab").first).to_be_visible()


def test_the_card_shows_the_model_s_three_lines_as_text(
    console: Console, page: Page, librarian: ScriptedLibrarian
):
    """Each leads to its message; whatever they say, they are text and nothing else."""
    librarian.says = Summary(wants=Point(HOSTILE, (1,)), facts=Point("the parcel is late", (1,)))
    console.served.do(console.bench.agent("Ana"))
    console.waits("My parcel is late.")
    console.served.do(Summaries(console.bench.store, librarian).catch_up())
    console.sign_in(page, "Ana")
    page.locator(".row").first.click()
    summary = page.locator(".summary")

    expect(summary).to_contain_text(HOSTILE)
    expect(summary).to_contain_text("Facts")
    expect(summary.locator("img")).to_have_count(0)
    summary.get_by_role("button", name="#1").first.click()
    expect(page.locator('[data-seq="1"].flash')).to_be_visible()
