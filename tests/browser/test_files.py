"""Files in real browsers: from the console to the widget and back, the same bytes."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from agent_inbox import auth
from agent_inbox.auth import NewAgent, Passwords
from agent_inbox.console import ConsoleSettings, build_console
from agent_inbox.desk import Cases, Desk
from agent_inbox.people import People
from gateway.attachments import Attachments
from gateway.errors import Ambiguous, Blocked
from storage.database import Database
from tests.agent_inbox.bench import PASSWORD, ForgetfulLibrarian, ListKnowledge
from tests.browser.serving import Served
from tests.browser.widget import Widget
from tests.channels.site import Site
from tests.conftest import TurnedClock

pytestmark = pytest.mark.browser

# A red dot that every browser can draw.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154"
    "789c63f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082"
)


@dataclass
class Office:
    """Chat and console on one store, as `tandem serve` has them."""

    site: Site
    served: Served

    def opened(self, page: Page, language: str = "en") -> Page:
        """Ana's console."""
        page.goto(f"{self.served.url}/console")
        page.get_by_label("E-mail").fill("ana@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".tabs")).to_be_visible()
        return page


@pytest.fixture
def office(empty_sqlite: Path, tmp_path: Path, clock: TurnedClock) -> Iterator[Office]:
    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'gateway.sqlite')}")
    site = Site(database, clock)
    world = site.world
    world.conversations.inbox = Cases(clock)
    passwords = Passwords(time_cost=1, memory_kib=64)
    console = build_console(
        store=world.store, desk=Desk(world.store, world.conversations, clock),
        people=People(world.store, world.links), knowledge=ListKnowledge(), clock=clock,
        stopping=site.stopping, passwords=passwords, librarian=ForgetfulLibrarian(),
        attachments=Attachments(world.store, site.parts.files, clock, world.channels),
        settings=ConsoleSettings(),
    )  # fmt: skip
    for router in console:
        site.app.register(router)
    served = Served(site.app, site.stopping)
    served.start()
    served.do(_hire(site, passwords))
    yield Office(site, served)
    served.stop()
    database.close()


async def _hire(site: Site, passwords: Passwords) -> None:
    hashed = await passwords.hash(PASSWORD)
    new = NewAgent(email="ana@example.com", name="Ana", role="admin", language="en")

    def work(session) -> None:
        added = auth.add_agent(session, new, now=site.world.clock())
        auth.accept(session, added.token, hashed, new=None, now=site.world.clock())

    await site.world.store.write(work)


