"""Real files of each format, made by common tools: a manual with a middle, a table and a list.

What stands in them is the same in every format, so that one test can ask them all.
"""

import csv
import functools
import html
import io
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import docx
import openpyxl

from tests.needs import chromium


@dataclass(frozen=True, slots=True)
class Manual:
    """A small manual in one language."""

    language: str
    title: str
    sections: tuple[tuple[str, str], ...]  # heading → paragraph
    table_heading: str
    table: tuple[tuple[str, ...], ...]
    list_heading: str
    items: tuple[str, ...]
    asks: tuple[tuple[str, str], ...]  # question → what its answer must hold
    columns: tuple[str, str]  # of a question list
    wordings_column: str
    other_wording: str  # of the first section's question


ENGLISH = Manual(
    language="en",
    title="Lamp manual",
    sections=(
        (
            "Assembling the lamp",
            (
                "Screw the arm to the base and tighten the ring by hand. The arm clicks when it is"
                " straight. Do not use a wrench, because the ring is made of brass."
            ),
        ),
        (
            "Returning a lamp",
            (
                "You can return a lamp within 30 days of the day it arrived. The shop pays the"
                " postage, and the money is back on your account within 14 days after the parcel"
                " reached us."
            ),
        ),
        (
            "Cleaning the shade",
            (
                "Wipe the shade with a dry cloth once a week. Never use water or alcohol on the"
                " paper shade."
            ),
        ),
    ),
    table_heading="Warranty by product",
    table=(
        ("Product", "Warranty", "Price"),
        ("Desk lamp", "24 months", "49.90 EUR"),
        ("Floor lamp", "36 months", "129 EUR"),
        ("Reading light", "12 months", "19 EUR"),
    ),
    list_heading="What is in the box",
    items=("The lamp with its cable", "A spare bulb of 7 watts", "Two brass screws"),
    asks=(
        ("Who pays the postage when I return a lamp?", "The shop pays the postage"),
        ("Floor lamp: warranty in months?", "36 months"),
        ("Is there a spare bulb in the box?", "A spare bulb of 7 watts"),
    ),
    columns=("Question", "Answer"),
    wordings_column="Other phrasings",
    other_wording="Send the thing back for a refund?",
)
CHINESE = Manual(
    language="zh",
    title="台灯使用手册",
    sections=(
        (
            "安装台灯",
            "把灯臂拧到底座上，用手拧紧铜环。灯臂装正时会发出咔哒一声。请不要使用扳手，铜环会被损坏。",
        ),
        (
            "退货办法",
            (
                "收到台灯之后三十天之内可以退货。邮费由商店承担，退款会在我们收到包裹之后的十四天之内"
                "退回您的账户。"
            ),
        ),
        ("清洁灯罩", "每周用干布擦拭灯罩一次。纸质灯罩绝对不能沾水或者酒精。"),
    ),
    table_heading="各产品保修期",
    table=(
        ("产品", "保修期", "价格"),
        ("书桌台灯", "24个月", "199元"),
        ("落地灯", "36个月", "599元"),
        ("夹子灯", "12个月", "89元"),
    ),
    list_heading="包装清单",
    items=("台灯和电源线", "7瓦备用灯泡一只", "铜螺丝两颗"),
    asks=(
        ("退货的邮费由谁承担？", "邮费由商店承担"),
        ("落地灯的保修期是多久？", "36个月"),
        ("包装里有备用灯泡吗？", "7瓦备用灯泡"),
    ),
    columns=("问题", "答案"),
    wordings_column="相似问法",
    other_wording="不想要了怎么寄回去？",
)
MANUALS = {"en": ENGLISH, "zh": CHINESE}


