"""A real file of each format, in both languages: what stands in it is found and quoted."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rag.extract import Draft, Extractive
from rag.load import Loaded, load
from rag.retrieve import Retriever
from rag.types import Question, Upload
from storage.database import Database
from tests.rag import papers
from tests.rag.papers import CHINESE, ENGLISH, MANUALS, Manual
from tests.rag.taking import Base

MAKERS: dict[str, Callable[[Manual], bytes]] = {
    "manual.pdf": lambda manual: papers.as_pdf(manual.language),
    "manual.docx": papers.as_docx,
    "manual.html": papers.as_html,
    "manual.md": papers.as_markdown,
    "manual.txt": papers.as_text,
    "table.xlsx": papers.as_table_book,
    "questions.xlsx": papers.as_questions_book,
    "questions.csv": papers.as_questions_csv,
}
BROWSER = pytest.mark.browser
NAMES = [pytest.param(name, marks=BROWSER if name.endswith(".pdf") else ()) for name in MAKERS]


@pytest.fixture
async def base(database: Database, tmp_path: Path) -> AsyncIterator[Base]:
    base = Base(database, tmp_path / "files")
    yield base
    base.batcher.close()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", NAMES)
async def test_its_middle_its_table_and_its_list_are_answered_from(
    base: Base, name: str, language: str
) -> None:
    """Uploaded, read in the child, live: for each question the passage is found first, and what
    stands there is quoted with its source. (Whether a base of one page is certain enough to
    answer is the calibration's matter.)"""
    manual = MANUALS[language]
    async with base.running() as knowledge:
        status = await knowledge.add(Upload(name=name, content=MAKERS[name](manual)))
        await knowledge.wait_idle()
        live = await knowledge.progress(status.revision_id)
    retriever, writer = Retriever(base.database, base.spaces), Extractive()
    await retriever.refresh()
    drafts: list[Draft] = []
    for question, _ in manual.asks:
        found = await retriever.search(Question(text=question))
        drafts.append(writer.write(question, found.evidence.candidates[:1]))

    assert (live.state, live.reason) == ("live", None)
    assert live.health is not None
    assert live.health.language == language
    assert live.health.questions >= 3
    for (question, expected), draft in zip(manual.asks, drafts, strict=True):
        assert _folded(expected) in _folded(draft.citations[0].quote), question
        assert _folded(expected) in _folded(draft.text), question
        assert draft.citations[0].source == name


def _folded(text: str) -> str:
    return re.sub(r"[\s|*-]+", " ", text)


@BROWSER
def test_a_printed_page_becomes_headings_table_list_and_paragraphs() -> None:
    """Sizes and places of the letters tell what was a heading, a row, an item, one sentence."""
    loaded = load("lamp.pdf", papers.as_pdf("en"))

    assert loaded.title == "Lamp manual"
    assert "## Returning a lamp\n\nYou can return a lamp within 30 days" in loaded.markdown
    assert "| Floor lamp | 36 months | 129 EUR |" in loaded.markdown
    assert "\n- A spare bulb of 7 watts\n- Two brass screws" in loaded.markdown
    assert "money is back on your account within 14 days after" in loaded.markdown
    assert "page.html" not in loaded.markdown  # the browser's own header and footer
    assert loaded.page_characters
    assert loaded.scanned_pages == ()


@BROWSER
def test_a_chinese_page_keeps_its_order_and_gets_no_blanks() -> None:
    """Lines are joined without a space, and the table has its columns."""
    loaded = load("lamp.pdf", papers.as_pdf("zh"))

    assert loaded.title == "台灯使用手册"
    assert "退款会在我们收到包裹之后的十四天之内退回您的账户。" in loaded.markdown
    assert "| 落地灯 | 36个月 | 599元 |" in loaded.markdown


def test_a_word_file_keeps_headings_lists_and_the_first_row_as_header() -> None:
    """Styles become Markdown; a table without a marked header has it in its first row."""
    loaded = load("lamp.docx", papers.as_docx(ENGLISH))

    assert loaded.title == "Lamp manual"
    assert "# Returning a lamp\n" in loaded.markdown
    assert "| Product | Warranty | Price |\n| --- | --- | --- |\n| Desk lamp |" in loaded.markdown
    assert "- A spare bulb of 7 watts" in loaded.markdown


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Question,Answer", True),
        ("  FAQ ;Reply", True),
        ("问题\t回答", True),
        ("Nr,Question,Answer", True),
        ("Name,Price", False),
    ],
)
def test_a_question_list_is_known_by_its_header(header: str, found: bool) -> None:
    """In English and Chinese, whatever separates the cells; other tables stay tables."""
    mark = next(one for one in ",;\t" if one in header)
    cells = ["1", "How long?", "30 days"][-header.count(mark) - 1 :]
    loaded = load("a.csv", f"{header}\n{mark.join(cells)}\n".encode())

    assert bool(loaded.entries) is found
    assert bool(loaded.markdown.strip()) is not found


