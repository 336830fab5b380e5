"""The console in a real browser: what an agent sees and does all day."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from sqlmodel import Session

from agent_inbox import auth
from gateway.states import State
from storage.database import Database
from tests.agent_inbox.bench import PASSWORD, Bench, ListKnowledge
from tests.browser.serving import Served
from tests.conftest import TurnedClock

pytestmark = pytest.mark.browser

STICKS_OUT = """() => [...document.querySelectorAll('main *')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => one.className)"""


class Console:
    """A served console, and pages that are signed in to it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.served = Served(bench.app)
        self.complaints: list[str] = []

    def start_again(self) -> None:
        """Another server on the same store and port, as after a restart."""
        port = self.served.port
        self.bench = Bench(self.bench.store.database, self.bench.clock)
        self.served = Served(self.bench.app)
        self.served.start(port=port)

    def open(self, page: Page, path: str = "") -> Page:
        """Go to a page of the console; what the browser complains of is kept."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.served.url}/console{path}")
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        refused = re.search(r"status of (4\d\d)", message.text)  # the tests refuse on purpose
        if message.type in ("error", "warning") and not refused:
            self.complaints.append(message.text)

    def sign_in(self, page: Page, name: str) -> Page:
        self.open(page)
        page.get_by_label("E-mail").fill(f"{name}@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("tab", name="Queue")).to_be_visible()
        return page

    def waits(self, text: str = "My parcel is late.", visitor: str = "v1") -> str:
        return self.served.do(self.bench.waits(text, visitor)).id

    def customer_reads(self, visitor: str = "v1") -> list[str]:
        return [item.text for item in self.served.do(self.bench.world.seen(visitor))]

    def state(self, visitor: str = "v1") -> str:
        return self.served.do(self.bench.world.conversation(visitor)).state


@pytest.fixture
def console(empty_sqlite: Path, tmp_path: Path, clock: TurnedClock) -> Iterator[Console]:
    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'gateway.sqlite')}")
    bench = Bench(database, clock, knowledge=ListKnowledge(steps=2))
    console = Console(bench)
    console.served.start()
    yield console
    console.served.do(_set(bench))
    console.served.stop()
    database.close()
    assert console.complaints == []


async def _set(bench: Bench) -> None:
    bench.stopping.set()


@pytest.fixture
def ana(console: Console, page: Page) -> Page:
    """Ana's screen: an admin, signed in."""
    console.served.do(console.bench.agent("Ana", role="admin"))
    return console.sign_in(page, "Ana")


def reply_box(page: Page):
    return page.get_by_role("textbox", name=re.compile("^Write to"))


def note_box(page: Page):
    return page.get_by_role("textbox", name=re.compile("^A note"))


def open_first(page: Page) -> None:
    page.locator(".row").first.click()
    expect(page.locator(".line").first).to_be_visible()


def test_the_first_admin_comes_in_by_the_printed_link(console: Console, page: Page):
    """The link asks who they are, refuses a weak password in words, and opens the queue."""

    def token(session: Session) -> str | None:
        return auth.first_run_token(session, now=console.bench.clock())

    link = console.served.do(console.bench.store.write(token))
    console.open(page, f"#/welcome/{link}")
    page.get_by_label("Name customers see").fill("Ana")
    page.get_by_label("E-mail").fill("ana@example.com")
    page.get_by_label(re.compile("^Password")).fill("password1234")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_have_text("This is one of the most common passwords.")
    page.get_by_label(re.compile("^Password")).fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_text("Nobody is waiting.")).to_be_visible()
    assert "welcome" not in page.url


def test_an_agent_claims_replies_and_hands_back(console: Console, ana: Page):
    """The whole round: the customer reads who joined, the answer, and what was agreed."""
    console.waits("Order A-20391 came damaged.")
    open_first(ana)
    expect(ana.locator(".card")).to_contain_text("A-20391")
    ana.get_by_role("button", name="Claim", exact=True).click()
    expect(ana.get_by_role("button", name="Release")).to_be_visible()
    reply_box(ana).fill("A new one is on its way.")
    reply_box(ana).press("Control+Enter")
    expect(ana.locator(".line.agent")).to_have_text(re.compile("A new one is on its way"))
    ana.get_by_role("button", name="Back to the bot").click()
    ana.get_by_label("What was agreed").fill("Replacement by Friday")
    ana.get_by_role("dialog").get_by_role("button", name="Back to the bot").click()
    expect(ana.get_by_role("log")).to_contain_text("Back with the bot")

    said = " ".join(console.customer_reads())
    assert "Ana has joined" in said
    assert "A new one is on its way." in said
    assert "Replacement by Friday" in said
    assert console.state() == State.BOT


