"""Pages fetched by their address, one at a time or as a sitemap names them.

Every request goes to the address that the guard resolved, takes no proxy, cookie or credential
with it, and ends after so many bytes and seconds. Redirects are followed by hand, through the
guard again.
"""

import asyncio
import html
import re
import zlib
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from rag.errors import SourceUnreadable
from rag.load.guard import Guard, Target

# Content types → the extension by which the document is read.
_KINDS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_XML = frozenset({"text/xml", "application/xml", "application/gzip", "application/x-gzip"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SITEMAP = re.compile(rb"<(?:[a-z]+:)?(urlset|sitemapindex)[\s>]")
_LOCATION = re.compile(rb"<(?:[a-z]+:)?loc>\s*(?:<!\[CDATA\[)?([^<\]]{1,2000})")
_DTD = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """Of fetching. `wait_s` is for one page with all its redirects."""

    bytes_max: int = 10_000_000
    wait_s: float = 15.0
    redirects_max: int = 3
    pages_max: int = 500  # that a sitemap may name
    sitemaps_max: int = 10  # that an index of sitemaps may name


@dataclass(frozen=True, slots=True)
class Fetched:
    """What stood at an address. `url` is where the redirects ended."""

    url: str
    content: bytes
    suffix: str  # how it is read; "" for XML, which may be a sitemap


class Fetcher:
    """Fetches what its guard allows. Raises SourceUnreadable with the reason."""

    def __init__(self, guard: Guard, limits: WebLimits | None = None) -> None:
        self._guard = guard
        self.limits = limits or WebLimits()

    async def pages(self, url: str) -> list[str]:
        """The addresses that `url` stands for: itself, or what it names if it is a sitemap."""
        fetched = await self._fetch(url)
        if not _is_sitemap(fetched):
            return [url]
        return await self._listed(fetched)

    async def page(self, url: str) -> Fetched:
        """What stands there now, if it is a document."""
        fetched = await self._fetch(url)
        if not fetched.suffix:
            raise _failed(url, "it is XML, not a page", "内容是 XML，不是网页")
        return fetched

    async def _listed(self, sitemap: Fetched) -> list[str]:
        maps, host = [sitemap], urlsplit(sitemap.url).netloc
        if _kind(sitemap) == "sitemapindex":
            named = _locations(sitemap, host)
            if len(named) > self.limits.sitemaps_max:
                raise self._too_many(sitemap.url, len(named), self.limits.sitemaps_max)
            maps = [await self._fetch(one) for one in named]
        found = [one for each in maps if _kind(each) == "urlset" for one in _locations(each, host)]
        pages = list(dict.fromkeys(found))
        if not pages:
            raise _failed(
                sitemap.url, "the sitemap names no page of its site", "站点地图中没有本站网页"
            )
        if len(pages) > self.limits.pages_max:
            raise self._too_many(sitemap.url, len(pages), self.limits.pages_max)
        return pages

    def _too_many(self, url: str, count: int, most: int) -> SourceUnreadable:
        return _failed(
            url,
            f"the sitemap names {count:,} addresses and {most:,} are the limit; give the address of"
            " a part of it",
            f"站点地图列出 {count:,} 个地址，上限为 {most:,} 个，请提供其中一部分的地址",
        )

    async def _fetch(self, url: str) -> Fetched:
        try:
            async with asyncio.timeout(self.limits.wait_s):
                return await self._follow(url)
        except TimeoutError:
            wait_s = self.limits.wait_s
            raise _failed(
                url, f"it took longer than {wait_s:g} s", f"用时超过 {wait_s:g} 秒"
            ) from None
        except httpx.HTTPError as error:
            name = type(error).__name__
            raise _failed(
                url, f"its server does not answer ({name})", f"服务器没有响应（{name}）"
            ) from None

    async def _follow(self, url: str) -> Fetched:
        at = urldefrag(url.strip()).url
        for _ in range(self.limits.redirects_max + 1):
            target = await self._guard.target(at)
            fetched = await self._ask(target)
            if isinstance(fetched, Fetched):
                return fetched
            at = urldefrag(urljoin(target.url, fetched)).url
            if target.scheme == "https" and not at.startswith("https://"):
                raise _failed(url, "it leads from https to http", "它从 https 转到了 http")
        most = self.limits.redirects_max
        raise _failed(url, f"it is redirected more than {most} times", f"重定向超过 {most} 次")

    async def _ask(self, target: Target) -> Fetched | str:
        """What stands there, or where it leads."""
        headers = {
            "host": target.netloc,
            "user-agent": "tandem-knowledge",
            "accept": "text/html, application/xhtml+xml, text/plain, application/pdf, */*;q=0.1",
            "accept-encoding": "gzip",
        }
        async with (
            httpx.AsyncClient(trust_env=False, timeout=self.limits.wait_s) as client,
            client.stream(
                "GET",
                target.pinned_url,
                headers=headers,
                extensions={"sni_hostname": target.host},
                follow_redirects=False,
            ) as response,
        ):
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return response.headers["location"]
            if response.status_code != 200:
                code = response.status_code
                raise _failed(target.url, f"its server answers {code}", f"服务器返回 {code}")
            suffix = _suffix(target, response)
            return Fetched(target.url, await self._read(target, response), suffix)

    async def _read(self, target: Target, response: httpx.Response) -> bytes:
        """The body, unpacked by us: a client that unpacks would do so before anybody counts."""
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip"):
            raise _failed(target.url, f"it is packed as {coding}", f"其压缩方式为 {coding}")
        unpack = zlib.decompressobj(wbits=31) if coding == "gzip" else None
        body, most = bytearray(), self.limits.bytes_max
        async for piece in response.aiter_raw():
            try:
                body += unpack.decompress(piece, most + 1 - len(body)) if unpack else piece
            except zlib.error:
                raise _failed(target.url, "what it sends is damaged", "其内容已损坏") from None
            if len(body) > most:
                size = most // 1_000_000
                raise _failed(target.url, f"it has more than {size} MB", f"其大小超过 {size} MB")
        return bytes(body)


def name_of(url: str, suffix: str) -> str:
    """The name of a page as a source: its address, and how it is read if that does not say so."""
    address = urldefrag(url.strip()).url
    says = re.search(r"\.[a-z]{2,5}$", urlsplit(address).path.lower())
    if suffix == ".html" or (says and says[0] == suffix):
        return address
    return f"{address}#{suffix}"


def _suffix(target: Target, response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in _XML:
        return ""
    if kind not in _KINDS:
        shown = kind[:60] or "nothing"
        raise _failed(target.url, f"it is of the type {shown}", f"其类型为 {shown}")
    return _KINDS[kind]


def _is_sitemap(fetched: Fetched) -> bool:
    return not fetched.suffix and bool(_SITEMAP.search(_xml(fetched)[:4_096]))


def _kind(fetched: Fetched) -> str:
    found = _SITEMAP.search(_xml(fetched)[:4_096]) if not fetched.suffix else None
    return found[1].decode() if found else ""


def _xml(fetched: Fetched) -> bytes:
    if fetched.content.startswith(b"\x1f\x8b"):
        with_limit = zlib.decompressobj(wbits=31)
        return with_limit.decompress(fetched.content, len(fetched.content) * 100)
    return fetched.content


def _locations(sitemap: Fetched, host: str) -> list[str]:
    """What a sitemap names on its own site. No XML parser is needed, so none can be attacked."""
    content = _xml(sitemap)
    if _DTD.search(content):
        raise _failed(sitemap.url, "its XML declares a document type", "其 XML 含有 DTD 声明")
    found = (
        html.unescape(one.decode("utf-8", "replace")).strip() for one in _LOCATION.findall(content)
    )
    return [one for one in dict.fromkeys(found) if urlsplit(one).netloc == host]


def _failed(url: str, why: str, chinese: str) -> SourceUnreadable:
    shown = url.strip()[:100]
    return SourceUnreadable(
        f"{shown} was not taken in: {why}.",
        f"未收录 {shown}：{chinese}。",
    )
