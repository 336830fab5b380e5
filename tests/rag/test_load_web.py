"""Pages by their address: real HTTP against a site of our own, and addresses nobody may fetch."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.errors import SourceUnreadable
from rag.intake import Parts
from rag.knowledge import Knowledge
from rag.load.guard import URL_CHARS_MAX, Guard, WebHosts
from rag.load.web import Fetcher, WebLimits, name_of
from rag.types import Page
from storage.database import Database
from tests.rag import papers
from tests.rag.taking import Base
from tests.rag.websites import HTML, site


def resolving(
    addresses: dict[str, list[str]], asked: list[str] | None = None
) -> Callable[[str, int], "asyncio.Future[list[str]]"]:
    """A resolver that knows these names."""

    async def resolve(host: str, _port: int) -> list[str]:
        if asked is not None:
            asked.append(host)
        if host not in addresses:
            raise OSError("no such name")
        return addresses[host]

    return resolve  # pyright: ignore[reportReturnType]


def fetcher(port: int, limits: WebLimits | None = None, asked: list[str] | None = None) -> Fetcher:
    """One that may reach the test's own site, as an operator's intranet, and nothing else."""
    names = {"shop.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
    hosts = WebHosts(internal=frozenset({f"shop.test:{port}"}))
    return Fetcher(Guard(hosts, resolve=resolving(names, asked)), limits)  # pyright: ignore[reportArgumentType]


async def refused(wanted: "asyncio.Future[object] | object") -> str:
    with pytest.raises(SourceUnreadable) as caught:
        await wanted  # pyright: ignore[reportGeneralTypeIssues]
    assert caught.value.reason.zh != caught.value.reason.en
    return caught.value.reason.en


async def test_a_page_is_fetched_and_answered_from(database: Database, tmp_path: Path) -> None:
    """By its address it becomes a source with that address, in both languages."""
    async with site() as shop:
        shop.put("/help", papers.as_html(papers.ENGLISH))
        shop.put("/bang zhu".replace(" ", "-"), papers.as_html(papers.CHINESE))
        shop.put("/price", papers.as_questions_csv(papers.ENGLISH), "text/csv")
        base = Base(database, tmp_path / "files")
        base.knowledge = Knowledge(
            Parts(
                database=database, spaces=base.spaces, files=base.files,
                fetcher=fetcher(shop.port), limits=base.limits,
            )
        )  # fmt: skip
        async with base.running() as knowledge:
            for path in ("/help", "/bang-zhu", "/price"):
                await knowledge.add_page(Page(url=shop.url(path)))
            again = await knowledge.add_page(Page(url=shop.url("/help#returns")))
            await knowledge.wait_idle()
            sources = await knowledge.sources()
            found = await base.found("who pays the postage of a lamp"), await base.found("邮费")
        base.batcher.close()

    assert [(one.name, one.state) for one in sources] == [
        (shop.url("/help"), "live"),
        (shop.url("/bang-zhu"), "live"),
        (shop.url("/price") + "#.csv", "live"),
    ]
    assert sources[0].url == shop.url("/help")
    assert again.source_id == sources[0].id
    assert any("The shop pays the postage" in text for text in found[0])
    assert any("邮费由商店承担" in text for text in found[1])
    assert not any("Imprint" in text for text in found[0])
    assert "authorization" not in shop.heads[0].lower()
    assert f"host: shop.test:{shop.port}" in shop.heads[0].lower()


async def test_a_sitemap_names_its_pages() -> None:
    """Those of its own site, each once, an index of sitemaps too; packed ones are unpacked."""
    async with site() as shop:
        here = shop.url("/")
        urls = [f"{here}a", f"{here}b?x=1&amp;y=2", f"{here}a", "https://elsewhere.example/c"]
        listed = "".join(f"<url><loc> {url} </loc></url>" for url in urls)
        shop.put("/map.xml", f"<?xml version='1.0'?><urlset>{listed}</urlset>".encode(), "text/xml")
        more = f"<urlset><url><loc><![CDATA[{here}d]]></loc></url></urlset>".encode()
        shop.put("/more.xml.gz", gzip.compress(more), "application/gzip")
        maps = "".join(
            f"<sitemap><loc>{here}{name}</loc></sitemap>" for name in ("map.xml", "more.xml.gz")
        )
        shop.put("/index.xml", f"<sitemapindex>{maps}</sitemapindex>".encode(), "application/xml")
        get = fetcher(shop.port).pages

        assert await get(f"{here}map.xml") == [f"{here}a", f"{here}b?x=1&y=2"]
        assert await get(f"{here}index.xml") == [f"{here}a", f"{here}b?x=1&y=2", f"{here}d"]
        shop.put("/page", b"<p>text</p>")
        assert await get(f"{here}page") == [f"{here}page"]


async def test_a_sitemap_over_its_limits_is_refused() -> None:
    """Limit + 1 pages or maps, a document type, or nothing of its own site: each has its reason."""
    async with site() as shop:
        here = shop.url("/")

        def urls(count: int) -> bytes:
            return b"".join(
                b"<url><loc>%s%d</loc></url>" % (here.encode(), n) for n in range(count)
            )

        limits = WebLimits(pages_max=3, sitemaps_max=1)
        get = fetcher(shop.port, limits).pages
        shop.put("/ok.xml", b"<urlset>" + urls(3) + b"</urlset>", "text/xml")
        shop.put("/many.xml", b"<urlset>" + urls(4) + b"</urlset>", "text/xml")
        shop.put("/maps.xml", b"<sitemapindex>" + urls(2) + b"</sitemapindex>", "text/xml")
        shop.put("/dtd.xml", b"<!DOCTYPE x><urlset>" + urls(1) + b"</urlset>", "text/xml")
        shop.put("/none.xml", b"<urlset></urlset>", "text/xml")

        assert len(await get(f"{here}ok.xml")) == 3
        assert "names 4 addresses and 3 are the limit" in await refused(get(f"{here}many.xml"))
        assert "names 2 addresses and 1 are the limit" in await refused(get(f"{here}maps.xml"))
        assert "document type" in await refused(get(f"{here}dtd.xml"))
        assert "names no page" in await refused(get(f"{here}none.xml"))


PRIVATE = [
    "127.0.0.1", "10.0.0.7", "172.16.1.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:0:0::1", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
async def test_no_name_leads_into_a_private_network(address: str) -> None:
    """Whatever a name resolves to, in whatever clothes; one bad address among good ones is
    enough."""
    names = {"bad.example": [address], "mixed.example": ["93.184.216.34", address]}
    guard = Guard(WebHosts(), resolve=resolving(names))  # pyright: ignore[reportArgumentType]

    for host in names:
        assert "not public" in await refused(guard.target(f"https://{host}/"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "does not begin with https://"),
        ("ftp://a.example/x", "does not begin with https://"),
        ("gopher://a.example/x", "does not begin with https://"),
        ("https://user:secret@a.example/", "host is not plain"),
        ("https://a.example@evil.example/", "host is not plain"),
        ("https:///x", "host is not plain"),
        ("https://[fe80::1%25eth0]/", "host is not plain"),
        ("https://[::1", "no address"),
        ("https://a.example:99999/", "no address"),
        ("https://a.example:22/", "port 22"),
        ("http://a.example:443/", "port 443"),
        ("https://unknown.example/", "host is not known"),
        ("https://a.example/" + "x" * URL_CHARS_MAX, "longer than 2,000"),
        ("https://a.example/a b", "blanks"),
    ],
)
async def test_odd_addresses_are_refused(url: str, says: str) -> None:
    """Each with its reason, before anything is connected."""
    names = {"a.example": ["93.184.216.34"], "evil.example": ["93.184.216.34"]}
    guard = Guard(WebHosts(), resolve=resolving(names))  # pyright: ignore[reportArgumentType]

    assert says in await refused(guard.target(url))


async def test_numbers_that_mean_this_machine_are_refused() -> None:
    """The system's own resolver reads them as 127.0.0.1; what it read is what is judged."""
    for host in ("2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost", "[::1]"):
        said = await refused(Guard(WebHosts()).target(f"http://{host}/"))

        assert "not public" in said or "not known" in said


