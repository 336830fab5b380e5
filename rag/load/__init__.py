"""One document's bytes to Markdown with headings, or a reason why not.

`load` is pure and may meet a hostile file, so the librarian never calls it: `rag.sandbox` runs
`rag.load.child` as a child process with limits. A new format is one function and one line in
`LOADERS`; vendors' parsers are imported by the one that needs them.
"""

from collections.abc import Callable

from rag.errors import SourceUnreadable
from rag.load.kinds import refuse_other_kind, refuse_unknown, suffix_of
from rag.load.office import load_docx
from rag.load.page import load_html
from rag.load.pdf import load_pdf
from rag.load.sheets import load_csv, load_xlsx
from rag.load.text import fence_after, heading_of, load_markdown, load_text
from rag.load.values import BYTES_MAX, CHARACTERS_MAX, FaqEntry, Loaded

Loader = Callable[[str, bytes], Loaded]

LOADERS: dict[str, Loader] = {
    ".csv": load_csv,
    ".docx": load_docx,
    ".htm": load_html,
    ".html": load_html,
    ".markdown": load_markdown,
    ".md": load_markdown,
    ".pdf": load_pdf,
    ".txt": load_text,
    ".xlsx": load_xlsx,
}


def load(name: str, content: bytes) -> Loaded:
    """The document called `name`. Raises SourceUnreadable, whose reason names the way out."""
    refuse_unfit(name, content)
    loaded = LOADERS[_suffix(name)](name, content)
    if not loaded.characters:
        raise SourceUnreadable(
            "No text was found in it. Check that the file holds what you meant.",
            "其中没有找到文字。请检查文件内容是否正确。",
        )
    if loaded.characters > CHARACTERS_MAX:
        raise SourceUnreadable(
            f"It holds {loaded.characters:,} characters; {CHARACTERS_MAX:,} are the limit."
            " Split it into several documents.",
            f"共有 {loaded.characters:,} 个字符，上限为 {CHARACTERS_MAX:,} 个。请拆分成几个文档。",
        )
    return loaded


def refuse_unfit(name: str, content: bytes) -> None:
    """Raise SourceUnreadable for what can be told at a glance: kind, size, first bytes."""
    suffix = _suffix(name)
    refuse_unknown(name, suffix, sorted(LOADERS))
    if not content.strip():
        raise SourceUnreadable("The file is empty.", "文件是空的。")
    if len(content) > BYTES_MAX:
        size, most = len(content) / 1024 / 1024, BYTES_MAX // 1024 // 1024
        raise SourceUnreadable(
            f"The file has {size:.1f} MB; {most} MB are the limit."
            " Split it into several documents.",
            f"文件大小为 {size:.1f} MB，上限为 {most} MB。请拆分成几个文档。",
        )
    refuse_other_kind(name, suffix, content)


def _suffix(name: str) -> str:
    """The extension; a web page's address needs none."""
    suffix = suffix_of(name)
    return ".html" if "://" in name and suffix not in LOADERS else suffix


__all__ = [
    "BYTES_MAX",
    "CHARACTERS_MAX",
    "LOADERS",
    "FaqEntry",
    "Loaded",
    "fence_after",
    "heading_of",
    "load",
    "refuse_unfit",
]
