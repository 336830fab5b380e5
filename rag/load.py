"""One document's bytes to Markdown with headings, or a reason why not.

`load` is pure and may meet a hostile file, so the librarian never calls it: `rag.sandbox` runs this
module as a child process with limits. A new format is one function and one line in `LOADERS`.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import PurePath

from rag.errors import SourceUnreadable
from storage.text import repair_text

BYTES_MAX = 20 * 1024 * 1024
CHARACTERS_MAX = 5_000_000
HTML_DEPTH_MAX = 300  # deeper is never a page; markdownify recurses once per level
TITLE_CHARS_MAX = 200

# What a file is by its first bytes, whatever its name says.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP or Office file"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"{\\rtf", "an RTF file"),
    (b"\x89PNG", "a picture"),
    (b"GIF8", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3", "a database"),
)
_HTML_START = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_TAG = re.compile(r"<[a-zA-Z!/][^>]*>")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,10000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*")
_BLANK_LINES = re.compile(r"\n{3,}")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A document as Markdown: headings as `#` lines, no front matter, no navigation."""

    title: str
    markdown: str
    warnings: tuple[str, ...] = ()


def load(name: str, content: bytes) -> Loaded:
    """The document called `name`. Raises SourceUnreadable, whose reason names the way out."""
    refuse_unfit(name, content)
    loaded = LOADERS[PurePath(name).suffix.lower()](name, content)
    if not loaded.markdown.strip():
        raise SourceUnreadable("No text was found in it. Check that the file holds what you meant.")
    if len(loaded.markdown) > CHARACTERS_MAX:
        raise SourceUnreadable(
            f"It holds {len(loaded.markdown):,} characters; {CHARACTERS_MAX:,} are the limit."
            " Split it into several documents."
        )
    return loaded


def load_text(name: str, content: bytes) -> Loaded:
    """Plain text, taken as it stands."""
    text, warnings = _decode(content)
    _refuse_html(text, name)
    return Loaded(title=_stem(name), markdown=_tidy(text), warnings=warnings)


def load_markdown(name: str, content: bytes) -> Loaded:
    """Markdown without front matter and comments, every heading as a `#` line."""
    text, warnings = _decode(content)
    _refuse_html(text, name)
    front = _FRONT_MATTER.match(text)
    named = front and _FRONT_TITLE.search(front[1])
    body = _tidy(_hash_headings(_COMMENT.sub("", text[front.end() :] if front else text)))
    title = named[2] if named else _first_heading(body) or _stem(name)
    return Loaded(title=title[:TITLE_CHARS_MAX], markdown=body, warnings=warnings)


def load_html(name: str, content: bytes) -> Loaded:
    """The article of a page, without what surrounds it."""
    from rag.html import article  # only here: the parser takes 0.1 s to import

    declared = _META_CHARSET.search(content[:4096])
    text, warnings = _decode(content, declared[1].decode("ascii") if declared else None)
    if not _TAG.search(text):
        raise SourceUnreadable("It holds no HTML. If it is plain text, name it .txt.")
    page_title, markdown = article(text, depth_max=HTML_DEPTH_MAX)
    body = _tidy(markdown)
    title = _first_heading(body) or page_title or _stem(name)
    return Loaded(title=title[:TITLE_CHARS_MAX], markdown=body, warnings=warnings)


Loader = Callable[[str, bytes], Loaded]

LOADERS: dict[str, Loader] = {
    ".md": load_markdown,
    ".markdown": load_markdown,
    ".html": load_html,
    ".htm": load_html,
    ".txt": load_text,
}


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


def refuse_unfit(name: str, content: bytes) -> None:
    """Raise SourceUnreadable for what can be told at a glance: kind, size, first bytes."""
    if PurePath(name).suffix.lower() not in LOADERS:
        raise SourceUnreadable(
            f"{PurePath(name).suffix or 'A name without an extension'} is not a kind of document"
            f" Tandem reads yet. Convert it to one of {', '.join(sorted(LOADERS))}."
        )
    if not content.strip():
        raise SourceUnreadable("The file is empty.")
    if len(content) > BYTES_MAX:
        raise SourceUnreadable(
            f"The file has {len(content) / 1024 / 1024:.1f} MB; {BYTES_MAX // 1024 // 1024} MB are"
            " the limit. Split it into several documents."
        )
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            raise SourceUnreadable(
                f"The file is {kind}, whatever its name says. Save it as text, Markdown or HTML."
            )


def _refuse_html(text: str, name: str) -> None:
    if _HTML_START.match(text[:4096]):
        raise SourceUnreadable(
            f"It is named {PurePath(name).suffix} but holds an HTML page. Name it .html."
        )


def _decode(content: bytes, declared: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text, and a warning where its encoding had to be guessed."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if content.startswith(mark):
            return repair_text(content.decode(encoding, errors="replace")), ()
    if b"\x00" in content:
        raise SourceUnreadable("The file holds binary data, not text. Save it as UTF-8 text.")
    for encoding in filter(None, ("utf-8", declared)):
        try:
            return repair_text(content.decode(encoding)), ()
        except (UnicodeDecodeError, LookupError):
            continue
    return _guess(content)


def _guess(content: bytes) -> tuple[str, tuple[str, ...]]:
    # Chinese comes in pairs of high bytes; a Western accent stands alone between letters.
    in_pairs = sum(len(run) for run in re.findall(rb"[\x80-\xff]{2,}", content))
    high = sum(byte >= 0x80 for byte in content)
    encoding = "gb18030" if in_pairs * 2 > high else "cp1252"
    text = content.decode(encoding, errors="replace")
    if text.count("\ufffd") * 20 > len(text):
        raise SourceUnreadable("Its characters could not be read. Save it as UTF-8 text.")
    return repair_text(text), (f"It is not UTF-8; it was read as {encoding}. Check its letters.",)


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


def _first_heading(markdown: str) -> str | None:
    fence: str | None = None
    for line in markdown.split("\n"):
        fence = fence_after(line, fence)
        if fence is None and (heading := heading_of(line)):
            return re.sub(r"[*_`]+", "", heading[1])
    return None


def _tidy(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip("\n") + "\n"


def _stem(name: str) -> str:
    return PurePath(name).stem.replace("_", " ").replace("-", " ").strip() or name


def main(name: str, cpu_s: int, memory_bytes: int) -> None:
    """The child's whole life: bytes on standard input, JSON on standard output."""
    _limit_self(cpu_s, memory_bytes)
    try:
        answer = asdict(load(name, sys.stdin.buffer.read(BYTES_MAX + 1)))
    except SourceUnreadable as error:
        answer = {"reason": error.reason}
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _limit_self(cpu_s: int, memory_bytes: int) -> None:
    import os
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
