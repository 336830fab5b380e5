"""The main job on the real product: its own processes, its own embedder, a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.process.server import Deployment, Process, deployed, until

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.torch, pytest.mark.timeout(300)]

PASSWORD = "a long enough one for ana"
WARRANTY = """# Warranty of the Albatross kite

## How long does the warranty last?

The warranty of the Albatross kite lasts 27 months from the day of delivery. It covers torn seams
and broken rods, but not damage by power lines.
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Process]]:
    """`tandem serve` as `make run` starts it, with the sample knowledge taken in."""
    folder = tmp_path_factory.mktemp("product")
    with deployed(folder, RAG__EMBEDDER__KIND="sentence", RAG__SAMPLE="true") as deployment:
        process = deployment.serve()
        until(lambda: "The bot is ready." in process.log, "the bot to be ready", within_s=200)
        yield deployment, process


@pytest.fixture
def customer(product: tuple[Deployment, Process], browser: Browser) -> Iterator[Page]:
    """The demo page with its chat, in English."""
    with browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(product[0].url)
        yield page


@pytest.fixture(scope="module")
def agent(product: tuple[Deployment, Process], browser: Browser) -> Iterator[Page]:
    """Ana's console: she has become the admin by the link that the server printed."""
    with browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900}) as context:
        context.set_default_timeout(30_000)
        page = context.new_page()
        printed = re.search(r"become the admin at (\S+)", product[1].log)
        assert printed
        page.goto(printed.group(1))
        page.get_by_label("Name customers see").fill("Ana")
        page.get_by_label("E-mail").fill("ana@example.com")
        page.get_by_label(re.compile("^Password")).fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("tab", name="Queue")).to_be_visible()
        yield page


def ask(page: Page, text: str) -> None:
    page.get_by_role("textbox").fill(text)
    page.keyboard.press("Enter")


def chat(page: Page) -> Locator:
    return page.get_by_role("log")


def test_upload_ask_person_and_back(customer: Page, agent: Page, tmp_path: Path) -> None:
    """A document is uploaded and cited; a person is asked for, answers, hands back; the bot goes
    on."""
    document = tmp_path / "warranty.md"
    document.write_text(WARRANTY)
    agent.get_by_role("link", name="Knowledge").click()
    agent.locator("input[type=file]").set_input_files(document)
    expect(agent.get_by_text("warranty.md").first).to_be_visible()
    row = agent.locator("tr, li, .source, .document").filter(has_text="warranty.md").first
    expect(row).to_contain_text(re.compile("live", re.IGNORECASE), timeout=60_000)

    ask(customer, "How long does the warranty of the Albatross kite last?")
    expect(chat(customer)).to_contain_text("27 months")
    customer.locator("details.source summary").first.click()
    expect(customer.locator("details.source blockquote").first).to_contain_text("27 months")

    ask(customer, "a person, please")
    expect(chat(customer)).to_contain_text("number 1 in line")

    agent.get_by_role("link", name="Inbox").click()
    agent.get_by_role("tab", name="Queue").click()
    agent.locator(".row").first.click()
    expect(agent.get_by_role("log")).to_contain_text("27 months")
    agent.get_by_role("button", name="Claim", exact=True).click()
    expect(chat(customer)).to_contain_text("Ana has joined")
    agent.get_by_role("textbox", name=re.compile("^Write to")).fill(
        "I am Ana. A new rod is coming."
    )
    agent.keyboard.press("Control+Enter")
    expect(chat(customer)).to_contain_text("A new rod is coming.")

    agent.get_by_role("button", name="Back to the bot").click()
    agent.get_by_role("dialog").get_by_role("button", name="Back to the bot").click()
    expect(chat(customer)).to_contain_text("handed the conversation back to the bot")
    ask(customer, "Does the warranty cover broken rods?")
    expect(chat(customer)).to_contain_text("torn seams")


@pytest.mark.parametrize(
    ("question", "says", "quotes"),
    [
        ("How do I hand a conversation back to the bot?", "Back to the bot", "Back to the bot"),
        ("如何转人工?", "转人工", "转人工"),
    ],
)
def test_the_manual_is_answered_from_with_a_quote(
    customer: Page, question: str, says: str, quotes: str
) -> None:
    """The sample knowledge answers in both languages, and shows where it stands."""
    ask(customer, question)
    source = customer.locator("details.source").first
    source.locator("summary").click()

    expect(chat(customer)).to_contain_text(says)
    expect(source.locator("blockquote")).to_contain_text(quotes)


def test_what_is_not_in_the_documents_is_declined_with_an_offer(customer: Page) -> None:
    """The capital of Peru is not ours to know; a person is offered, not forced."""
    ask(customer, "What is the capital of Peru?")

    expect(chat(customer)).to_contain_text("outside what I know")
    expect(customer.locator('[data-action="human"]').last).to_be_visible()
