"""Passages: nothing of a document is lost, nothing is too long, headings go along."""

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import SourceUnreadable
from rag.split import Piece, SplitLimits, Splitter, embedded_text, heading_line

WORDS = st.one_of(
    st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=12), st.sampled_from("退款政策")
)
LINES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
BLOCKS = st.one_of(
    LINES,
    LINES.map(lambda line: f"# {line}"),
    LINES.map(lambda line: f"### {line}"),
    st.lists(LINES, min_size=1, max_size=4).map(lambda x: "\n".join(f"- {line}" for line in x)),
    st.lists(WORDS, min_size=1, max_size=9).map(lambda x: "```\n" + "\n".join(x) + "\n```"),
    LINES.map(lambda line: f"| a | b |\n|---|---|\n| {line} | x |"),
    LINES.map(lambda line: f"Q: {line}?\nA: {line}."),
)
DOCUMENTS = st.lists(BLOCKS, min_size=1, max_size=12).map("\n\n".join)


def count_words(text: str) -> int:
    """A word of Latin letters or one Chinese character: about what a tokenizer counts."""
    return len(re.findall(r"[a-zA-Z0-9]+|[^\sa-zA-Z0-9]", text))


def split(markdown: str, **limits: int) -> list[Piece]:
    return Splitter(count_words, limits=SplitLimits(**limits)).split(markdown)


@settings(max_examples=40, deadline=None)
@given(DOCUMENTS)
def test_every_word_of_a_document_is_in_some_passage(markdown: str) -> None:
    """Each word is found again in a text or in the headings above it."""
    pieces = split(markdown, chunk_tokens=20, overlap_tokens=3, faq_tokens_max=30)
    kept = "\n".join("\n".join((*piece.heading_path, piece.text)) for piece in pieces)

    missing = [word for word in re.findall(r"\w+", markdown) if word not in kept]

    assert missing == []


@settings(max_examples=40, deadline=None)
@given(DOCUMENTS)
def test_passages_are_never_empty_and_never_too_long(markdown: str) -> None:
    """A passage holds a word, and at most the tokens it may: no unit here is bigger than one."""
    limits = SplitLimits(chunk_tokens=20, overlap_tokens=3, faq_tokens_max=30)
    pieces = Splitter(count_words, limits=limits).split(markdown)

    for piece in pieces:
        assert re.search(r"\w", piece.text)
        most = limits.faq_tokens_max if piece.kind == "faq" else limits.chunk_tokens
        assert count_words(piece.text) <= most


@settings(max_examples=40, deadline=None)
@given(DOCUMENTS)
def test_the_same_document_gives_the_same_passages(markdown: str) -> None:
    """Two splitters agree to the hash: that is what makes ingestion incremental."""
    first, second = split(markdown, chunk_tokens=20), split(markdown, chunk_tokens=20)

    assert [piece.content_hash for piece in first] == [piece.content_hash for piece in second]


@settings(max_examples=40, deadline=None)
@given(DOCUMENTS, st.sampled_from(["", "# New\n\nfirst words here\n\n"]))
def test_without_overlap_the_text_is_cut_and_not_changed(markdown: str, before: str) -> None:
    """Joined again, the passages of a text without headings are that text but for its spaces."""
    plain = "\n".join(line.lstrip("#") for line in (before + markdown).split("\n"))
    pieces = split(plain, chunk_tokens=20, overlap_tokens=0, faq_tokens_max=30)

    cut = "".join(piece.text for piece in pieces)
    assert re.findall(r"\w", cut) == re.findall(r"\w", plain)


def test_headings_go_along_but_are_not_part_of_the_quote() -> None:
    """A passage knows the headings above it; its text does not repeat them."""
    pieces = split("# Manual\n\n## *Refunds* {#refunds}\n\nWithin 30 days.\n\n## Hours\n\n9 to 17.")

    assert [(p.heading_path, p.text) for p in pieces] == [
        (("Manual", "Refunds"), "Within 30 days."),
        (("Manual", "Hours"), "9 to 17."),
    ]
    assert embedded_text(("Manual", "Refunds"), "30 days.") == "Manual > Refunds\n30 days."


def test_a_lone_heading_joins_what_follows() -> None:
    """No passage consists of a heading, unless nothing follows it."""
    pieces = split("# A\n\n## Empty\n\n## B\n\ntext\n\n## End")

    assert [(p.heading_path, p.text) for p in pieces] == [
        (("A", "Empty", "B"), "text"),
        ((), "End"),
    ]


