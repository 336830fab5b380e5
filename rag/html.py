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
# Elements that must be closed; others end by themselves, as a paragraph does before the next one.
_CLOSED_TAG = re.compile(
    r"<(/?)(?:div|span|section|article|main|ul|ol|dl|table|blockquote|pre|font|center|b|i|u|a|em"
    r"|strong|small|code|h[1-6]|details|figure|svg|g|math|button|select|object)(?=[\s>/])",
    re.IGNORECASE,
)
_UNCLOSED_MAX = 10  # times the depth: forgotten end tags of a careless page
_CONTENT = "main, article, [role=main]"


def article(page: str, *, depth_max: int) -> tuple[str | None, str]:
    """The page's own title, and its article as Markdown. Raises SourceUnreadable if it is nested
    deeper than `depth_max`."""
    _refuse_endless(page, depth_max)
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
    return title, _markdown(_content(body), depth_max)


def fragment(html: str, *, depth_max: int) -> str:
    """Markdown of HTML that holds nothing but a document, as a converter of another format makes
    it. Raises SourceUnreadable if it is nested deeper than `depth_max`."""
    _refuse_endless(html, depth_max)
    tree = LexborHTMLParser(html)
    body = tree.body
    if body is None:
        return ""
    _refuse_deep(body, depth_max)
    _simplify(body)
    return _markdown([body], depth_max)


def _markdown(parts: list[LexborNode], depth_max: int) -> str:
    sys.setrecursionlimit(max(sys.getrecursionlimit(), depth_max * 20))
    return "\n\n".join(
        markdownify(
            part.html or "",
            heading_style="ATX",
            bullets="-",
            escape_asterisks=False,
            escape_underscores=False,
            table_infer_header=True,  # a table without a marked header has it in its first row
        )
        for part in parts
    )


def _refuse_deep(root: LexborNode, depth_max: int) -> None:
    depths: dict[int, int] = {}
    for node in root.traverse():
        parent = node.parent
        depth = depths[node.mem_id] = depths.get(parent.mem_id, 0) + 1 if parent else 0
        if depth > depth_max:
            raise _too_deep(depth_max)


def _refuse_endless(page: str, depth_max: int) -> None:
    """Before the parser, whose time grows with the square of the depth: it is only told how deep
    a page is when it has read it."""
    depth = 0
    for tag in _CLOSED_TAG.finditer(page):
        depth += -1 if tag[1] else 1
        if depth > depth_max * _UNCLOSED_MAX:
            raise _too_deep(depth_max)


def _too_deep(depth_max: int) -> SourceUnreadable:
    return SourceUnreadable(
        f"Its elements are nested more than {depth_max} levels deep, which no document needs."
        " Save its text as .txt or .md.",
        f"元素嵌套超过 {depth_max} 层，正常的文档不会这样。请把文字另存为 .txt 或 .md。",
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