def as_html(manual: Manual, *, furniture: bool = True) -> bytes:
    """A page with navigation and footer around it."""
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in manual.table
    )
    items = "".join(f"<li>{html.escape(item)}</li>" for item in manual.items)
    first, *rest = manual.sections
    sections = "".join(f"<h2>{h}</h2><p>{t}</p>" for h, t in rest)
    around = ("<nav>Home Shop</nav>", "<footer>Imprint</footer>") if furniture else ("", "")
    return (
        f'<!doctype html><html lang="{manual.language}"><head><meta charset="utf-8">'
        f"<title>{manual.title}</title><style>@page{{margin:2cm}}"
        "td{padding:4px 12px;border:1px solid}</style></head>"
        f"<body>{around[0]}<main><h1>{manual.title}</h1><h2>{first[0]}</h2><p>{first[1]}</p>"
        f"<h2>{manual.table_heading}</h2><table>{rows}</table>{sections}"
        f"<h2>{manual.list_heading}</h2><ul>{items}</ul></main>{around[1]}</body></html>"
    ).encode()


def as_markdown(manual: Manual) -> bytes:
    lines = [f"# {manual.title}", ""]
    for heading, text in manual.sections:
        lines += [f"## {heading}", "", text, ""]
    lines += [f"## {manual.table_heading}", "", f"| {' | '.join(manual.table[0])} |"]
    lines += ["|---|---|---|", *(f"| {' | '.join(row)} |" for row in manual.table[1:]), ""]
    lines += [f"## {manual.list_heading}", "", *(f"- {item}" for item in manual.items)]
    return "\n".join(lines).encode()


def as_text(manual: Manual) -> bytes:
    """Plain text, in UTF-16 as an old editor saves it."""
    blocks = [f"{heading}\n{text}" for heading, text in manual.sections]
    table = "\n".join("  ".join(row) for row in manual.table)
    items = "\n".join(f"- {item}" for item in manual.items)
    blocks += [f"{manual.table_heading}\n{table}", f"{manual.list_heading}\n{items}"]
    return "\n\n".join(blocks).encode("utf-16")


def as_docx(manual: Manual) -> bytes:
    document = docx.Document()
    document.add_heading(manual.title, 0)
    for heading, text in manual.sections:
        document.add_heading(heading, 1)
        document.add_paragraph(text)
    document.add_heading(manual.table_heading, 1)
    table = document.add_table(rows=0, cols=3)
    for row in manual.table:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.add_heading(manual.list_heading, 1)
    for item in manual.items:
        document.add_paragraph(item, style="List Bullet")
    return _saved(document)


def as_table_book(manual: Manual) -> bytes:
    """A workbook with a table and a list, none of them questions."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    sections = book.create_sheet(manual.title)
    for row in (("Topic", "Text"), *manual.sections):
        sections.append(row)
    table = book.create_sheet(manual.table_heading)
    for row in manual.table:
        table.append(row)
    items = book.create_sheet(manual.list_heading)
    for item in (manual.list_heading, *manual.items):
        items.append([item])
    return _saved(book)


def as_questions_book(manual: Manual) -> bytes:
    """A workbook with a list of questions below a title, and a hidden note."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append([manual.title])
    for row in _question_rows(manual):
        sheet.append(row)
    return _saved(book)


def as_questions_csv(manual: Manual) -> bytes:
    """As a spreadsheet exports it: semicolons, and in Chinese not in UTF-8."""
    file = io.StringIO()
    csv.writer(file, delimiter=";").writerows(_question_rows(manual))
    return file.getvalue().encode("gb18030" if manual.language == "zh" else "utf-8")


def _question_rows(manual: Manual) -> list[list[str]]:
    rows = [[*manual.columns, manual.wordings_column]]
    texts = [text for _, text in manual.sections]
    answers = [texts[1], ", ".join(manual.table[2]), ", ".join(manual.items)]
    for (question, _), answer in zip(manual.asks, answers, strict=True):
        rows.append([question, answer, ""])
    rows[1][2] = manual.other_wording
    return rows


@functools.cache
def as_pdf(language: str) -> bytes:
    """Printed by a browser, with its header and footer on each page."""
    return print_pdf(as_html(MANUALS[language], furniture=False))


def print_pdf(page: bytes) -> bytes:
    """What Chromium prints of a page."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "page.html"), Path(folder, "page.pdf")
        source.write_bytes(page)
        subprocess.run(
            [
                chromium(),
                *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/u"),
                f"--print-to-pdf={target}",
                source.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
        return target.read_bytes()


def _saved(document: object) -> bytes:
    file = io.BytesIO()
    document.save(file)  # pyright: ignore[reportAttributeAccessIssue]
    return file.getvalue()
