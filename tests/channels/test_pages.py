"""What browsers load: the widget's size and purity, the demo page, the headers."""

import gzip
import re
from importlib import resources

import httpx
import pytest

from channels.web.pages import WIDGET_PARTS, widget_script
from tests.channels.site import FOREIGN, Site
from tests.conftest import TurnedClock

WIDGET_BYTES_MAX = 12 * 1024
STATIC = resources.files("channels.web") / "static"


async def test_the_widget_is_small(client: httpx.AsyncClient):
    """At most 12 KB over the wire for the first load."""
    async with client.stream("GET", "/widget.js", headers={"Accept-Encoding": "gzip"}) as response:
        packed = b"".join([chunk async for chunk in response.aiter_raw()])

    assert response.headers["content-encoding"] == "gzip"
    assert len(packed) <= WIDGET_BYTES_MAX
    assert gzip.decompress(packed) == widget_script()


async def test_what_files_need_is_loaded_later_and_is_small(client: httpx.AsyncClient):
    """At most 3 KB more, from any site, once somebody touches a file."""
    async with client.stream(
        "GET", "/widget-files.js", headers={"Accept-Encoding": "gzip", "Origin": FOREIGN}
    ) as response:
        packed = b"".join([chunk async for chunk in response.aiter_raw()])

    assert len(packed) <= 3 * 1024
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["content-type"].startswith("text/javascript")
    assert b"export class Filing" in gzip.decompress(packed)


async def test_any_site_may_load_the_widget(client: httpx.AsyncClient):
    """It is the same for everybody, so it is not guarded by origin; it says that it is a script."""
    response = await client.get("/widget.js", headers={"Origin": FOREIGN})

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_browser_that_has_it_is_not_sent_it_again(client: httpx.AsyncClient):
    """The tag changes with the content only."""
    first = await client.get("/widget.js")
    again = await client.get("/widget.js", headers={"If-None-Match": first.headers["etag"]})

    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize("path", ["/", "/demo.js", "/demo.css"])
async def test_pages_carry_the_security_headers(client: httpx.AsyncClient, path: str):
    """No inline script, nobody frames us, no sniffing, no referrer to others."""
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]

    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "strict-transport-security" not in headers  # this one came over plain http


async def test_the_demo_page_speaks_both_languages(client: httpx.AsyncClient):
    """The manual's questions are there to be tried, in English and Chinese."""
    page = (await client.get("/")).text

    assert "How do I hand a conversation back to the bot?" in page
    assert "如何转人工" in page
    assert 'src="/widget.js"' in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\son\w+=|style=", page)


async def test_the_demo_page_can_be_left_out(database, clock: TurnedClock):
    """A company's own server shows the widget on its own pages only."""
    async with Site(database, clock, demo=False).client() as client:
        page = await client.get("/")
        script = await client.get("/widget.js")

    assert page.status_code == 404
    assert script.status_code == 200


@pytest.mark.parametrize("name", WIDGET_PARTS)
def test_the_widget_never_writes_markup(name: str):
    """Outside text can only become text: the dangerous properties do not occur at all."""
    code = (STATIC / "widget" / name).read_text("utf-8")
    words = re.sub(r"//.*", "", code)

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|cookie", words
    )


def test_every_part_of_the_widget_is_served():
    """A file that nobody joins is dead, or forgotten."""
    files = {file.name for file in (STATIC / "widget").iterdir()}

    assert files == set(WIDGET_PARTS)


def test_the_widget_says_the_same_in_both_languages():
    """Every key has its English and its Chinese text, with the same slots."""
    code = (STATIC / "widget" / "words.js").read_text("utf-8")
    english, chinese = code.split("  zh: {")
    keys = [re.findall(r"^    (\w+):", half, re.MULTILINE) for half in (english, chinese)]
    slots = [sorted(re.findall(r"\{\w+\}", half)) for half in (english, chinese)]

    assert keys[0] == keys[1]
    assert len(keys[0]) > 20
    assert slots[0] == slots[1]
