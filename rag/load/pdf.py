"""PDF: the text layer, page by page. Pages without one are reported, never skipped silently."""

import ctypes
import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from rag.errors import SourceUnreadable
from rag.language import has_han
from rag.load.broken import reading
from rag.load.kinds import encrypted
from rag.load.layout import Cell, Line, markdown_of
from rag.load.text import first_heading, stem, tidy
from rag.load.values import CHARACTERS_MAX, TITLE_CHARS_MAX, Loaded
from rag.types import Words
from storage.text import repair_text

PAGES_MAX = 2_000
_TEXT_CHARS_MIN = 10  # a page with fewer is empty, or a picture
# Of the font's size, for a gap between two words to part two cells: justified lines have wide gaps
# between Latin words, and none beside Chinese characters.
_GAP_SIZE_MIN = 0.9
_GAP_SIZE_MIN_HAN = 0.35
_SIZE_STEP = 0.5
_BOLD_WEIGHT_MIN = 600
_PAGES_NAMED_MAX = 20
_LINE_END = re.compile(r"\r\n|\n|\r")


def load_pdf(name: str, content: bytes) -> Loaded:
    """Headings by font size, tables by their gaps, paragraphs joined again."""
    pypdfium2: Any = importlib.import_module("pypdfium2")
    raw: Any = importlib.import_module("pypdfium2.raw")
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise encrypted() from error
        raise SourceUnreadable(
            "It is not a PDF that can be opened: the file is damaged. Save or export it anew.",
            "无法打开这个 PDF：文件已损坏。请重新保存或导出。",
        ) from error
    with reading("pdf"):
        _refuse_long(len(document))
        return _loaded(PurePath(name).name, document, raw)


def _refuse_long(pages: int) -> None:
    if pages > PAGES_MAX:
        raise SourceUnreadable(
            f"It has {pages:,} pages; {PAGES_MAX:,} are the limit. Split it into several files.",
            f"共有 {pages:,} 页，上限为 {PAGES_MAX:,} 页。请拆分成几个文件。",
        )
    if pages == 0:
        raise SourceUnreadable("It has no pages. Export it anew.", "其中没有页面。请重新导出。")


def _loaded(name: str, document: Any, raw: Any) -> Loaded:
    pages: list[list[Line]] = []
    characters: list[int] = []
    scanned: list[int] = []
    for number in range(len(document)):
        page = document[number]
        lines = list(_lines(page, raw, number))
        count = sum(len(line.text) for line in lines)
        if count < _TEXT_CHARS_MIN and _has_picture(page, raw):
            scanned.append(number + 1)
        pages.append(lines)
        characters.append(count)
        page.close()
        if sum(characters) > CHARACTERS_MAX:
            break  # `load` refuses it
    empty = [at for at, count in enumerate(characters, start=1) if count < _TEXT_CHARS_MIN]
    if len(empty) == len(pages):
        raise _no_text(bool(scanned))
    markdown = tidy(markdown_of(pages))
    title = first_heading(markdown) or _own_title(document) or stem(name)
    return Loaded(
        title=title[:TITLE_CHARS_MAX],
        markdown=markdown,
        page_characters=tuple(characters),
        scanned_pages=tuple(scanned),
        warnings=tuple(_warnings(scanned, [at for at in empty if at not in scanned])),
    )


def _lines(page: Any, raw: Any, number: int) -> Iterator[Line]:
    text_page = page.get_textpage()
    text: str = text_page.get_text_range()
    height = float(page.get_height()) or 1.0
    at = 0
    for piece in _LINE_END.split(text):
        start, at = at, at + len(piece)
        at += 2 if text[at : at + 2] == "\r\n" else 1
        if piece.strip():
            letters = _Letters(text_page.raw, raw, start, piece)
            line = letters.line(number, height)
            if line is not None:
                yield line
    text_page.close()


