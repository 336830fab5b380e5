"""Word documents (.docx)."""

import importlib
import io
from typing import Any

from rag.load.package import refuse_unfit_package
from rag.load.page import HTML_DEPTH_MAX
from rag.load.text import first_heading, stem, tidy
from rag.load.values import TITLE_CHARS_MAX, Loaded

# Word's title is a style of its own, in the languages that Word is mostly used in.
_STYLES = "\n".join(
    f"p[style-name='{name}'] => h1:fresh" for name in ("Title", "title", "标题", "Titel", "Titre")
)


def load_docx(name: str, content: bytes) -> Loaded:
    """Headings, lists and tables by their styles; pictures by their description."""
    refuse_unfit_package(content, part="word/document.xml")
    from rag.html import fragment
    from rag.load.broken import reading

    with reading("docx"):
        html = _as_html(content)
    body = tidy(fragment(html, depth_max=HTML_DEPTH_MAX))
    title = first_heading(body) or stem(name)
    return Loaded(title=title[:TITLE_CHARS_MAX], markdown=body)


def _as_html(content: bytes) -> str:
    mammoth: Any = importlib.import_module("mammoth")

    def as_nothing(_image: Any) -> dict[str, str]:
        return {"src": ""}  # its description stays

    converted = mammoth.convert_to_html(
        io.BytesIO(content),
        style_map=_STYLES,
        convert_image=mammoth.images.img_element(as_nothing),
    )
    return str(converted.value)
