"""A model behind `TANDEM_MODEL__URL`, seen from a browser: the words come as they are written."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fakes.llm import FakeModel, Reply, failed
from tests.fakes.llm.beside import ModelBeside, beside
from tests.process.documents import RETURNS
from tests.process.server import Deployment, Process, deployed, until

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(200)]

KEY = "sk-a-key-of-the-service-0123456789"
QUESTION = "How long can I return a lamp?"
FIRST, REST = "You can return a lamp within 30 days [1].", " It goes back in its box [1]."


@pytest.fixture(scope="module")
def model() -> Iterator[ModelBeside]:
    with beside(FakeModel(key=KEY)) as running:
        yield running


@pytest.fixture(scope="module")
def shop(
    model: ModelBeside, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, Process]]:
    """`tandem serve` with the address of a model, and one document."""
    folder = tmp_path_factory.mktemp("shop")
    settings = {"MODEL__URL": model.url, "MODEL__KEY": KEY, "LOGGING__LEVEL": "debug"}
    with deployed(folder, RAG__INDEX__KIND="memory", **settings) as deployment:
        process = deployment.serve()
        until(lambda: deployment.librarian_state().get("ready"), "the librarian to be ready")
        take_in(deployment)
        yield deployment, process


@pytest.fixture
def page(browser: Browser, shop: tuple[Deployment, Process]) -> Iterator[Page]:
    """A customer's chat, new for each test."""
    with browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(shop[0].url)
        page.locator("tandem-chat textarea").wait_for()
        yield page


def take_in(deployment: Deployment) -> None:
    (deployment.folder / "returns.md").write_bytes(RETURNS)
    added = deployment.run("kb", "add", str(deployment.folder / "returns.md"))
    assert added.returncode == 0, added.stderr


def ask(page: Page, text: str) -> None:
    page.locator("tandem-chat textarea").fill(text)
    page.keyboard.press("Enter")


def test_the_answer_is_read_while_it_is_written(page: Page, model: ModelBeside) -> None:
    """The first sentence stands there before the model has said the second; then the whole, with
    its source."""
    gate = asyncio.Event()
    model.model.then(Reply(FIRST + REST, halts_for=gate, after_chunks=(len(FIRST) // 6) + 3))
    ask(page, QUESTION)
    draft = page.locator("tandem-chat .row.bot:has([aria-hidden=true])")

    expect(draft).to_contain_text("You can return a lamp within 30 days")
    expect(draft).not_to_contain_text("It goes back")
    assert page.locator("tandem-chat .items .row.bot .text").count() == 0

    model.let(gate)
    expect(page.locator("tandem-chat .items .row.bot .text")).to_contain_text(
        "It goes back in its box"
    )
    expect(draft).to_be_hidden()
    page.locator("tandem-chat details.source summary").click()
    expect(page.locator("tandem-chat details.source blockquote")).to_contain_text("30 days")


def test_an_invented_number_is_never_on_the_screen(page: Page, model: ModelBeside) -> None:
    """What the document says stands there instead, in its own words."""
    seen: list[str] = []
    page.expose_function("saw", lambda text: seen.append(text))  # noqa: PLW0108 - no builtin
    page.evaluate(
        """() => new MutationObserver(() =>
            window.saw(document.querySelector("tandem-chat").shadowRoot.textContent)
        ).observe(document.querySelector("tandem-chat").shadowRoot,
                  {subtree: true, childList: true, characterData: true})"""
    )
    model.model.then(Reply(FIRST.replace("30", "99") + REST))
    ask(page, QUESTION)

    expect(page.locator("tandem-chat .items .row.bot .text")).to_contain_text("within 30 days")
    assert seen
    assert not any("99" in text for text in seen)


def test_a_line_is_explained_by_its_message(
    page: Page, model: ModelBeside, shop: tuple[Deployment, Process]
) -> None:
    """`tandem explain MESSAGE` beside the running server: who wrote it, and what that cost."""
    model.model.then(Reply(FIRST + REST))
    ask(page, QUESTION)
    expect(page.locator("tandem-chat .items .row.bot .text")).to_contain_text(
        "It goes back in its box"
    )
    [line] = shop[0].rows(
        "SELECT id FROM message WHERE author = 'bot' ORDER BY created_at DESC, seq DESC LIMIT 1"
    )
    told = shop[0].run("explain", line["id"])

    assert told.returncode == 0, told.stderr
    assert "Written by  model" in told.stdout, told.stdout
    assert "answer/en/1" in told.stdout


def test_a_gateway_that_is_killed_while_the_bot_writes_starts_again_in_words(
    browser: Browser, model: ModelBeside, tmp_path: Path
) -> None:
    """The half text gives way to "starting again", then the whole answer stands there, once."""
    never, gate = asyncio.Event(), asyncio.Event()
    half = Reply(FIRST + REST, halts_for=never, after_chunks=(len(FIRST) // 6) + 3)
    settings = {
        "MODEL__URL": model.url, "MODEL__KEY": KEY, "RAG__INDEX__KIND": "memory",
        "MODEL__FIRST_TOKEN_WAIT_S": "40",
    }  # fmt: skip
    with deployed(tmp_path / "shop", **settings) as shop, browser.new_context() as context:
        shop.librarian()
        gateway = shop.gateway()
        take_in(shop)
        page = context.new_page()
        page.goto(shop.url)
        page.locator("tandem-chat textarea").wait_for()
        draft = page.locator("tandem-chat .row.bot:has([aria-hidden=true])")
        model.model.then(half)
        ask(page, QUESTION)
        expect(draft).to_contain_text("You can return a lamp within 30 days", timeout=30_000)
        model.model.then(Reply(FIRST + REST, waits_for=gate))
        gateway.kill()
        shop.gateway()
        # The widget may be slow to come back: the words are there while the model is waited for.
        expect(draft).to_contain_text("starting again", timeout=60_000)
        model.let(gate)

        answer = page.locator("tandem-chat .items .row.bot .text")
        expect(answer).to_contain_text("It goes back", timeout=30_000)
        expect(answer).to_have_count(1)


def test_without_the_model_the_bot_quotes(page: Page, model: ModelBeside) -> None:
    """The service is down: the customer gets an answer all the same."""
    model.model.faults.plan("chat", failed(), failed(), failed())
    ask(page, QUESTION)

    expect(page.locator("tandem-chat .items .row.bot .text")).to_contain_text("within 30 days")


def test_the_key_is_in_no_log_and_no_store(shop: tuple[Deployment, Process]) -> None:
    """Not in what any process printed, nor in a file of the data folder."""
    folder = shop[0].folder
    holders = [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes()
    ]

    assert shop[1].log
    assert holders == []
