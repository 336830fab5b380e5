"""The Knowledge page in a real browser: pages, readers, versions and reports."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_console import Console, ana, console

__all__ = ["ana", "console"]  # fixtures
pytestmark = pytest.mark.browser

MD = "text/markdown"
STICKS_OUT = """() => [...document.querySelectorAll('main *')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .filter((one) => !one.closest('.sources-list'))
    .map((one) => one.className)"""


def upload(ana: Page, name: str, text: bytes = b"# Refunds\n\n30 days.") -> None:
    ana.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": MD, "buffer": text}]
    )
    expect(ana.locator("tr", has_text=name)).to_contain_text("Live")


def test_a_page_and_a_sitemap_are_added_by_their_address(console: Console, ana: Page):
    """Each page has its row; a refusal says why; what is chosen below is said of all of them."""
    ana.get_by_role("link", name="Knowledge").click()
    field = ana.get_by_label("Address of a page or sitemap")
    ana.get_by_label("For whom").select_option("customers")
    field.fill("https://a.test/sitemap.xml")
    ana.get_by_role("button", name="Add page").click()
    expect(ana.locator("tr", has_text="sitemap.xml/2")).to_contain_text("Live")
    field.fill("http://private.test/")
    ana.get_by_role("button", name="Add page").click()

    expect(ana.locator(".uploads .failed")).to_contain_text("a network that is not public")
    assert [(one.url, one.audience) for one in console.bench.knowledge.uploads] == [
        ("https://a.test/sitemap.xml/1", "customers"),
        ("https://a.test/sitemap.xml/2", "customers"),
    ]


def test_a_document_is_kept_from_the_public(console: Console, ana: Page):
    """Chosen at the upload or in its window; the list shows for whom it is."""
    ana.get_by_role("link", name="Knowledge").click()
    upload(ana, "prices.md")
    row = ana.locator("tr", has_text="prices.md")
    expect(row).to_contain_text("Everybody")
    row.get_by_role("button", name="prices").click()
    ana.get_by_role("dialog").get_by_label("For whom").select_option("staff")
    expect(ana.get_by_text("told nothing of it any more")).to_be_visible()
    ana.keyboard.press("Escape")

    expect(row).to_contain_text("Staff")
    assert list(console.bench.knowledge.audiences.values()) == ["staff"]


def test_an_earlier_version_is_live_again_by_its_button(console: Console, ana: Page):
    """Only complete versions offer it; the report stands above them in the reader's language."""
    ana.get_by_role("link", name="Knowledge").click()
    upload(ana, "refunds.md")
    upload(ana, "refunds.md", b"# Refunds\n\n14 days.")
    ana.locator("tr", has_text="refunds.md").get_by_role("button", name="refunds").click()
    dialog = ana.get_by_role("dialog")
    for part in ("Health report", "1,840", "Questions it can answer", "two headings have no text"):
        expect(dialog).to_contain_text(part)
    expect(dialog).to_contain_text("Also asked as: How long?")
    dialog.get_by_role("button", name="Answer from this version").click()

    expect(ana.get_by_text("The bot answers from this version again.")).to_be_visible()
    assert len(console.bench.knowledge.rolled_back) == 1


def test_the_page_speaks_chinese_and_fits_a_phone(console: Console, ana: Page):
    """Reasons and warnings come in the agent's language; nothing sticks out at 360 pixels."""
    ana.get_by_role("link", name="Account").click()
    ana.get_by_label("Language of the console").select_option("zh")
    ana.get_by_role("button", name="Save").click()
    ana.get_by_role("link", name="知识库").click()
    ana.locator("input[type=file]").set_input_files(
        [
            {"name": "empty.md", "mimeType": MD, "buffer": b" "},
            {"name": "refunds.md", "mimeType": MD, "buffer": b"# Refunds\n\n30 days."},
        ]
    )
    expect(ana.locator(".uploads .failed")).to_contain_text("文档是空的")
    expect(ana.locator("tr", has_text="refunds.md")).to_contain_text("已上线")
    ana.set_viewport_size({"width": 360, "height": 740})
    sticking = ana.evaluate(STICKS_OUT)  # the table scrolls by itself
    ana.locator("tr", has_text="refunds.md").get_by_role("button", name="refunds").click()

    expect(ana.get_by_role("dialog")).to_contain_text("两个标题下没有文字")
    expect(ana.get_by_role("dialog")).to_contain_text(re.compile("可回答的问题"))
    assert sticking == []
