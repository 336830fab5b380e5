"""Plain text and Markdown, and the encodings that they come in."""

import re
from pathlib import PurePath

from rag.errors import SourceUnreadable
from rag.load.values import TITLE_CHARS_MAX, Loaded
from rag.types import Words
from storage.text import repair_text

_HTML_START = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,10000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*")
_BLANK_LINES = re.compile(r"\n{3,}")
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LOST_SHARE_MAX = 0.05
_COMMON_HAN = re.compile(
    r"[的一是不了在有人我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffe\uffff]")
_UNREADABLE = SourceUnreadable(
    "Its characters could not be read. Save it as UTF-8 text.",
    "无法识别其中的文字编码。请将文件另存为 UTF-8 文本。",
)


def load_text(name: str, content: bytes) -> Loaded:
    """Plain text, taken as it stands."""
    text, warnings = decode(content)
    _refuse_html(text, name)
    return Loaded(title=stem(name), markdown=tidy(text), warnings=warnings)


def load_markdown(name: str, content: bytes) -> Loaded:
    """Markdown without front matter and comments, every heading as a `#` line."""
    text, warnings = decode(content)
    _refuse_html(text, name)
    front = _FRONT_MATTER.match(text)
    named = front and _FRONT_TITLE.search(front[1])
    body = tidy(_hash_headings(_COMMENT.sub("", text[front.end() :] if front else text)))
    title = named[2] if named else first_heading(body) or stem(name)
    return Loaded(title=title[:TITLE_CHARS_MAX], markdown=body, warnings=warnings)


def decode(content: bytes, declared: str | None = None) -> tuple[str, tuple[Words, ...]]:
    """The text, and a warning where its encoding had to be guessed. Raises SourceUnreadable."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _lenient(content, encoding), ()
    if b"\x00" in content:
        return _unmarked_utf16(content)
    for encoding in filter(None, ("utf-8", declared)):
        try:
            return repair_text(content.decode(encoding)), ()
        except (UnicodeDecodeError, LookupError):
            continue
    return _guess(content)


def _lenient(content: bytes, encoding: str) -> str:
    """A file that says its encoding may still be cut off in the middle of a letter."""
    text = content.decode(encoding, errors="replace")
    if text.count("\ufffd") > _LOST_SHARE_MAX * len(text):
        raise _UNREADABLE
    return repair_text(text)


def _unmarked_utf16(content: bytes) -> tuple[str, tuple[Words, ...]]:
    """Spaces and line ends of UTF-16 have a zero byte on one side only; binary data on both."""
    zeros = (content[0::2].count(0), content[1::2].count(0))
    encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\x00"
    is_text = min(zeros) * 20 <= max(zeros) and not _CONTROL.search(text)
    if not is_text or max(zeros) * 10 < len(content):
        raise SourceUnreadable(
            "The file holds binary data, not text. Save it as UTF-8 text.",
            "文件内容是二进制数据而不是文字。请另存为 UTF-8 文本。",
        )
    return repair_text(text), (_guessed(encoding.upper()),)


def _guess(content: bytes) -> tuple[str, tuple[Words, ...]]:
    # Chinese comes in pairs of high bytes; a Western accent stands alone between letters.
    in_pairs = sum(len(run) for run in re.findall(rb"[\x80-\xff]{2,}", content))
    high = sum(byte >= 0x80 for byte in content)
    encoding = _chinese(content) if in_pairs * 2 > high else "cp1252"
    text = content.decode(encoding, errors="replace")
    if text.count("\ufffd") > _LOST_SHARE_MAX * len(text):
        raise _UNREADABLE
    return repair_text(text), (_guessed(encoding.upper()),)


def _chinese(content: bytes) -> str:
    """GB18030 or Big5: whichever reads more of the commonest characters and loses none."""

    def merit(encoding: str) -> tuple[int, int]:
        text = content.decode(encoding, errors="replace")
        return -text.count("\ufffd"), len(_COMMON_HAN.findall(text))

    return max(("gb18030", "big5"), key=merit)


def _guessed(encoding: str) -> Words:
    return Words(
        f"It is not UTF-8; it was read as {encoding}. Check its letters.",
        f"文件不是 UTF-8 编码，已按 {encoding} 读取。请核对文字是否正确。",
    )


def _refuse_html(text: str, name: str) -> None:
    if _HTML_START.match(text[:4096]):
        suffix = PurePath(name).suffix
        raise SourceUnreadable(
            f"It is named {suffix} but holds an HTML page. Name it .html.",
            f"文件扩展名是 {suffix}，内容却是 HTML 网页。请改名为 .html。",
        )


def heading_of(line: str) -> tuple[int, str] | None:
    """Level and text of a `#` heading line; None for any other line."""
    match = _HEADING.fullmatch(line)
    return (len(line.lstrip()) - len(line.lstrip().lstrip("#")), match[1]) if match else None


def fence_after(line: str, fence: str | None) -> str | None:
    """The code fence that is open after `line`, given the one open before it."""
    match = _FENCE.match(line)
    if match is None:
        return fence
    if fence is None:
        return match[1]
    closes = match[1][0] == fence[0] and len(match[1]) >= len(fence)
    return None if closes and not line.strip().strip(fence[0]) else fence


def _hash_headings(text: str) -> str:
    """Underlined headings as `#` lines; nothing inside code fences changes."""
    lines: list[str] = []
    fence: str | None = None
    for line in text.split("\n"):
        under = None if fence else _UNDERLINE.fullmatch(line)
        if under and lines and _may_be_heading(lines):
            lines[-1] = f"{'#' if under[1][0] == '=' else '##'} {lines[-1].strip()}"
            continue
        fence = fence_after(line, fence)
        lines.append(line)
    return "\n".join(lines)


def _may_be_heading(lines: list[str]) -> bool:
    last, before = lines[-1], lines[-2] if len(lines) > 1 else ""
    plain = not re.match(r"\s*(?:[#>|*+`~-]|\d+[.)])|\s{4}", last)
    return plain and bool(last.strip()) and not before.strip() and "|" not in last


def first_heading(markdown: str) -> str | None:
    """The text of the first heading, without emphasis."""
    fence: str | None = None
    for line in markdown.split("\n"):
        fence = fence_after(line, fence)
        if fence is None and (heading := heading_of(line)):
            return re.sub(r"[*_`]+", "", heading[1])
    return None


def tidy(text: str) -> str:
    """No blanks at line ends, no two blank lines in a row, one line end at the end."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip("\n") + "\n"


def stem(name: str) -> str:
    """A title made of a file's name."""
    return PurePath(name).stem.replace("_", " ").replace("-", " ").strip() or name
