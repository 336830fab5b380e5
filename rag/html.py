"""The article of an HTML page as Markdown: what surrounds it goes, its structure stays."""

import re
import sys

from markdownify import markdownify
from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag.errors import SourceUnreadable

_DROPPED = (
    "script, style, noscript, template, iframe, object, embed, svg, canvas, form, dialog, nav,"
    " footer, aside, [role=navigation], [role=banner], [role=contentinfo], [role=search],"
    " a.headerlink, a.anchor, a.anchor-link, [hidden]"
)
_BANNER = re.compile(
    r"(?:cookie|consent|gdpr)[\w-]*(?:banner|notice|bar|popup|modal|overlay|dialog|message|wall)"
    r"|onetrust|cc-window|cookiebot|cookie-?consent",
    re.IGNORECASE,
)
_BANNER_CHARS_MAX = 2_000  # a longer text is an article about cookies
_CONTENT = "main, article, [role=main]"


def article(page: str, *, depth_max: int) -> tuple[str | None, str]:
    """The page's own title, and its article as Markdown. Raises SourceUnreadable if it is nested
    deeper than `depth_max`."""
    tree = LexborHTMLParser(page)
    root = tree.root
    if root is None:
        return None, ""
    _refuse_deep(root, depth_max)
    title_node = tree.css_first("title")
    title = " ".join(title_node.text().split()) if title_node else None
    body = tree.body or root
    _drop(body)
    _simplify(body)
    parts = _content(body)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), depth_max * 20))
    markdown = "\n\n".join(
        markdownify(
            part.html or "",
            heading_style="ATX",
            bullets="-",
            escape_asterisks=False,
            escape_underscores=False,
        )
        for part in parts
    )
    return title, markdown


def _refuse_deep(root: LexborNode, depth_max: int) -> None:
    depths: dict[int, int] = {}
    for node in root.traverse():
        parent = node.parent
        depth = depths[node.mem_id] = depths.get(parent.mem_id, 0) + 1 if parent else 0
        if depth > depth_max:
            raise SourceUnreadable(
                f"Its elements are nested more than {depth_max} levels deep, which no browser page"
                " needs. Save the page's text as .txt or .md."
            )


def _drop(body: LexborNode) -> None:
    for node in body.css(_DROPPED):
        node.decompose()
    for node in body.css("header"):
        if not _is_inside_content(node):
            node.decompose()
    for node in body.css("div, section"):
        names = f"{node.attributes.get('class') or ''} {node.attributes.get('id') or ''}"
        if _BANNER.search(names) and len(node.text()) <= _BANNER_CHARS_MAX:
            node.decompose()


def _is_inside_content(node: LexborNode) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag in {"main", "article"}:
            return True
        parent = parent.parent
    return False


def _simplify(body: LexborNode) -> None:
    """Pictures become their description, links that lead nowhere outside the page their text."""
    for picture in body.css("img"):
        picture.replace_with(picture.attributes.get("alt") or "")
    for link in body.css("a"):
        if not (link.attributes.get("href") or "").startswith(("https://", "http://", "mailto:")):
            link.unwrap()


def _content(body: LexborNode) -> list[LexborNode]:
    """The outermost content elements if they hold most of the text, else the whole body."""
    outer = [node for node in body.css(_CONTENT) if not _is_inside_content(node)]
    inside = sum(len(node.text()) for node in outer)
    return outer if inside * 2 > len(body.text()) else [body]
