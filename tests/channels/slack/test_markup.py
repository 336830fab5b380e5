"""Slack's markup, both ways: what people typed is read, and nothing of ours is markup."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.slack import blocks, mrkdwn
from channels.slack.channel import CAPABILITIES
from gateway.messages import Button, OutboundMessage
from gateway.render import fit
from rag.types import Citation
from storage.text import repair_text
from tests.fakes.slack.posting import check
from tests.fakes.slack.screen import shown

DANGEROUS = (
    "<!channel>", "<!here>", "<!everyone>", "<@U123>", "<!subteam^S1|@team>", "<#C1|x>", "@here",
    "<https://e.example|click>", "&lt;!channel&gt;", "*bold*", "_it_", "~no~", "`code`", "```", ">",
    "\n> quote", ":smile:", "<mailto:a@b.c>", "<", ">", "&", "&amp;", "|", "\u202e", "\x00", "<!",
)  # fmt: skip
words = st.lists(
    st.one_of(st.sampled_from(DANGEROUS), st.text(max_size=20)), min_size=1, max_size=30
).map("".join)
urls = st.one_of(
    st.none(), st.just("https://example.com/a?b=1&c=2"), words,
    words.map(lambda text: f"https://example.com/{text}"),
)  # fmt: skip


def posted(message: OutboundMessage) -> dict[str, Any]:
    return {
        "bot_id": "B", "text": blocks.plain_text(message),
        "blocks": json.loads(json.dumps(blocks.blocks(message))),
        "_request": {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False},
    }  # fmt: skip


@given(words, words, words, urls)
def test_nothing_that_anybody_writes_pings_or_formats(
    text: str, label: str, title: str, url: str | None
):
    """In an answer, on a button, in a source's title and address: words to the letter."""
    message = OutboundMessage(
        text=text, buttons=(Button(label, "human"),), delivery_id="d",
        citations=(Citation(n=1, title=title, source="s", url=url, quote="q"),),
    )  # fmt: skip
    screen = shown(posted(message))

    assert screen.pings == []
    assert screen.markup == []
    assert not screen.previews
    assert text in screen.text or not text


@given(words)
def test_escaped_words_come_back_as_they_were(text: str):
    """What we escape, Slack shows; what Slack escapes, we read."""
    assert mrkdwn.plain(mrkdwn.escape(text)) == repair_text(text).strip()


@given(st.text(max_size=6_000), st.lists(st.text(max_size=200), max_size=12))
def test_every_part_of_every_message_is_taken_by_slack(text: str, labels: list[str]):
    """Sizes, numbers and ids are within Slack's limits, whatever the text and its buttons are."""
    buttons = tuple(
        Button(label, f"choose-{1 + n % 3}" if n < 3 else f"rate-{1 + n % 5}")  # pyright: ignore[reportArgumentType]
        for n, label in enumerate(labels[:8])
    )
    whole = OutboundMessage(text=text, buttons=buttons, delivery_id="d")
    for part in fit(whole, CAPABILITIES):
        made = blocks.blocks(part)
        if part.text or made:
            check(blocks.plain_text(part), made)


def test_the_words_of_a_long_button_stand_above_it():
    """A button holds 75 characters; the choice is read whole in numbered lines."""
    long = "How do I return something that was delivered to a pick-up point in another country?"
    message = OutboundMessage(
        text="Did you mean:", buttons=(Button(long, "choose-1"), Button("Or this?", "choose-2"))
    )
    screen = shown(posted(message))

    assert screen.text == f"Did you mean:\n1. {long}\n2. Or this?"
    assert screen.buttons[0].startswith("1. How do I return")
    assert len(screen.buttons[0]) == 75


def test_addresses_in_a_text_are_links():
    """With what follows them left out, in both languages."""
    message = OutboundMessage(text="See https://example.com/a. 或者（https://example.com/b）。")

    assert shown(posted(message)).links == ["https://example.com/a", "https://example.com/b"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("<@U9|ana> said", "@ana said"), ("<@U9> said", "@U9 said"),
        ("in <#C1|general> or <#C2>", "in #general or #C2"), ("<!here>", "@here"),
        ("<!subteam^S1|@support>", "@support"), ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("<https://e.example>", "https://e.example"),
        ("<https://e.example/?a=1&amp;b=2|here &amp; now>", "here & now (https://e.example/?a=1&b=2)"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"), ("<tel:+4312|call>", "call (+4312)"),
        ("&amp;lt; is &lt;", "&lt; is <"), ("a < b", "a < b"), ("<>", ""),
        ("<@U0> hi", "hi"), ("hi, <@U0>!", "hi, !"), ("hey <@U0|tandem>: how?", "hey how?"),
        ("\u0000half", "\ufffdhalf"),
    ],
)  # fmt: skip
def test_what_was_typed_is_what_is_read(typed: str, read: str):
    """Names, channels, links and entities as words; our own mention is no part of a question."""
    assert mrkdwn.plain(typed, us="U0") == read


@given(st.text(alphabet="<>@!#|&;ampltU0^ \n", max_size=200))
def test_no_markup_however_broken_breaks_the_reading(text: str):
    """Slack's brackets nested, cut and doubled."""
    assert isinstance(mrkdwn.plain(text, us="U0"), str)