def test_resolving_asks_how_it_ended(console: Console, ana: Page):
    """Two keys and a word: the case leaves the queue with its outcome."""
    console.waits()
    open_first(ana)
    ana.keyboard.press("c")
    expect(ana.get_by_role("button", name="Release")).to_be_visible()
    ana.keyboard.press("e")
    ana.get_by_label("Not solved").check()
    ana.get_by_label("Topic").fill("delivery")
    ana.get_by_role("dialog").get_by_role("button", name="Resolve").click()
    expect(ana.locator(".thread-head .chip.closed")).to_be_visible()

    case = console.served.do(console.bench.cases_of())[0]
    assert (case.outcome, case.topic) == ("unsolved", "delivery")
    expect(ana.get_by_text("Nobody is waiting.")).to_be_visible()


def test_a_note_cannot_be_sent_by_switching(console: Console, ana: Page):
    """Note and reply are two boxes: what stands in one is never in the other."""
    console.waits()
    open_first(ana)
    ana.keyboard.press("n")
    note_box(ana).fill("VIP, canary-77")
    ana.get_by_role("tab", name="Reply").click()

    expect(reply_box(ana)).to_have_value("")
    ana.get_by_role("tab", name="Note").click()
    expect(note_box(ana)).to_have_value("VIP, canary-77")
    note_box(ana).press("Control+Enter")
    expect(ana.locator(".line.note")).to_contain_text("only colleagues see this")
    assert all("canary-77" not in text for text in console.customer_reads())
    assert console.state() == State.WAITING


def test_what_the_customer_wrote_meanwhile_is_shown_before_sending(console: Console, ana: Page):
    """The reply waits, the new line is shown, and one press sends it after all."""
    console.waits()
    open_first(ana)
    reply_box(ana).fill("It will arrive on Monday.")
    # This screen hears nothing for a moment, as on a bad line.
    ana.route(re.compile(r"/api/conversations/[^/]+$"), lambda route: route.abort())
    console.complaints.clear()
    console.served.do(console.bench.says("I found it, thank you!"))
    reply_box(ana).press("Control+Enter")
    expect(ana.locator(".conflict")).to_contain_text("I found it, thank you!")
    expect(ana.locator(".line").last).to_be_in_viewport(ratio=0.9)
    assert "It will arrive on Monday." not in console.customer_reads()
    ana.unroute_all()
    ana.get_by_role("button", name="Send anyway").click()
    expect(ana.locator(".line.agent")).to_be_visible()
    expect(reply_box(ana)).to_have_value("")

    console.complaints = [one for one in console.complaints if "ERR_FAILED" not in one]
    assert console.customer_reads().count("It will arrive on Monday.") == 1


def test_two_agents_see_each_other(console: Console, ana: Page, browser: Browser):
    """A claim on one screen is on the other at once, with the name; so is the typing."""
    console.served.do(console.bench.agent("Ben"))
    other = browser.new_context(locale="en-US")
    ben = console.sign_in(other.new_page(), "Ben")
    console.waits()
    open_first(ana)
    open_first(ben)
    ana.keyboard.press("c")

    expect(ben.locator(".thread-head")).to_contain_text("With Ana", timeout=2_000)
    expect(ben.get_by_text("Nobody is waiting.")).to_be_visible(timeout=2_000)
    expect(ben.get_by_role("button", name="Take over and send")).to_be_visible()
    reply_box(ana).press_sequentially("One moment")
    expect(ben.locator(".typing")).to_have_text("Ana is typing…", timeout=2_000)
    other.close()