class _Letters:
    """One line's letters, by their numbers on the page. `start` is the first one's."""

    def __init__(self, text_page: Any, raw: Any, start: int, text: str) -> None:
        self._page = text_page
        self._raw = raw
        self._start = start
        self._text = text

    def line(self, page: int, page_height: float) -> Line | None:
        first = len(self._text) - len(self._text.lstrip())
        last = len(self._text.rstrip()) - 1
        middle = self._solid((first + last) // 2, last)
        size = self._size(middle)
        box = self._box(middle)
        cells = tuple(self._cells(first, last, size))
        if not cells:
            return None
        bold = all(self._is_bold(at) for at in {first, middle, last})
        return Line(
            cells=cells, base=box[1], size=size, bold=bold, page=page, page_height=page_height
        )

    def _solid(self, at: int, last: int) -> int:
        while at < last and self._text[at].isspace():
            at += 1
        return at

    def _cells(self, first: int, last: int, size: float) -> Iterator[Cell]:
        """The line cut at its wide gaps."""
        begin, left = first, self._box(first)[0]
        for at in range(first, last):
            if not self._text[at].isspace() or self._text[at + 1].isspace():
                continue
            before = at
            while before > first and self._text[before].isspace():
                before -= 1
            right, after = self._box(before)[2], self._box(at + 1)[0]
            beside_han = has_han(self._text[before]) or has_han(self._text[at + 1])
            least = _GAP_SIZE_MIN_HAN if beside_han else _GAP_SIZE_MIN
            if after - right >= least * size:
                yield Cell(_clean(self._text[begin : before + 1]), left, right)
                begin, left = at + 1, after
        yield Cell(_clean(self._text[begin : last + 1]), left, self._box(last)[2])

    def _box(self, at: int) -> tuple[float, float, float]:
        """Left, bottom and right of a letter."""
        box = self._raw.FS_RECTF()
        self._raw.FPDFText_GetLooseCharBox(self._page, self._start + at, box)
        y, x = ctypes.c_double(), ctypes.c_double()
        self._raw.FPDFText_GetCharOrigin(self._page, self._start + at, x, y)
        return float(box.left), float(y.value), float(box.right)

    def _size(self, at: int) -> float:
        """The size that the letter is shown in: that of the font, scaled by the page."""
        size = float(self._raw.FPDFText_GetFontSize(self._page, self._start + at))
        matrix = self._raw.FS_MATRIX()
        if self._raw.FPDFText_GetMatrix(self._page, self._start + at, matrix):
            size *= float((matrix.c**2 + matrix.d**2) ** 0.5) or 1.0
        return max(round(size / _SIZE_STEP) * _SIZE_STEP, _SIZE_STEP)

    def _is_bold(self, at: int) -> bool:
        weight = int(self._raw.FPDFText_GetFontWeight(self._page, self._start + at))
        return weight >= _BOLD_WEIGHT_MIN


def _clean(text: str) -> str:
    """Without the marks that PDFium puts where a word was broken inside a line."""
    return repair_text(" ".join(text.replace("\x00", "").split()))


def _has_picture(page: Any, raw: Any) -> bool:
    return (
        next(iter(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)), None) is not None
    )


def _own_title(document: Any) -> str:
    return _clean(str(document.get_metadata_dict(skip_empty=True).get("Title", "")))


def _no_text(scanned: bool) -> SourceUnreadable:
    if scanned:
        return SourceUnreadable(
            "It is a scan: its pages are pictures without text. Run text recognition (OCR) over it"
            " and upload the result.",
            "这是扫描件：页面是图片，没有文字。请先进行文字识别（OCR）再上传。",
        )
    return SourceUnreadable(
        "No text was found on any of its pages. Check that the file is the right one.",
        "所有页面上都没有文字。请检查文件是否正确。",
    )


def _warnings(scanned: Sequence[int], empty: Sequence[int]) -> Iterator[Words]:
    if scanned:
        pages = _named(scanned)
        yield Words(
            f"Scanned pages without text: {pages}. The bot does not know what they say.",
            f"以下页面是没有文字的扫描图片：{pages}。机器人不知道其中的内容。",
        )
    if empty:
        yield Words(f"Empty pages: {_named(empty)}.", f"空白页：{_named(empty)}。")


def _named(pages: Sequence[int]) -> str:
    shown = ", ".join(map(str, pages[:_PAGES_NAMED_MAX]))
    return f"{shown} … ({len(pages)})" if len(pages) > _PAGES_NAMED_MAX else shown
