"""The console in a real browser: who is who, for the agents who know."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_console import STICKS_OUT, Console, ana, console, open_first

__all__ = ["ana", "console"]
pytestmark = pytest.mark.browser


async def writes_elsewhere(console: Console, text: str, name: str = "Li Wei") -> None:
    world = console.bench.world
    await world.ingress.store(world.memory.event_of(chat="c1", text=text, name=name))
    await world.worker.settle()


def join_with_li(page: Page) -> None:
    page.get_by_role("button", name="Join with another person…").click()
    page.get_by_label("The other person").fill("li w")
    page.get_by_role("option", name="Li Wei").click()
    page.get_by_label("Why").fill("They told me their order number in both")
    page.get_by_label("I know that they are the same person").check()
    page.get_by_role("button", name="Join", exact=True).click()


def test_two_people_are_joined_and_parted_on_the_card(
    console: Console, ana: Page, tmp_path: Path
) -> None:
    """Found by a part of the name, with a reason; the history is one, then two again."""
    console.served.do(writes_elsewhere(console, "Where is my parcel?"))
    console.waits("My parcel is late.")
    ana.reload()
    open_first(ana)
    join_with_li(ana)
    card = ana.locator(".card")
    expect(card.locator(".accounts li")).to_have_count(2)
    expect(ana.locator(".line.customer")).to_have_count(2)
    expect(card).to_contain_text("They told me their order number in both")
    expect(ana.locator(".mark.joined b")).to_have_text("Accounts joined")
    ana.set_viewport_size({"width": 360, "height": 740})
    assert ana.evaluate(STICKS_OUT) == []
    ana.set_viewport_size({"width": 1280, "height": 800})
    card.get_by_role("button", name="Undo").click()
    ana.get_by_label("Why").fill("A mistake of mine")
    ana.locator("dialog").get_by_role("button", name="Undo").click()
    expect(card.locator(".accounts li")).to_have_count(1)

    expect(ana.locator(".line.customer")).to_have_count(1)
    expect(ana.locator(".mark.parted")).to_have_count(1)
