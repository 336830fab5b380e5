"""No number, address or code leaves that no cited passage holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.types import Citation
from rag.values import unsupported, values

PASSAGE = (
    "Refunds take 14 days and cost 1,000.50 EUR. Write to help@example.com, call +1 (555) 123-4567 "
    "or see https://example.com/refunds. The QR-3200X needs v2.1 since 2026-11-01. 每次3元。"
)


def cite(n: int = 1, quote: str = "Refunds take 14 days", url: str | None = None) -> Citation:
    return Citation(n=n, title="Refunds", source="refunds.md", url=url, quote=quote)


def faults(text: str, citations: list[Citation] | None = None) -> tuple[str, ...]:
    return unsupported(text, [cite()] if citations is None else citations, {1: PASSAGE})


@pytest.mark.parametrize(
    "text",
    [
        "It takes 14 days. [1]",
        "It costs 1000.50 EUR. [1]",
        "Write to help@example.com or call +1 555 123 4567. [1]",
        "See https://example.com/refunds. [1]",
        "The qr-3200x needs v2.1, since 2026. [1]",
        "每次 3 元。[1]",
        "Do this:\n1. Wait\n2. Ask\n[1]",
    ],
)
def test_what_the_passage_holds_may_be_said(text: str) -> None:
    """Values are compared in one spelling, and the numbers of a list are no values."""
    assert faults(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "It takes 15 days. [1]",
        "It costs 100.50 EUR. [1]",
        "Write to sales@example.com. [1]",
        "See https://example.com/other. [1]",
        "See evil.com/refunds. [1]",
        "Call +1 555 123 4568. [1]",
        "The QR-3201X is fine. [1]",
        "每次30元。[1]",
    ],
)
def test_what_no_passage_holds_is_a_fault(text: str) -> None:
    """One wrong value is enough to hold the answer back."""
    assert faults(text)


def test_a_mark_that_points_nowhere_is_a_fault() -> None:
    """Every [n] has its citation, and every citation its mark."""
    assert faults("It takes 14 days. [2]")
    assert faults("It takes 14 days.", [cite()])
    assert faults("It takes 14 days. [1]", [])


def test_a_citation_must_stand_in_its_live_passage() -> None:
    """A quote is word for word, and of a text that is still there."""
    assert faults("It takes 14 days. [1]", [cite(quote="Refunds take two weeks")])
    assert unsupported("It takes 14 days. [1]", [cite()], {}) != ()


def test_the_address_of_a_cited_source_may_be_named() -> None:
    """The link of a citation is supported by the citation itself."""
    url = "https://docs.example.org/refunds"

    assert faults(f"See {url} [1]", [cite(url=url)]) == ()


@given(st.integers(0, 10**9), st.text(alphabet="abc 。", max_size=40))
def test_every_number_of_a_passage_is_supported_by_it(number: int, around: str) -> None:
    """Quoting never fails the check."""
    text = f"{around} {number} {around}"
    citation = cite(quote=text)

    assert unsupported(f"{text} [1]", [citation], {1: text}) == ()


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_any_other_number_is_not(said: int, held: int) -> None:
    """The check fails exactly when the numbers differ."""
    found = unsupported(f"{said} days [1]", [cite(quote=f"{held} days")], {1: f"{held} days"})

    assert (found == ()) == (said == held)


@given(st.text(max_size=200))
def test_values_are_found_in_any_text(text: str) -> None:
    """Whatever is written, looking for values ends, and each holds a letter or digit."""
    assert all(any(char.isalnum() for char in value) for value in values(text))


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("three days [1]", "3 days"),
        ("3天 [1]", "It takes three days."),
        ("三天 [1]", "It takes 3 days."),
        ("twenty-four hours [1]", "24 hours"),
        ("百分之十五 [1]", "a fee of 15 %"),
        ("On November 1, 2026. [1]", "since 2026-11-01"),
        ("2026年11月1日 [1]", "since 2026-11-01"),
        ("Closed on Mondays. [1]", "周一休息"),
        ("一万二千元 [1]", "12000元"),
        ("You may march on. [1]", "nothing of the kind"),
        ("14 days [1]", "Refunds (days): 14"),
        ("One of the ways is this. [1]", "no number"),
    ],
)
def test_a_number_in_words_is_that_number(said: str, held: str) -> None:
    """Words and digits, English and Chinese: one value, whoever spelled it how."""
    assert unsupported(said, [cite(quote=held)], {1: held}) == ()


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("fifteen days [1]", "14 days"),
        ("十五天 [1]", "14天"),
        ("两周 [1]", "14 days"),
        ("14 weeks [1]", "14 days"),
        ("$14 [1]", "14 EUR"),
        ("14小时 [1]", "14 days"),
        ("On December 1. [1]", "since 2026-11-01"),
        ("Closed on Tuesdays. [1]", "周一休息"),
        ("one week [1]", "a while"),
        ("百分之二十 [1]", "15 %"),
    ],
)
def test_an_invented_number_is_not_hidden_in_words(said: str, held: str) -> None:
    """Spelled out, with another unit, in another month: none of it is in the passage."""
    assert unsupported(said, [cite(quote=held)], {1: held}) != ()