@pytest.fixture
def ana(office: Office, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    yield office.opened(context.new_page())
    context.close()


def open_first(page: Page) -> None:
    page.locator(".row").first.click()
    expect(page.locator(".line").first).to_be_visible()


def saved(page: Page, link: Locator) -> tuple[str, bytes]:
    """The name and the bytes that the browser puts on disk."""
    with page.expect_download() as started:
        link.click()
    path = started.value.path()
    return started.value.suggested_filename, path.read_bytes()


def test_an_agents_file_arrives_at_the_customer(office: Office, ana: Page, page: Page):
    """Chosen in the console, a chip in the widget; what is saved there are the same bytes."""
    content = bytes(range(256)) * 500
    widget = Widget(page, office.served).open()
    widget.say("a person, please")
    expect(widget.status).to_contain_text("number 1")
    open_first(ana)
    ana.locator(".composer input[type=file]").set_input_files(
        [{"name": "发票 <b>.pdf", "mimeType": "application/pdf", "buffer": content}]
    )
    expect(ana.locator(".tray .file")).to_have_count(1)
    expect(ana.locator(".tray progress")).to_have_count(0)
    ana.get_by_role("button", name="Claim and send").click()
    expect(ana.locator(".line.agent .file")).to_contain_text("128 KB")
    chip = widget.rows("agent").locator(".file")
    expect(chip).to_contain_text("128 KB")
    name, there = saved(page, chip)
    _, here = saved(ana, ana.locator(".line.agent a.file"))

    assert name == "发票 _b_.pdf"
    assert there == here == content
    assert widget.errors == []


def test_a_customers_files_arrive_at_the_agent(office: Office, ana: Page, page: Page):
    """Two at once with words; the agent sees the picture after a press, and saves the other."""
    widget = Widget(page, office.served).open()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files(
        [
            {"name": "broken.png", "mimeType": "image/png", "buffer": PNG},
            {"name": "bill.txt", "mimeType": "text/plain", "buffer": b"42 EUR"},
        ]
    )
    expect(page.locator("tandem-chat .tray .file")).to_have_count(2)
    expect(page.locator("tandem-chat .tray progress")).to_have_count(0)
    widget.say("It came broken. A person, please")
    expect(widget.rows("customer").locator(".file")).to_have_count(2)
    open_first(ana)
    line = ana.locator(".line.customer")
    expect(line.locator("a.file")).to_have_count(2)
    expect(line.locator("img")).to_have_count(0)
    line.get_by_role("button", name="Show").click()
    expect(line.locator("img")).to_be_visible()
    assert line.locator("img").evaluate("(image) => image.naturalWidth") == 1

    assert saved(ana, line.locator("a.file").nth(1)) == ("bill.txt", b"42 EUR")
    assert saved(page, widget.rows("customer").locator(".file").first) == ("broken.png", PNG)
    assert widget.errors == []


def test_a_file_alone_is_a_message(office: Office, ana: Page, page: Page):
    """No words are needed; the words that stand for it are not shown where the file is."""
    widget = Widget(page, office.served).open()
    page.get_by_role("button", name="Attach files").click()
    page.locator("tandem-chat input[type=file]").set_input_files(
        [{"name": "broken.png", "mimeType": "image/png", "buffer": PNG}]
    )
    expect(page.locator("tandem-chat .send")).to_be_enabled()
    page.locator("tandem-chat .send").click()
    expect(widget.rows("customer").locator(".file")).to_contain_text("broken.png")
    open_first(ana)

    expect(ana.locator(".line.customer")).to_contain_text("broken.png")
    expect(ana.locator(".line.customer")).not_to_contain_text("[photo]")
    expect(widget.rows("customer").locator(".text")).to_be_hidden()
    expect(ana.locator(".card .quotes")).to_contain_text("broken.png")


def test_the_limits_are_said_before_anything_is_sent(office: Office, page: Page):
    """Empty, too large, one too many: words at once, in the reader's language."""
    widget = Widget(page, office.served, language="zh").open()
    page.get_by_role("button", name="添加文件").click()
    picker, trouble = page.locator("tandem-chat input[type=file]"), page.locator(".trouble")
    picker.set_input_files([{"name": "a.txt", "mimeType": "text/plain", "buffer": b""}])
    expect(trouble).to_have_text("a.txt 为空或超过 20 MB。")
    one: FilePayload = {"name": "b.txt", "mimeType": "text/plain", "buffer": b"x"}
    picker.set_input_files([one] * 11)
    expect(trouble).to_have_text("一条消息最多 10 个文件。")
    expect(page.locator("tandem-chat .tray .file")).to_have_count(10)
    expect(page.locator("tandem-chat .tray progress")).to_have_count(0)
    page.context.set_offline(True)
    expect(widget.note).to_contain_text("您已离线")
    page.context.set_offline(False)
    expect(widget.note).to_be_hidden()
    expect(trouble).to_have_text("一条消息最多 10 个文件。")
    page.get_by_role("button", name="移除 b.txt").first.click()

    expect(page.locator("tandem-chat .tray .file")).to_have_count(9)
    assert widget.errors == []


def test_a_note_takes_no_files(office: Office, ana: Page, page: Page):
    """What is chosen for a reply stays with the reply; the note's box has no clip."""
    widget = Widget(page, office.served).open()
    widget.say("a person, please")
    expect(widget.status).to_contain_text("number 1")
    open_first(ana)
    ana.locator(".composer input[type=file]").set_input_files(
        [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"}]
    )
    expect(ana.locator(".tray .file")).to_have_count(1)
    ana.get_by_role("tab", name="Note").click()

    expect(ana.get_by_role("button", name="Attach files")).to_be_hidden()
    expect(ana.locator(".tray")).to_be_hidden()
    ana.get_by_role("tab", name="Reply").click()
    expect(ana.locator(".tray .file")).to_have_count(1)


def test_files_are_reached_by_keyboard(office: Office, page: Page):
    """The clip, the remove button and the chip are buttons with names."""
    widget = Widget(page, office.served).open()
    widget.input.focus()
    page.keyboard.press("Shift+Tab")
    clip = page.evaluate("document.querySelector('tandem-chat').shadowRoot.activeElement.ariaLabel")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([{"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"}])
    expect(page.locator("tandem-chat .send")).to_be_enabled()
    page.keyboard.type("Look")
    page.keyboard.press("Enter")
    chip = widget.rows("customer").locator(".file")
    expect(chip).to_be_visible()
    chip.focus()
    with page.expect_download() as started:
        page.keyboard.press("Enter")

    assert clip == "Attach files"
    assert started.value.suggested_filename == "a.txt"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Ambiguous("cut"), "may not have arrived"),
        (Blocked("the customer blocked the bot"), "not delivered: the customer blocked the bot"),
    ],
)
def test_what_was_lost_is_sent_again_by_a_press(
    office: Office, ana: Page, error: Exception, words: str
):
    """The line says what became of it and why; Resend sends it once."""
    world = office.site.world

    async def lose() -> None:
        await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
        await world.worker.settle()
        world.memory.sent.clear()

    office.served.do(lose())
    open_first(ana)
    ana.get_by_role("button", name="Claim", exact=True).click()
    expect(ana.get_by_role("button", name="Release")).to_be_visible()
    office.served.do(world.outbox.drain())
    world.memory.sent.clear()
    world.memory.fail_next(error)  # pyright: ignore[reportArgumentType]
    ana.get_by_role("textbox", name="Write to").fill("Your parcel is here.")
    ana.keyboard.press("Control+Enter")
    expect(ana.locator(".line.agent")).to_be_visible()
    office.served.do(world.outbox.drain())
    state = ana.locator(".line.agent .delivery")
    expect(state).to_contain_text(words)
    ana.get_by_role("button", name="Resend").click()
    expect(state).to_contain_text("on its way")
    office.served.do(world.outbox.drain())

    assert world.memory.texts() == ["Your parcel is here."]