async def test_a_list_of_hosts_is_the_whole_list() -> None:
    """Where hosts are listed no other is fetched; a listed internal one may be private, but never
    a cloud's metadata service."""
    names = {
        "help.example": ["93.184.216.34"],
        "wiki.local": ["10.1.2.3"],
        "meta.local": ["169.254.169.254"],
    }
    hosts = WebHosts(
        allowed=frozenset({"help.example"}), internal=frozenset({"wiki.local", "meta.local"})
    )
    guard = Guard(hosts, resolve=resolving(names))  # pyright: ignore[reportArgumentType]

    assert (await guard.target("https://HELP.example./x?y")).pinned_url == (
        "https://93.184.216.34:443/x?y"
    )
    assert (await guard.target("http://wiki.local:8080/")).address == "10.1.2.3"
    assert "not on the list" in await refused(guard.target("https://other.example/"))
    assert "not public" in await refused(guard.target("http://meta.local/latest/meta-data"))


async def test_a_name_is_resolved_once_and_the_answer_is_kept() -> None:
    """A name that changes its address after the check changes nothing (rebinding)."""
    asked: list[str] = []
    async with site() as shop:
        shop.put("/", b"<p>text</p>")
        await fetcher(shop.port, asked=asked).page(shop.url("/"))

    assert asked == ["shop.test"]


