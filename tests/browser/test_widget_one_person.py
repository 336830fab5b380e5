"""The widget in Chromium, for a person who writes elsewhere, too."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from storage.database import Database
from tests.browser.serving import Served
from tests.browser.widget import Widget
from tests.channels.identities import SECRET, token
from tests.channels.site import Site
from tests.conftest import TurnedClock

pytestmark = pytest.mark.browser


@pytest.fixture
def site(empty_sqlite: Path, tmp_path: Path, clock: TurnedClock) -> Iterator[Site]:
    """A web chat that trusts a shop's signature, and can be entered by a link."""
    import shutil

    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'gateway.sqlite')}")
    yield Site(database, clock, identity_secret=SECRET, page_url="http://page.example/")
    database.close()


async def write_elsewhere(site: Site, **fields: Any) -> None:
    await site.world.ingress.store(site.world.memory.event_of(**fields))
    await site.world.worker.settle()
    await site.world.outbox.drain()


def a_code(site: Site, served: Served) -> str:
    """Somebody writes elsewhere and wants to go on in the web; the code of their link."""
    served.do(write_elsewhere(site, chat="c1", text="How long do I have?"))
    served.do(write_elsewhere(site, chat="c1", text="/web"))
    found = re.search(r"tandem=([\w-]+)", site.world.memory.texts()[-1])
    assert found is not None
    return found[1]


def test_a_link_from_elsewhere_goes_on_with_that_conversation(
    page: Page, served: Served, site: Site
) -> None:
    """Asked first, then everything is there once, and the code is gone from the address."""
    widget = Widget(page, served)
    widget.url += f"&tandem={a_code(site, served)}"
    widget.open()
    expect(widget.rows()).to_have_count(0)
    page.get_by_role("button", name="Go on here").click()
    expect(widget.rows("system").last).to_contain_text("We go on in the chat on our website")
    widget.ask("And by post?")

    assert widget.texts("customer") == ["How long do I have?", "/web", "And by post?"]
    assert "tandem=" not in page.url
    assert widget.errors == []


def test_a_link_is_followed_only_by_who_wants_to(page: Page, served: Served, site: Site) -> None:
    """Somebody who was sent a stranger's link keeps their own conversation to themselves."""
    widget = Widget(page, served)
    widget.url += f"&tandem={a_code(site, served)}"
    widget.open()
    page.get_by_role("button", name="No", exact=True).click()
    widget.ask("Mine alone")

    assert widget.texts("customer") == ["Mine alone"]


def test_a_link_that_was_used_says_so_and_the_own_talk_stays(
    page: Page, served: Served, site: Site
) -> None:
    """Nothing is lost, and nothing is joined."""
    widget = Widget(page, served)
    widget.url += "&tandem=used-up"
    widget.open()
    widget.ask("My own question")
    page.get_by_role("button", name="Go on here").click()

    expect(widget.note).to_contain_text("This link was used before or is too old")
    assert widget.texts("customer") == ["My own question"]


def test_an_open_chat_shows_what_was_said_elsewhere_once_it_is_joined(
    page: Page, served: Served, site: Site
) -> None:
    """An agent joins two people while one looks: the lines come anew, each once."""
    widget = Widget(page, served).open()
    widget.ask("From the website")
    served.do(write_elsewhere(site, chat="c1", text="From elsewhere"))
    served.do(join_newest(site))
    expect(widget.rows("customer")).to_have_count(2)

    assert sorted(widget.texts("customer")) == ["From elsewhere", "From the website"]
    assert widget.errors == []


async def join_newest(site: Site) -> None:
    """The one who wrote elsewhere is kept, so that the website's lines get other numbers."""
    from gateway.links import Why

    here = await site.world.conversation("c1")

    def work(session: Any) -> None:
        from sqlmodel import select

        from gateway.models import Contact

        other = session.exec(select(Contact).where(Contact.id != here.contact_id)).one()
        site.world.links.merge(session, here.contact_id, other.id, Why("agent", "agent:ana"))

    await site.world.store.write(work)


def test_who_signs_in_finds_their_talk_in_another_browser_and_leaves_it_when_signing_out(
    page: Page, served: Served, site: Site, clock: TurnedClock
) -> None:
    """The host page's word is enough, and without it nobody reads on."""
    signed = token(clock)
    page.route(
        "**/shop",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<script src="/widget.js" data-open data-identity="{signed}"></script>',
        ),
    )
    widget = Widget(page, served)
    widget.url = f"{served.url}/shop"
    widget.open()
    widget.ask("I am signed in")
    page.evaluate("localStorage.clear()")
    widget.open()
    expect(widget.rows("customer")).to_have_text([re.compile("I am signed in")])
    widget.url = f"{served.url}/"
    widget.open()

    expect(widget.rows()).to_have_count(0)
    assert widget.errors == []
