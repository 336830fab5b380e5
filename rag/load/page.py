"""Web pages."""

import re

from rag.errors import SourceUnreadable
from rag.load.text import decode, first_heading, stem, tidy
from rag.load.values import TITLE_CHARS_MAX, Loaded

HTML_DEPTH_MAX = 300  # deeper is never a page; markdownify recurses once per level
_TAG = re.compile(r"<[a-zA-Z!/][^>]*>")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.IGNORECASE)


def load_html(name: str, content: bytes) -> Loaded:
    """The article of a page, without what surrounds it."""
    from rag.html import article  # only here: the parser takes 0.1 s to import

    declared = _META_CHARSET.search(content[:4096])
    text, warnings = decode(content, declared[1].decode("ascii") if declared else None)
    if not _TAG.search(text):
        raise SourceUnreadable(
            "It holds no HTML. If it is plain text, name it .txt.",
            "文件中没有 HTML。如果是纯文本，请改名为 .txt。",
        )
    page_title, markdown = article(text, depth_max=HTML_DEPTH_MAX)
    body = tidy(markdown)
    title = first_heading(body) or page_title or stem(name)
    return Loaded(title=title[:TITLE_CHARS_MAX], markdown=body, warnings=warnings)