@pytest.mark.parametrize(
    "to", ["http://10.0.0.1/", "http://other.test:{port}/", "file:///etc/passwd"]
)
async def test_a_redirect_is_judged_like_the_first_address(to: str) -> None:
    """A public page cannot lead where its reader could not have gone."""
    async with site() as shop:
        shop.lead("/", to.format(port=shop.port))
        said = await refused(fetcher(shop.port).page(shop.url("/")))

    assert "cannot be fetched" in said
    assert len(shop.heads) == 1


async def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    """The page is known by the address that was asked for, its link is where it ended."""
    async with site() as shop:
        for n in range(4):
            shop.lead(f"/{n}", f"/{n + 1}" if n else shop.url("/1"))
        shop.put("/4", b"<p>text</p>")
        get = fetcher(shop.port).page
        fetched = await get(shop.url("/1"))
        said = await refused(get(shop.url("/0")))

    assert fetched.url == shop.url("/4")
    assert "redirected more than 3 times" in said


@pytest.mark.parametrize("packed", [False, True])
async def test_a_page_over_the_limit_is_refused(packed: bool) -> None:
    """Limit + 1 bytes, whether they are sent or come out of what was sent."""
    async with site() as shop:
        for path, size in (("/most", 10_000), ("/more", 10_001)):
            body = b"x" * size
            coding = {"content-encoding": "gzip"} if packed else {}
            shop.put(path, gzip.compress(body) if packed else body, **coding)
        get = fetcher(shop.port, WebLimits(bytes_max=10_000)).page
        fits = await get(shop.url("/most"))
        said = await refused(get(shop.url("/more")))

    assert len(fits.content) == 10_000
    assert "has more than" in said


async def test_an_endless_page_ends() -> None:
    """By its size, or by the clock where it trickles."""
    async with site() as shop:
        shop.endless = True
        shop.put("/", b"<p>")
        by_size = await refused(
            fetcher(shop.port, WebLimits(bytes_max=100_000)).page(shop.url("/"))
        )
        slow = WebLimits(bytes_max=10**12, wait_s=0.2)
        by_time = await refused(fetcher(shop.port, slow).page(shop.url("/")))

    assert "has more than" in by_size
    assert "took longer than 0.2 s" in by_time


@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        (404, {"content-type": HTML}, "answers 404"),
        (500, {"content-type": HTML}, "answers 500"),
        (200, {"content-type": "image/png"}, "of the type image/png"),
        (200, {}, "of the type nothing"),
        (200, {"content-type": HTML, "content-encoding": "br"}, "packed as br"),
        (200, {"content-type": HTML, "content-encoding": "gzip"}, "damaged"),
        (200, {"content-type": "text/xml"}, "XML, not a page"),
    ],
)
async def test_what_is_no_page_is_refused(status: int, headers: dict[str, str], says: str) -> None:
    """The reason names what the server said."""
    async with site() as shop:
        shop.answers["/"] = (status, headers, b"not packed at all")

        assert says in await refused(fetcher(shop.port).page(shop.url("/")))


async def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    """The connection is refused, and the admin reads why."""
    async with site() as shop:
        get, url = fetcher(shop.port).page, shop.url("/")

    assert "does not answer (ConnectError)" in await refused(get(url))


@pytest.mark.parametrize(
    ("url", "suffix", "name"),
    [
        ("https://a.test/help#top", ".html", "https://a.test/help"),
        ("https://a.test/manual.pdf", ".pdf", "https://a.test/manual.pdf"),
        ("https://a.test/manual?format=pdf", ".pdf", "https://a.test/manual?format=pdf#.pdf"),
        ("https://a.test/page.php", ".txt", "https://a.test/page.php#.txt"),
    ],
)
def test_a_page_is_named_by_its_address_and_kind(url: str, suffix: str, name: str) -> None:
    """So that the same page again is a new version, and is read as what it is."""
    assert name_of(url, suffix) == name
