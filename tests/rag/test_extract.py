"""Answers by quoting: what a customer reads, and that it stands in the document."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.extract import Draft, Extractive
from rag.passage import plain, units
from rag.types import Candidate, ChunkKind, Language
from rag.values import unsupported

LONG = """Our shop opened in 2001 and has grown ever since. We sell bicycles and all around them, \
from bells to baskets. A bicycle can be returned within 30 days. It must be clean and unused. \
Helmets cannot be returned at all, for reasons of safety. We are glad to advise you on the phone. \
Our workshop repairs bicycles of all makes, and most repairs are done within two days of work. \
Rental bicycles are booked for a day or for a week."""
STEPS = """You will find everything about your account in the menu at the top of the page, where \
it has been since the beginning. Some settings need a restart, others work at once, and a few of \
them can only be seen by the person who pays for the account, as the law wants it. \
To close your account:

1. Open *Settings*
2. Press **Close account**
3. Confirm with your password

Closing takes a day. Afterwards your name can be used by somebody else, and the invoices of the \
last ten years stay where the tax office wants them, in our archive, and nowhere else at all."""
TABLE = """Fees depend on the kind of parcel, on its weight, and on the country that it is sent to.

| Country | Fee |
|---|---|
| Germany | 5 EUR |
| France | 9 EUR |
"""
CHINESE = """我们的商店成立于2001年，一直在发展壮大，现在已经在全国开设了四十多家门店。\
我们出售自行车以及各种相关配件，从车铃到车筐应有尽有，也提供保养服务，价格以门店公布的为准。\
自行车可以在三十天内退货。退货时必须干净且未使用。头盔出于安全原因不能退货。\
维修车间可以修理各种品牌的自行车，大多数修理两天内完成，特殊配件需要另外订购，时间会长一些。\
租赁自行车可以按天或按周预订，押金在归还时退还给您，周末和节假日请提前三天预约。"""


def candidate(
    text: str,
    *,
    kind: ChunkKind = "text",
    language: Language = "en",
    score: float = 1.0,
    heading: str = "",
    source: str = "shop.md",
) -> Candidate:
    return Candidate(
        chunk_id=text[:20] + source,
        source_id=source,
        title="Shop",
        source=source,
        url=None,
        heading_path=("Shop", heading) if heading else ("Shop",),
        text=text,
        kind=kind,
        language=language,
        score=score,
        keyword=0.5,
        grams=0.5,
        vector=0.5,
    )


def write(question: str, *candidates: Candidate) -> Draft:
    return Extractive().write(question, candidates)


def test_only_the_sentences_that_answer_are_quoted() -> None:
    """Of a long passage a customer reads what was asked, and the sentence that explains it."""
    draft = write("Can I return a bicycle?", candidate(LONG))

    assert draft.text == (
        "A bicycle can be returned within 30 days. It must be clean and unused. [1]"
    )
    assert draft.citations[0].quote in LONG


def test_chinese_sentences_are_told_apart() -> None:
    """Chinese has no spaces after its full stops."""
    draft = write("自行车可以退货吗？", candidate(CHINESE, language="zh"))

    assert draft.text.startswith("自行车可以在三十天内退货。退货时必须干净且未使用。")
    assert len(draft.text) < 60


def test_steps_come_whole_and_with_the_line_that_leads_to_them() -> None:
    """A list is never cut, and its marks do not show."""
    draft = write("How do I close my account?", candidate(STEPS))

    assert draft.text == (
        "To close your account:\n\n1. Open Settings\n2. Press Close account\n"
        "3. Confirm with your password\n[1]"
    )
    assert draft.citations[0].quote in STEPS


def test_a_table_becomes_lines() -> None:
    """A chat cannot show a table: each row is a line."""
    draft = write("What is the fee to France?", candidate(TABLE))

    assert "France – 9 EUR" in draft.text
    assert "|" not in draft.text


def test_a_question_list_entry_is_given_whole() -> None:
    """What was written as an answer is quoted as one."""
    entry = candidate(LONG[:600], kind="faq", heading="Can I return it?")
    draft = write("return?", entry)

    assert draft.text == LONG[:600].rstrip() + " [1]"
    assert draft.citations[0].title == "Shop › Can I return it?"


def test_a_second_passage_is_quoted_only_for_what_is_new() -> None:
    """Two good passages are two citations; the same thing again is not said twice."""
    first = candidate("Returns are free within 30 days.", source="a.md")
    second = candidate("Helmets are never taken back.", score=0.95, source="b.md")
    again = candidate("Returns are free within thirty days.", score=0.95, source="c.md")
    draft = write("Are returns of helmets free?", first, again, second)

    assert [one.source for one in draft.citations] == ["a.md", "b.md"]
    assert draft.text == "Returns are free within 30 days. [1]\n\nHelmets are never taken back. [2]"


def test_a_far_weaker_passage_is_not_added() -> None:
    """Being long is no virtue: what is clearly behind stays away."""
    draft = write(
        "Are returns of helmets free?",
        candidate("Returns are free."),
        candidate("Helmets are blue.", score=0.4, source="b.md"),
    )

    assert len(draft.citations) == 1


def test_a_passage_found_by_its_heading_begins_at_its_beginning() -> None:
    """None of its words was asked for: the first sentences say what it is about."""
    draft = write("guarantee", candidate(LONG, heading="Guarantee"))

    assert draft.text.startswith("Our shop opened in 2001")


def test_nothing_comes_of_nothing() -> None:
    """No passage, no text; and no citation without a text."""
    assert write("anything") == Draft("", ())
    assert write("anything", candidate("# Only a heading")) == Draft("", ())
    assert write("anything", candidate("```\n```")) == Draft("", ())


def test_markdown_marks_do_not_show() -> None:
    """What a chat would show as signs is taken off; lists and addresses stay."""
    text = (
        "# Title\nSee **the** [manual](https://example.com/m) or [below](#below) and `run it`.\n"
        "* one\n* two\n\n```sh\nmake run\n```\n<br>> quoted ![logo](a.png)"
    )

    assert plain(text) == (
        "See the manual (https://example.com/m) or below and run it.\n- one\n- two\n\nmake run\n"
        "quoted"
    )


def test_names_with_marks_in_them_survive() -> None:
    """Underscores and stars inside words are no emphasis."""
    assert plain("Set MAX_RETRY_COUNT to 2*3*4.") == "Set MAX_RETRY_COUNT to 2*3*4."


def test_abbreviations_do_not_end_a_sentence() -> None:
    """ "e.g. A" is one sentence, and so is 3.5."""
    text = "Use a tool, e.g. Anki, at version 3.5 or later. Then stop."

    assert [text[one.start : one.end] for one in units(text)] == [
        "Use a tool, e.g. Anki, at version 3.5 or later.",
        "Then stop.",
    ]


line = st.sampled_from([
    "A bicycle can be returned within 30 days.", "- item 1", "1. step", "| a | b |", "|---|---|",
    "# Heading", "```", "code 42", "", "自行车可以退货。价格是3元。", "To do it:", "> quote",
    "See [x](https://example.com/a).", "**bold** and *slanted* text",
])  # fmt: skip


@settings(max_examples=200)
@given(
    lines=st.lists(line, max_size=25),
    question=st.sampled_from(["return bicycle", "退货", "item", "zebra"]),
    kind=st.sampled_from(["text", "faq", "list"]),
)
def test_whatever_is_quoted_stands_there_and_passes_the_check(
    lines: list[str], question: str, kind: ChunkKind
) -> None:
    """Every quote is word for word, every mark has its citation, no value is new."""
    text = "\n".join(lines)
    draft = write(question, candidate(text, kind=kind))

    assert all(one.quote in text for one in draft.citations)
    assert bool(draft.text.strip()) == bool(draft.citations)
    assert unsupported(draft.text, draft.citations, {one.n: text for one in draft.citations}) == ()


@given(st.text(max_size=300))
def test_units_are_stretches_of_the_text_in_order(text: str) -> None:
    """Units never overlap and never begin or end in space."""
    found = units(text)

    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all(text[one.start : one.end].strip() for one in found)