def test_new_conversations_and_lines_appear_by_themselves(console: Console, ana: Page):
    """Nobody presses reload in a queue."""
    expect(ana.get_by_text("Nobody is waiting.")).to_be_visible()
    console.waits("Where is my invoice?")
    expect(ana.locator(".row")).to_contain_text("Where is my invoice?")
    expect(ana).to_have_title("(1) Tandem")
    open_first(ana)
    console.served.do(console.bench.says("It is number 4711-22."))

    expect(ana.get_by_role("log")).to_contain_text("It is number 4711-22.")
    expect(ana.locator(".card")).to_contain_text("4711-22")


def test_the_list_is_walked_with_j_and_k(console: Console, ana: Page):
    """The next conversation opens without the mouse, and r writes to it."""
    for number in range(3):
        console.waits(f"Question {number}", f"v{number}")
        console.bench.clock.turn(minutes=1)
    expect(ana.locator(".row")).to_have_count(3)
    ana.keyboard.press("j")
    expect(ana.get_by_role("log")).to_contain_text("Question 0")
    ana.keyboard.press("j")
    expect(ana.get_by_role("log")).to_contain_text("Question 1")
    ana.keyboard.press("k")
    expect(ana.get_by_role("log")).to_contain_text("Question 0")
    ana.keyboard.press("r")
    ana.keyboard.type("jk stays text")

    expect(reply_box(ana)).to_have_value("jk stays text")


def test_a_draft_waits_for_its_conversation(console: Console, ana: Page):
    """Looking something up elsewhere loses nothing, and sends nothing to the wrong person."""
    console.waits("First", "v1")
    console.bench.clock.turn(minutes=1)
    console.waits("Second", "v2")
    expect(ana.locator(".row")).to_have_count(2)
    ana.locator(".row").nth(0).click()
    expect(ana.get_by_role("log")).to_contain_text("First")
    reply_box(ana).fill("For the first one")
    ana.locator(".row").nth(1).click()
    expect(ana.get_by_role("log")).to_contain_text("Second")

    expect(reply_box(ana)).to_have_value("")
    ana.locator(".row").nth(0).click()
    expect(reply_box(ana)).to_have_value("For the first one")


def test_what_customers_write_is_shown_as_text(console: Console, ana: Page):
    """Markup stays letters, and only web addresses become links."""
    hostile = '<img src=x onerror="document.title=1"> javascript:alert(1) https://example.com/a'
    console.waits(hostile)
    open_first(ana)

    expect(ana.locator(".line.customer .text")).to_have_text(hostile)
    assert ana.locator(".line.customer img").count() == 0
    links = ana.locator(".line.customer a").evaluate_all("all => all.map(a => [a.href, a.rel])")
    assert links == [["https://example.com/a", "noopener noreferrer"]]


def test_the_bots_answers_show_their_sources(console: Console, ana: Page):
    """An agent reads what the customer was told, and from where."""
    console.served.do(console.bench.world.ask("How do I return shoes?"))
    console.waits("That does not help.")
    open_first(ana)
    ana.get_by_text("Sources (1)").click()

    expect(ana.locator(".sources")).to_contain_text("30 days")
    expect(ana.locator(".sources")).to_contain_text("returns.md")


def test_documents_are_uploaded_followed_and_removed(console: Console, ana: Page):
    """Several at once, each with its progress; one that fails says why; a removed one is gone."""
    ana.get_by_role("link", name="Knowledge").click()
    expect(ana.get_by_text("No documents yet.")).to_be_visible()
    ana.locator("input[type=file]").set_input_files([
        {"name": "refunds.md", "mimeType": "text/markdown", "buffer": b"# Refunds\n\n30 days."},
        {"name": "broken.txt", "mimeType": "text/plain", "buffer": b"\x00\x01"},
        {"name": "empty.md", "mimeType": "text/markdown", "buffer": b" "},
    ])  # fmt: skip
    expect(ana.locator(".uploads")).to_contain_text("Indexing")
    row = ana.locator("tr", has_text="refunds.md")
    expect(row).to_contain_text("Live")
    expect(ana.locator("tr", has_text="broken.txt")).to_contain_text("this is not text")
    expect(ana.locator(".uploads .failed", has_text="empty.md")).to_contain_text(
        "the document is empty"
    )
    row.get_by_role("button", name="refunds").click()
    expect(ana.get_by_role("dialog")).to_contain_text("two headings have no text")
    expect(ana.get_by_role("dialog")).to_contain_text("Refunds are possible within 30 days")
    ana.keyboard.press("Escape")
    row.get_by_role("button", name="Remove").click()
    ana.get_by_role("dialog").get_by_role("button", name="Remove").click()

    expect(row).to_have_count(0)


