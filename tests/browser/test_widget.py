"""The widget in Chromium: a conversation, from the first question to the agent and back."""

import asyncio
import re
from dataclasses import replace

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.serving import Served
from tests.browser.widget import Widget
from tests.channels.site import Site
from tests.gateway.world import answered, unsure

pytestmark = pytest.mark.browser


def test_a_question_is_answered_with_its_source(page: Page, served: Served):
    """The answer shows; its number opens the quote it rests on."""
    widget = Widget(page, served).open()
    answer = widget.ask("How do I return it?")
    quote = answer.locator("blockquote")
    expect(quote).to_be_hidden()
    answer.get_by_role("button", name="Source 1").click()

    expect(quote).to_be_visible()
    expect(quote).to_have_text("30 days")
    assert widget.texts("customer") == ["How do I return it?"]
    assert widget.errors == []


def test_a_person_takes_over_and_hands_back(page: Page, served: Served, site: Site):
    """Button, place in line, name, reply, hand-back: the state line says who speaks."""
    widget = Widget(page, served).open()
    widget.ask("How do I return it?")
    widget.choose("Talk to a person")
    expect(widget.status).to_have_text("A person will join. You are number 1 in line.")
    served.do(site.claim())
    expect(widget.status).to_have_text("You are talking to Ana")
    served.do(site.say("Hello, I am **Ana**"))
    expect(widget.rows("agent").locator("strong")).to_have_text("Ana")
    expect(widget.rows("agent").locator("time")).to_contain_text("Ana")
    served.do(site.hand_back())
    expect(widget.status).to_have_text("A bot answers, with sources")

    assert widget.texts("customer") == ["How do I return it?", "Talk to a person"]
    assert widget.errors == []


def test_a_suggestion_is_one_press(page: Page, served: Served, site: Site):
    """ "Did you mean": the chosen question is what the customer says next; the choices go."""
    site.world.answerer.reply = lambda _: unsure("How do I return it?", "How do I pay?")
    widget = Widget(page, served).open()
    widget.ask("it")
    site.world.answerer.reply = lambda _: answered("By card [1].")
    widget.choose("How do I pay?")

    expect(widget.rows("bot").last).to_contain_text("By card")
    assert widget.texts("customer") == ["it", "How do I pay?"]
    expect(page.locator(".choice", has_text="How do I pay?")).to_have_count(0)


def test_typing_is_seen(page: Page, served: Served, site: Site):
    """While the bot thinks, dots; with its answer they go."""
    site.world.answerer.gate = asyncio.Event()
    widget = Widget(page, served).open()
    widget.say("How?")
    expect(page.get_by_text("Bot is typing")).to_be_visible()

    async def answer() -> None:
        site.world.answerer.gate.set()

    served.do(answer())
    expect(widget.rows("bot")).to_have_count(1)
    expect(page.get_by_text("Bot is typing")).to_be_hidden()


def test_a_partial_text_is_replaced_by_the_answer(page: Page, served: Served, site: Site):
    """What streams in is shown, and never stays beside the whole."""
    widget = Widget(page, served).open()
    widget.ask("How?")
    served.do(site.signal({"type": "partial", "text": "Withi"}))
    expect(page.locator(".bubble", has_text="Withi").last).to_be_visible()
    widget.ask("And now?")

    expect(page.locator(".bubble:visible", has_text=re.compile("Withi$"))).to_have_count(0)


def test_the_keyboard_is_enough(page: Page, served: Served):
    """Shift+Enter makes a line, Enter sends, the field keeps the focus; Escape closes."""
    widget = Widget(page, served).open()
    widget.input.focus()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    widget.rows("bot").wait_for()
    expect(widget.input).to_be_focused()
    page.keyboard.press("Escape")
    launcher = page.get_by_role("button", name="Open the chat")
    expect(launcher).to_be_focused()
    page.keyboard.press("Enter")

    expect(widget.input).to_be_focused()
    assert widget.texts("customer") == ["one\ntwo"]


def test_enter_while_composing_does_not_send(page: Page, served: Served):
    """Enter that picks a Chinese word belongs to the input method."""
    widget = Widget(page, served, language="zh").open()
    widget.input.fill("如何")
    widget.input.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    expect(widget.input).to_have_value("如何")
    widget.input.press("Enter")

    expect(widget.input).to_have_value("")


def test_a_closed_chat_counts_what_was_not_read(page: Page, served: Served, site: Site):
    """Two new lines, a badge of two; opening reads them."""
    widget = Widget(page, served).open()
    widget.ask("a question")
    widget.say("a person, please")
    served.do(site.claim())
    expect(widget.status).to_have_text("You are talking to Ana")
    page.keyboard.press("Escape")
    served.do(site.say("one"))
    served.do(site.say("two"))
    launcher = page.get_by_role("button", name="Open the chat, 2 unread")
    expect(launcher).to_be_visible()
    launcher.click()
    page.keyboard.press("Escape")

    expect(page.get_by_role("button", name="Open the chat", exact=True)).to_be_visible()


def test_an_edit_and_a_withdrawal_change_what_is_shown(page: Page, served: Served, site: Site):
    """The corrected text says so; the withdrawn one leaves only its place."""
    widget = Widget(page, served).open()
    widget.ask("a question")
    widget.say("a person, please")
    served.do(site.claim())
    served.do(site.say("wrong"))
    served.do(site.say("a secret"))
    expect(widget.rows("agent")).to_have_count(2)
    served.do(site.edit("wrong", "right"))
    expect(widget.rows("agent").first).to_contain_text("right")
    expect(widget.rows("agent").first).to_contain_text("edited")
    served.do(site.withdraw("a secret"))
    served.do(site.say("next"))

    expect(page.get_by_text("This message was withdrawn.")).to_be_visible()
    expect(page.get_by_text("a secret")).to_have_count(0)


@pytest.mark.parametrize(("language", "words"), [
    ("en", ("Write a message", "A bot answers, with sources")),
    ("zh", ("输入消息", "机器人解答，附来源")),
])  # fmt: skip
def test_the_widget_speaks_the_page_s_language(
    page: Page, served: Served, language: str, words: tuple[str, str]
):
    """Everything it says itself, down to the placeholder."""
    widget = Widget(page, served, language=language).open()

    expect(widget.input).to_have_attribute("placeholder", words[0])
    expect(widget.status).to_have_text(words[1])


def test_a_suggested_question_of_the_demo_page_asks_itself(page: Page, served: Served):
    """The page's own buttons speak to the widget through its one public method."""
    widget = Widget(page, served).open()
    page.get_by_role("button", name="Where do the answers come from?").click()

    expect(widget.rows("bot")).to_have_count(1)
    assert widget.texts("customer") == ["Where do the answers come from?"]


def test_it_fits_a_narrow_phone(context: BrowserContext, served: Served, site: Site):
    """At 360 px nothing is cut off sideways, not even one endless word or a long source."""
    long = answered("字" * 300 + " " + "x" * 300 + " https://example.com/" + "a" * 300)
    site.world.answerer.reply = lambda _: replace(long, citations=(
        replace(long.citations[0], title="t" * 200, quote="q" * 400),
    ))  # fmt: skip
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 640})
    widget = Widget(page, served)
    page.goto(widget.url)
    page.get_by_role("button", name="Open the chat").click()
    widget.ask("How?").locator("summary").click()
    wide = page.evaluate(
        """() => [...document.querySelector("tandem-chat").shadowRoot.querySelectorAll("*")]
            .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
            .map((node) => node.className || node.tagName)"""
    )

    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