def test_a_list_without_header_is_taken_by_place_where_that_is_clear() -> None:
    """Two columns, the first of which asks. Three columns are not clear."""
    two = b"How long?,30 days\nWho pays?,The shop\n"
    three = b"How long?,30 days,x\nWho pays?,The shop,y\n"

    assert [e.question for e in load("a.csv", two).entries] == ["How long?", "Who pays?"]
    assert load("a.csv", three).entries == ()


def test_all_columns_of_a_question_list_are_read() -> None:
    """Wordings from one cell or several, audience, language and topic; rows that lack something
    are left out and said."""
    rows = (
        "Topic,Question,Answer,Similar questions,Variants,Audience,Language\n"
        'Returns,How long?,30 days,"In what time?; By when?",Until when?,Staff,English\n'
        ",Who pays?,The shop,,,,\n"
        ",Lonely question,,,,,\n"
        ",,,,,,\n"
    )
    loaded = load("faq.csv", rows.encode())
    first, second = loaded.entries

    assert (first.section, first.audience, first.language) == ("Returns", "staff", "en")
    assert first.phrasings == ("In what time?", "By when?", "Until when?")
    assert (second.phrasings, second.audience, second.language) == ((), None, None)
    assert [warning.en for warning in loaded.warnings] == [
        "rows 4: a question or an answer is missing; 1 left out."
    ]


def test_a_long_table_repeats_its_header() -> None:
    """However it is cut, a row stands with the names of its columns."""
    rows = "".join(f"Part {n},{n * 10},{'shelf ' * 5}\n" for n in range(100))
    loaded: Loaded = load("stock.csv", f"Part,Count,Place\n{rows}".encode())

    assert loaded.markdown.startswith("# stock\n")
    assert loaded.markdown.count("| Part | Count | Place |") > 5
    assert loaded.markdown.count("| Part 99 | 990 |") == 1


def test_a_sheet_of_questions_may_stand_beside_other_sheets() -> None:
    """Each sheet is read as what it is; cells keep what a person sees."""
    import datetime as dt

    import openpyxl

    book = openpyxl.Workbook()
    questions = book.worksheets[0]
    questions.title = "FAQ"
    for row in (CHINESE.columns, ("多久？", "三十天")):
        questions.append(row)
    dates = book.create_sheet("Holidays")
    for row in (("Day", "Open", "Hours"), (dt.datetime(2026, 12, 24), True, 4.5)):
        dates.append(row)
    loaded = load("both.xlsx", papers._saved(book))  # pyright: ignore[reportPrivateUsage]

    assert [(e.section, e.question, e.answer) for e in loaded.entries] == [
        ("FAQ", "多久？", "三十天")
    ]
    assert "# Holidays" in loaded.markdown
    assert "| 2026-12-24 | TRUE | 4.5 |" in loaded.markdown
