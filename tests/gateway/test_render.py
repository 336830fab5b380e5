"""Fitting messages to channels: whole, in order, within limits."""

import regex
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import Button, Capabilities, OutboundMessage
from gateway.render import fit, split, units
from rag.types import Citation

CITATION = Citation(n=1, title="Returns", source="r.md", url="https://a.example/r", quote="30")


def _letters(text: str) -> str:
    return "".join(text.split())


@given(
    st.text(max_size=400),
    st.integers(min_value=8, max_value=60),
    st.sampled_from(["characters", "utf16"]),
)
def test_a_split_text_is_whole_and_within_the_limit(text: str, limit: int, unit: str) -> None:
    """No character but blanks at borders is lost, and no part is over the limit or empty."""
    parts = list(split(text, limit, unit))  # pyright: ignore[reportArgumentType]

    assert _letters("".join(parts)) == _letters(text)
    assert all(units(part, unit) <= limit for part in parts)  # pyright: ignore[reportArgumentType]


@given(st.integers(min_value=0, max_value=40))
def test_a_family_emoji_is_never_torn_apart(before: int) -> None:
    """Splitting happens between graphemes, counted in the channel's own unit."""
    family = "👨‍👩‍👧‍👦"
    text = "x" * before + family * 5
    parts = list(split(text, 24, "utf16"))

    assert sum(len(regex.findall(r"\X", part)) for part in parts) == before + 5


def test_a_text_is_split_at_a_sentence_when_one_is_near() -> None:
    """Parts end where a reader would pause, in both languages."""
    english = list(split("One is here. Two is there. Three.", 20, "characters"))
    chinese = list(split("第一句在这里。第二句在那里。第三句。", 12, "characters"))

    assert english[0] == "One is here."
    assert chinese[0] == "第一句在这里。"


def test_a_channel_without_buttons_gets_numbered_lines() -> None:
    """What cannot be pressed can still be read and typed."""
    message = OutboundMessage(
        text="Which?", buttons=(Button("A", "choose-1"), Button("B", "choose-2"))
    )
    [part] = fit(message, Capabilities(text_units_max=100, buttons_max=1))

    assert part.text == "Which?\n\n1. A\n2. B"
    assert part.buttons == ()


def test_sources_become_lines_where_the_far_end_cannot_show_them() -> None:
    """A channel that shows them itself keeps citations as data; any other gets them as text."""
    message = OutboundMessage(text="30 days [1].", citations=(CITATION,))
    [plain] = fit(message, Capabilities(text_units_max=500))
    [pulled] = fit(message, Capabilities(text_units_max=500, pulled=True))
    [shown] = fit(message, Capabilities(text_units_max=500, sources=True))

    assert plain.text.endswith("[1] Returns https://a.example/r")
    assert pulled.citations == shown.citations == (CITATION,)
    assert pulled.text == shown.text == "30 days [1]."


def test_buttons_go_with_the_last_part_only() -> None:
    """A long text is shown whole before anything can be pressed."""
    message = OutboundMessage(text="word " * 50, buttons=(Button("Person", "human"),))
    parts = fit(message, Capabilities(text_units_max=60, buttons_max=3))

    assert len(parts) > 3
    assert [bool(part.buttons) for part in parts] == [False] * (len(parts) - 1) + [True]
