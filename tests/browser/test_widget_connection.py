"""The widget when things break: offline, restarts, reloads, blocked sockets and storage."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from storage.database import Database
from tests.browser.serving import Served
from tests.browser.widget import Widget
from tests.channels.site import Site
from tests.conftest import TurnedClock

pytestmark = pytest.mark.browser

NO_SOCKETS = "window.WebSocket = class { constructor() { throw new Error('blocked'); } };"
NO_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("blocked", "SecurityError"); } });"""


def test_what_is_written_offline_is_sent_later_once(
    context: BrowserContext, page: Page, served: Served
):
    """The line waits in sight, with the reason; back online it goes out by itself."""
    widget = Widget(page, served).open()
    widget.ask("first")
    context.set_offline(True)
    widget.say("second")
    widget.say("third")
    expect(widget.waiting()).to_have_count(2)
    expect(widget.note).to_contain_text("You are offline")
    context.set_offline(False)

    expect(widget.waiting()).to_have_count(0)
    expect(widget.rows("customer")).to_have_count(3)
    assert widget.texts("customer") == ["first", "second", "third"]
    expect(widget.note).to_be_hidden()


def test_an_unsent_message_survives_the_page(context: BrowserContext, page: Page, served: Served):
    """Written offline, the tab is closed; the next visit sends it."""
    widget = Widget(page, served).open()
    widget.ask("first")
    context.set_offline(True)
    widget.say("second")
    expect(widget.waiting()).to_have_count(1)
    page.close()
    context.set_offline(False)
    again = Widget(context.new_page(), served).open()

    expect(again.rows("customer")).to_have_count(2)
    assert again.texts("customer") == ["first", "second"]


def test_a_reload_shows_the_same_conversation(page: Page, served: Served):
    """Everything is there again, once, in order."""
    widget = Widget(page, served).open()
    widget.ask("first")
    widget.ask("second")
    before = widget.texts()
    page.reload()

    expect(widget.rows()).to_have_count(4)
    assert widget.texts() == before


def test_a_lost_answer_does_not_double_a_message(page: Page, served: Served):
    """The server took it, the response never came: the repeat is the same message."""
    lost: list[str] = []

    def lose(route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().text())
            route.abort()

    page.route("**/chat/messages", lose)
    widget = Widget(page, served).open()
    widget.ask("only once")
    expect(widget.waiting()).to_have_count(0)

    assert len(lost) == 1
    assert widget.texts("customer") == ["only once"]


def test_two_tabs_show_one_conversation(context: BrowserContext, page: Page, served: Served):
    """What one tab sends, the other shows."""
    one = Widget(page, served).open()
    one.ask("from one")
    two = Widget(context.new_page(), served).open()
    expect(two.rows("customer")).to_have_count(1)
    two.say("from two")

    expect(one.rows("customer")).to_have_count(2)
    assert one.texts("customer") == ["from one", "from two"]


def test_a_restart_of_the_server_is_caught_up_with(
    page: Page, served: Served, site: Site, clock: TurnedClock
):
    """The socket breaks, the widget comes back by itself and shows what it missed, once."""
    widget = Widget(page, served).open()
    widget.ask("a question")
    widget.say("a person, please")
    served.do(site.claim())
    expect(widget.status).to_have_text("You are talking to Ana")
    served.stop()
    again = Site(Database(site.world.store.database.url), clock)
    replaced = Served(again.app, again.stopping)
    replaced.start(port=served.port)
    replaced.do(again.say("while you were away"))

    expect(widget.rows("agent")).to_have_text([re.compile("while you were away")], timeout=30_000)
    widget.say("I am back")
    expect(widget.rows("customer")).to_have_count(3)
    replaced.stop()
    again.world.store.database.close()


def test_it_works_where_sockets_are_blocked(page: Page, served: Served, site: Site):
    """Long polling takes over: question, answer, agent."""
    page.add_init_script(NO_SOCKETS)
    widget = Widget(page, served).open()
    widget.ask("a question")
    widget.say("a person, please")
    served.do(site.claim())
    served.do(site.say("Hello by poll"))

    expect(widget.rows("agent")).to_contain_text("Hello by poll", timeout=20_000)
    expect(widget.status).to_have_text("You are talking to Ana")
    assert widget.texts("customer") == ["a question", "a person, please"]
    assert widget.errors == []


def test_it_works_where_storage_is_blocked(page: Page, served: Served):
    """The conversation lives as long as the page, and the customer is told so."""
    page.add_init_script(NO_STORAGE)
    widget = Widget(page, served).open()
    expect(widget.note).to_contain_text("keeps no data")
    widget.ask("a question")

    assert widget.texts("customer") == ["a question"]
    assert widget.errors == []


def test_an_expired_token_starts_anew_and_says_so(page: Page, served: Served, site: Site):
    """The old lines go, what is written now goes to the new session."""
    widget = Widget(page, served).open()
    widget.ask("old")
    served.do(site.revoke())
    widget.say("new")
    expect(widget.rows("bot")).to_have_count(1)

    expect(widget.rows("customer")).to_have_count(1)
    assert widget.texts("customer") == ["new"]


@pytest.fixture
def busy(empty_sqlite, tmp_path, clock: TurnedClock) -> Iterator[Served]:
    """A chat that takes two messages a minute."""
    import shutil

    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'busy.sqlite')}")
    site = Site(database, clock, messages_per_minute=2)
    served = Served(site.app, site.stopping)
    served.start()
    yield served
    served.stop()
    database.close()


def test_too_many_messages_wait_instead_of_getting_lost(page: Page, busy: Served):
    """The third is kept and shown as waiting."""
    widget = Widget(page, busy).open()
    for text in ("one", "two", "three"):
        widget.say(text)
    expect(widget.rows("customer")).to_have_count(2)

    expect(widget.waiting()).to_have_count(1)
    expect(widget.waiting()).to_contain_text("three")


def test_a_refused_message_says_why(page: Page, served: Served):
    """Not silently dropped: the reason in words, and a way to try again."""
    page.route("**/chat/messages", lambda route: route.fulfill(
        status=422, content_type="application/problem+json",
        body='{"type":"urn:tandem:invalid","title":"Not valid","detail":"That is too odd."}',
    ))  # fmt: skip
    widget = Widget(page, served).open()
    widget.say("odd")
    expect(widget.waiting()).to_contain_text("Not sent: That is too odd.")
    page.unroute("**/chat/messages")
    widget.choose("Send again")

    expect(widget.rows("bot")).to_have_count(1)
    assert widget.texts("customer") == ["odd"]
