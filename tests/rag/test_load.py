"""Files in: their text comes out whole, and what cannot be read says why and what to do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import SourceUnreadable
from rag.load import BYTES_MAX, load, page
from rag.sandbox import ParserLimits, load_in_child

PAGE = """<!doctype html><html><head><title>Shop | Refunds</title><style>p{}</style>
<meta charset="utf-8"></head><body>
<header><h1>Shop</h1></header><nav><a href="/">Home</a></nav>
<div id="cookie-banner" class="x">We use cookies. Accept all?</div>
<article><header><h1>Refunds<a class="headerlink" href="#r">¶</a></h1></header>
<p>Within <b>30 days</b>, see <a href="/terms">the terms</a> or <a href="https://a.test/x">this</a>.
<img src="x.png" alt="a diagram"></p>
<h2>Steps</h2><ul><li>Write to us</li><li>Send it back</li></ul>
<table><tr><th>Kind</th><th>Days</th></tr><tr><td>Shoes</td><td>30</td></tr></table>
<pre><code>tandem kb add
  --all</code></pre>
<h2 id="cookie-policy">Cookies</h2><p>snake_case and 2*3 stay.</p>
<aside>Read also</aside><script>alert(1)</script></article>
<footer>Imprint</footer></body></html>"""


def refused(name: str, content: bytes) -> str:
    with pytest.raises(SourceUnreadable) as caught:
        load(name, content)
    assert caught.value.reason.zh != caught.value.reason.en  # each has its Chinese words
    return caught.value.reason.en


def test_a_page_becomes_its_article_in_markdown() -> None:
    """Headings, lists, tables and code survive; navigation, banners and scripts do not."""
    loaded = load("refunds.html", PAGE.encode())

    assert loaded.title == "Refunds"
    for kept in (
        "# Refunds\n",
        "Within **30 days**, see the terms or [this](https://a.test/x).",
        "a diagram",
        "## Steps\n\n- Write to us\n- Send it back",
        "| Kind | Days |\n| --- | --- |\n| Shoes | 30 |",
        "```\ntandem kb add\n  --all\n```",
        "## Cookies",
        "snake_case and 2*3 stay.",
    ):
        assert kept in loaded.markdown
    for gone in ("Home", "Shop", "We use cookies", "Read also", "alert", "Imprint", "¶", "p{}"):
        assert gone not in loaded.markdown


def test_a_page_without_an_article_element_is_read_whole() -> None:
    """Old pages have neither main nor article; their title stands in for a heading."""
    loaded = load("a.htm", b"<html><title>Old</title><body><div>Some text.</div></body></html>")

    assert (loaded.title, loaded.markdown) == ("Old", "Some text.\n")


def test_markdown_loses_front_matter_and_comments_and_gains_hash_headings() -> None:
    """Underlined headings become # lines; code fences are left alone."""
    text = (
        '---\ntitle: "My page"\ntags: [a]\n---\n<!-- secret -->\nTop\n===\n\ntext\n\nSub\n---\n\n'
        "```\n# no heading\nx\n---\n```\n\n- item\n---\n"
    )
    loaded = load("a.md", text.encode())

    assert loaded.title == "My page"
    assert loaded.markdown == (
        "# Top\n\ntext\n\n## Sub\n\n```\n# no heading\nx\n---\n```\n\n- item\n---\n"
    )


def test_the_title_is_the_first_heading_else_the_name() -> None:
    """A heading inside a code fence is no title."""
    assert load("a.md", b"```\n# code\n```\n\n## *Real* one\n").title == "Real one"
    assert load("opening_hours-2026.txt", b"Nine to five.").title == "opening hours 2026"


@pytest.mark.parametrize(
    ("content", "text", "warns"),
    [
        ("退款政策。".encode(), "退款政策。", False),
        (b"\xef\xbb\xbf" + "退款".encode(), "退款", False),
        ("退款".encode("utf-16"), "退款", False),
        ("Refunds in 30 days, 退款".encode("utf-16-le"), "Refunds in 30 days, 退款", True),
        ("Refunds in 30 days, 退款".encode("utf-16-be"), "Refunds in 30 days, 退款", True),
        ("退款".encode("utf-32"), "退款", False),
        (
            "退款政策：請於三十天內聯絡我們，這是可以的。".encode("big5"),
            "退款政策：請於三十天內聯絡我們，這是可以的。",
            True,
        ),
        (
            "退款政策：请三十天内联系。".encode("gb18030"),
            "退款政策：请三十天内联系。",
            True,
        ),
        ("Un café très cher, déjà payé".encode("cp1252"), "Un café très cher, déjà payé", True),
        (b"a\r\nb\rc", "a\nb\nc", False),
    ],
)
def test_encodings_are_told_apart(content: bytes, text: str, warns: bool) -> None:
    """With or without a mark, Unicode, Chinese and Western bytes give the same letters."""
    loaded = load("a.txt", content)

    assert loaded.markdown.strip() == text
    assert bool(loaded.warnings) is warns