def test_an_admin_adds_a_colleague_who_signs_in(console: Console, ana: Page, browser: Browser):
    """The link is shown once, and is all the colleague needs."""
    ana.get_by_role("link", name="Team").click()
    ana.get_by_role("button", name="Add somebody").click()
    ana.get_by_label("Name customers see").fill("Ben")
    ana.get_by_label("E-mail").fill("ben@example.com")
    ana.get_by_role("button", name="Add", exact=True).click()
    link = ana.locator(".address").input_value()
    other = browser.new_context(locale="en-US")
    ben = other.new_page()
    ben.goto(link)
    ben.get_by_label(re.compile("^Password")).fill(PASSWORD)
    ben.get_by_role("button", name="Continue").click()

    expect(ben.get_by_text("Nobody is waiting.")).to_be_visible()
    expect(ben.get_by_role("link", name="Team")).to_have_count(0)
    other.close()


def test_the_console_speaks_chinese(console: Console, ana: Page):
    """One switch, kept with the account; no word of it is missing in either language."""
    console.waits("我的包裹一直没到。")
    ana.get_by_role("link", name="Account").click()
    ana.get_by_label("Language of the console").select_option("zh")
    ana.get_by_role("button", name="Save").click()
    ana.get_by_role("link", name="收件箱").click()
    open_first(ana)
    ana.reload()

    expect(ana.get_by_role("button", name="认领", exact=True)).to_be_visible()
    expect(ana.locator(".card")).to_contain_text("客户诉求")
    missing = ana.evaluate("import('/console/words.js').then((words) => words.missingWords())")
    assert missing == []
    assert ana.evaluate("document.documentElement.lang") == "zh-CN"


@pytest.mark.parametrize("width", [360, 760, 1_024, 1_440, 2_560])
def test_nothing_sticks_out_on_any_screen(console: Console, ana: Page, width: int):
    """From a phone to a wall: no sideways scrolling, and the reply box is in reach."""
    console.waits("A" * 300)
    ana.set_viewport_size({"width": width, "height": 740})
    for page in ("#/inbox/queue", "#/knowledge", "#/team", "#/account"):
        ana.goto(f"{console.served.url}/console{page}")
        expect(ana.locator("main")).to_be_visible()
        assert ana.evaluate("document.documentElement.scrollWidth") <= width
    ana.goto(f"{console.served.url}/console#/inbox/queue")
    open_first(ana)

    expect(reply_box(ana)).to_be_in_viewport()
    expect(ana.locator("[data-verb=claim]")).to_be_in_viewport()
    assert ana.evaluate(STICKS_OUT) == []


def test_a_screen_survives_a_restart_of_the_server(console: Console, ana: Page):
    """After a restart of the server the screen catches up by itself, still signed in."""
    console.waits("First")
    expect(ana.locator(".row")).to_have_count(1)
    expect(ana.get_by_text("Connection lost")).not_to_be_visible()
    console.served.stop()
    expect(ana.get_by_text("Connection lost")).to_be_visible()
    console.start_again()
    console.bench.clock.turn(minutes=1)
    console.waits("Second", "v2")

    expect(ana.locator(".row")).to_have_count(2, timeout=20_000)
    expect(ana.get_by_text("Connection lost")).not_to_be_visible()
    console.complaints = [one for one in console.complaints if "ERR_" not in one]
    console.complaints = [one for one in console.complaints if "WebSocket" not in one]


def test_signing_out_ends_it(console: Console, ana: Page):
    """The sign-in page comes, and back does not show the inbox again."""
    ana.get_by_role("button", name="Sign out").click()
    expect(ana.get_by_label("Password")).to_be_visible()
    ana.go_back()

    expect(ana.get_by_label("Password")).to_be_visible()
