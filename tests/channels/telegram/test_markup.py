"""Bold is bold, on any character: spans fit the text they belong to, and nothing gets longer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.telegram.markup import SPANS_MAX, Span, formatted
from channels.telegram.sending import TEXT_UNITS_MAX
from gateway.messages import Capabilities, OutboundMessage
from gateway.render import fit, units
from tests.fakes.telegram.checks import check_entities, check_text, cut

WORDS = st.sampled_from([
    "**", "`", "```", "\n", " ", "> ", "# ", "- ", "* ", "1. ", "[", "]", "(", ")", "word", "_",
    "https://a.example/", "http://b.example", "tg://user?id=1", "@name", "&lt;", "<b>", "\u202e",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U00020bb7", "退货", "e\u0301",
    "\U0001f1e9\U0001f1ea",
])  # fmt: skip
TEXTS = st.lists(WORDS, max_size=60).map("".join)


@given(TEXTS)
def test_telegram_takes_whatever_is_written(text: str):
    """No mix of marks, emoji and Chinese makes a span that lies wrong."""
    shown = formatted(text)
    entities = [
        {"type": span.kind, "offset": span.start, "length": span.length, "url": span.url}
        for span in shown.spans
    ]

    check_entities(shown.text, entities)
    assert all(span.url.startswith("https://") for span in shown.spans if span.kind == "text_link")


@given(TEXTS)
def test_formatting_never_makes_a_text_longer(text: str):
    """What was fitted to the limit still fits after its marks became spans."""
    assert units(formatted(text).text, "utf16") <= units(text, "utf16")


@given(st.lists(WORDS, min_size=300, max_size=2_500).map("".join))
def test_every_part_of_a_long_text_is_one_that_telegram_takes(text: str):
    """Split at 4,096 units, each part is within the limit, and no character is cut in two."""
    can = Capabilities(text_units_max=TEXT_UNITS_MAX, unit="utf16", markup="entities")
    parts = [formatted(part.text).text for part in fit(OutboundMessage(text=text), can)]

    for part in filter(str.strip, parts):
        check_text(part)
        part.encode("utf-16-le")


@given(st.text(alphabet="退货a👩‍👧 \n.", max_size=300))
def test_a_text_without_marks_stays_as_it_is(text: str):
    """Only blanks around it go: Telegram takes them off anyway."""
    shown = formatted(text)

    assert shown.text == text.strip()
    assert shown.spans == ()


@pytest.mark.parametrize(
    ("written", "text", "spans"),
    [
        ("a **b** c", "a b c", [("bold", "b")]),
        ("👩‍👩‍👧 **粗** x", "👩‍👩‍👧 粗 x", [("bold", "粗")]),
        ("`x = 1`", "x = 1", [("code", "x = 1")]),
        ("[page](https://a.example/x?y=1)", "page", [("text_link", "page")]),
        ("[page](http://a.example)", "[page](http://a.example)", []),
        ("[me](tg://user?id=1)", "[me](tg://user?id=1)", []),
        ("[x](https://u:p@a.example/)", "[x](https://u:p@a.example/)", []),
        ("# Title\nText", "Title\nText", [("bold", "Title")]),
        ("> one\n> two\nthree", "one\ntwo\nthree", [("blockquote", "one\ntwo")]),
        ("- one\n* two", "• one\n• two", []),
        ("```\nif x:\n  y\n```", "if x:\n  y", [("pre", "if x:\n  y")]),
        ("```\nnever closed", "```\nnever closed", []),
        ("2 * 3 * 4 and **", "2 * 3 * 4 and **", []),
        ("> **b** [1]", "b [1]", [("blockquote", "b [1]"), ("bold", "b")]),
        ("snake_case_name __x__", "snake_case_name __x__", []),
    ],
)
def test_the_small_markdown(written: str, text: str, spans: list[tuple[str, str]]):
    """The same that the web chat shows; all else stays as typed."""
    shown = formatted(written)

    assert shown.text == text
    assert [(one.kind, cut(shown.text, one.start, one.length)) for one in shown.spans] == spans


def test_more_formatted_places_than_telegram_takes_are_plain():
    """A hundred are bold, the next one is not; all words are there."""
    shown = formatted(" ".join(["**b**"] * (SPANS_MAX + 1)))

    assert len(shown.spans) == SPANS_MAX
    assert shown.spans[0] == Span("bold", 0, 1)
    assert shown.text.count("b") == SPANS_MAX + 1