def test_two_headings_of_one_wording_stay_apart() -> None:
    """The same heading twice in one document is two sections."""
    pieces = split("## Notes\n\n## Notes\n\nsecond")

    assert [(p.heading_path, p.text) for p in pieces] == [(("Notes", "Notes"), "second")]


def test_chinese_is_cut_at_its_own_full_stops() -> None:
    """A long Chinese paragraph without spaces is cut after 。！？ and nowhere else."""
    text = "如果您需要退款！请在三十天内联系我们。我们会在五个工作日内处理吗？" * 12

    pieces = split(text, chunk_tokens=60, overlap_tokens=0)

    assert len(pieces) > 3
    assert {piece.text[-1] for piece in pieces} <= set("。！？")


def test_question_and_answer_stay_together() -> None:
    """Each entry of a question list is one passage, in both languages."""
    answer = "Open settings and choose reset. " * 6
    pieces = split(
        f"Q: How do I reset it?\nA: {answer}\n\n问：如何退款？\n答：请联系我们。", chunk_tokens=30
    )

    assert [piece.kind for piece in pieces] == ["faq", "faq"]
    assert pieces[0].text.startswith("Q: How do I reset it?")
    assert pieces[0].text.endswith("choose reset.")
    assert pieces[1].text == "问：如何退款？\n答：请联系我们。"


def test_a_section_under_a_question_is_its_answer_whole() -> None:
    """A heading that asks makes its section one entry, up to the entry's own limit."""
    body = "It works like this. " * 12
    whole = split(f"## How does it work?\n\n{body}", chunk_tokens=30, faq_tokens_max=100)
    cut = split(f"## How does it work?\n\n{body}", chunk_tokens=30, faq_tokens_max=40)

    assert [piece.kind for piece in whole] == ["faq"]
    assert len(cut) > 1


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("- one thing\n- another thing\n- a third one", "list"),
        ("| name | price |\n|---|---|\n| cup | 3 |\n| pot | 9 |", "table"),
        ("```python\n# not a heading\nx = 1\n\ny = 2\n```", "code"),
    ],
)
def test_lists_tables_and_code_stay_whole_where_they_fit(block: str, kind: str) -> None:
    """Between paragraphs that do not fit beside it, a block is one passage."""
    filler = "Some sentence about nothing in particular. " * 4
    pieces = split(f"{filler}\n\n{block}\n\n{filler}", chunk_tokens=30, overlap_tokens=0)

    assert [(p.text, p.kind) for p in pieces if p.text == block] == [(block, kind)]


def test_the_embedded_text_fits_under_long_headings() -> None:
    """Headings take room from the passage, at most half of it."""
    heading = "A very long heading with many words in it " * 5
    pieces = split(f"# {heading}\n\n## {heading}\n\n{'word ' * 300}", chunk_tokens=60)

    assert len(heading_line(pieces[0].heading_path)) <= 120
    assert all(count_words(embedded_text(p.heading_path, p.text)) <= 60 for p in pieces)


def test_endless_text_without_a_token_boundary_is_cut_all_the_same() -> None:
    """One token of 10,000 characters does not become one passage."""
    pieces = split("x" * 10_000)

    assert [len(piece.text) for piece in pieces] == [3_000, 3_000, 3_000, 1_000]


def test_too_many_passages_are_refused_in_words() -> None:
    """At limit + 1 the person who uploaded it learns the limit and the way out."""
    document = "\n\n".join(f"# H{n}\n\ntext {n}" for n in range(4))

    assert len(split(document, chunks_max=4)) == 4
    with pytest.raises(SourceUnreadable, match=r"more than 3 passages\. Split"):
        split(document, chunks_max=3)


def test_a_document_without_a_word_is_refused() -> None:
    """Rules and dots alone are no knowledge."""
    with pytest.raises(SourceUnreadable, match="No text"):
        split("---\n\n***\n\n...\n")


def test_a_changed_paragraph_changes_its_own_passage_only() -> None:
    """Passages of other sections keep their hashes."""
    old = "# A\n\none\n\n# B\n\ntwo\n\n# C\n\nthree"
    new = old.replace("two", "2")

    before = {piece.content_hash for piece in split(old)}
    after = {piece.content_hash for piece in split(new)}

    assert len(after - before) == len(before - after) == 1