def test_a_page_may_declare_its_encoding() -> None:
    """The meta tag of an old Chinese page is believed where UTF-8 does not fit."""
    old = '<html><meta charset="gb2312"><body><p>营业时间</p></body></html>'

    assert "营业时间" in load("a.html", old.encode("gb2312")).markdown


def test_text_is_made_storable() -> None:
    """Control characters go; what no database can keep is replaced, not refused."""
    odd = b"<html><body><p>a&#0;b\x07c</p></body></html>"

    assert "\x00" not in load("a.html", odd).markdown
    assert "\x07" not in load("a.html", odd).markdown


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.md", b"", "empty"),
        ("a.md", b" \n\t ", "empty"),
        ("a.md", b"---\ntitle: x\n---\n", "No text"),
        ("a.html", b"<html><script>x</script></html>", "No text"),
        ("a.html", b"just words", "no HTML"),
        ("a.md", b"<!DOCTYPE html><p>x", "Name it .html"),
        ("a.txt", b"\x00\x01\x02 binary", "binary"),
        ("a.txt", b"a\x00b\x00\x00\x00c\x01", "binary"),
        ("a.txt", b"%PDF-1.7", "a PDF"),
        ("a.txt", b"#!/bin/sh\nrm -rf /", "a program"),
        ("a.csv", b"\xd0\xcf\x11\xe0 workbook", "an old Office file"),
        ("a.doc", b"\xd0\xcf\x11\xe0 document", "Save it as .docx"),
        ("a.pptx", b"PK\x03\x04", "Save it as .pdf"),
        ("a.md", b"PK\x03\x04rest", "ZIP or Office"),
        ("a.html", b"\x89PNG\r\n", "a picture"),
        ("a.exe", b"MZ", ".exe is not a kind"),
        ("README", b"text", "without an extension"),
        ("a.pdf", b"%PDF-1.7", "file is damaged"),
        ("a.pdf", b"text", "is something else"),
        ("a.docx", b"text", "is something else"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, content: bytes, says: str) -> None:
    """Each refusal names its cause in words for the person who uploaded it."""
    assert says in refused(name, content)


def test_a_file_over_the_limit_is_refused_with_its_size() -> None:
    """At limit + 1 byte the answer names size, limit and way out; at the limit it is read."""
    most = b"word " * (BYTES_MAX // 5)
    most += b"x" * (BYTES_MAX - len(most))

    assert "20 MB are the limit" in refused("a.txt", most + b"x")
    assert "5,000,000 are the limit" in refused("a.txt", most)


def test_a_page_nested_too_deep_is_refused() -> None:
    """Limit + 1 levels get a reason; a normal depth is read."""
    deep = page.HTML_DEPTH_MAX + 1

    assert "levels deep" in refused("a.html", b"<div>" * deep + b"x")
    assert load("a.html", b"<div>" * 200 + b"deep text").markdown == "deep text\n"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.md", "a.txt", "a.html", "a.csv", "a.pdf"]))
def test_any_bytes_are_read_or_refused(content: bytes, name: str) -> None:
    """No input makes a loader raise anything but SourceUnreadable, or give unstorable text."""
    try:
        markdown = load(name, content).markdown
    except SourceUnreadable as error:
        markdown = error.reason.en

    assert markdown.strip()
    assert "\x00" not in markdown
    assert markdown.encode()


async def test_the_child_gives_what_the_loader_gives() -> None:
    """Through the process border nothing changes, neither a text nor a refusal."""
    loaded = await load_in_child("refunds.html", PAGE.encode(), ParserLimits())

    assert loaded == load("refunds.html", PAGE.encode())
    with pytest.raises(SourceUnreadable, match="empty"):
        await load_in_child("a.md", b"", ParserLimits())


async def test_a_document_that_takes_too_much_time_is_given_up() -> None:
    """A page of millions of elements costs the child its limit, and its parent a reason only."""
    bomb = b"<p>" + b"<b>word</b> " * 600_000

    with pytest.raises(SourceUnreadable, match="parser was stopped"):
        await load_in_child("a.html", bomb, ParserLimits(cpu_s=1))
    with pytest.raises(SourceUnreadable, match=r"longer than 0\.2 s"):
        await load_in_child("a.html", bomb, ParserLimits(wall_s=0.2))


async def test_a_document_that_takes_too_much_memory_is_given_up() -> None:
    """The child's memory is limited before it reads the first byte."""
    large = b"<p>" + b"<b>word</b> " * 300_000

    with pytest.raises(SourceUnreadable, match="parser was stopped"):
        await load_in_child("a.html", large, ParserLimits(memory_bytes=150 * 1024 * 1024))
