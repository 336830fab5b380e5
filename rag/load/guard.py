"""Which addresses the server may fetch. An admin types them, but a page may redirect anywhere: the
guard is asked again at each step, and what it resolved is what is connected to.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from rag.errors import SourceUnreadable

URL_CHARS_MAX = 2_000
_PORTS = {"http": 80, "https": 443}
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",  # NAT64: an IPv4 address in other clothes
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4, likewise
        "2001::/32",  # Teredo, likewise
        "::/96",  # the IPv4-compatible addresses of old
        "fec0::/10",  # site-local of old
    )
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be fetched, and the one place it may be fetched from."""

    scheme: str
    host: str
    port: int
    path: str  # with the query
    address: str  # what the host's name was resolved to, once

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def netloc(self) -> str:
        """As the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def pinned_url(self) -> str:
        """With the resolved address in place of the name: nobody resolves it again."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHosts:
    """Which hosts may be fetched: `allowed` names all of them, or is empty for any public one.
    `internal` names, as host or host:port, those that may have private addresses."""

    allowed: frozenset[str] = frozenset()
    internal: frozenset[str] = frozenset()


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Turns an address into a `Target`, or refuses it. `resolve` gives all addresses of a host."""

    def __init__(self, hosts: WebHosts, *, resolve: Resolve = resolve) -> None:
        self._hosts = hosts
        self._resolve = resolve

    async def target(self, url: str) -> Target:
        """Raises SourceUnreadable. Resolves the host's name, once."""
        scheme, host, port, path = _parts(url)
        internal = {host, f"{host}:{port}"} & self._hosts.internal
        if self._hosts.allowed and host not in self._hosts.allowed and not internal:
            raise _refused(url, "its host is not on the list of hosts", "其主机不在允许的列表中")
        if port != _PORTS[scheme] and not internal:
            raise _refused(url, f"port {port} is not one of the web's", f"端口 {port} 不是网页端口")
        try:
            addresses = [ipaddress.ip_address(text) for text in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            addresses = []
        if not addresses:
            raise _refused(url, "its host is not known", "找不到其主机")
        for address in addresses:  # all of them: which one is used must not be up to the far end
            if not _may_be_reached(address, internal=bool(internal)):
                raise _refused(
                    url, "it leads into a network that is not public", "它指向非公开的网络"
                )
        return Target(scheme, host, port, path, str(addresses[0]))


def _parts(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path with query."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip(".").lower(), parts.port
    except ValueError:
        raise _refused(url, "it is no address", "这不是有效的网址") from None
    if len(url) > URL_CHARS_MAX:
        raise _refused(url, f"it is longer than {URL_CHARS_MAX:,} characters", "网址过长")
    if parts.scheme not in _PORTS:
        raise _refused(
            url, "it does not begin with https:// or http://", "它不以 https:// 或 http:// 开头"
        )
    if not host or parts.username is not None or parts.password is not None or "%" in host:
        raise _refused(url, "its host is not plain", "其主机名不规范")
    if any(letter.isspace() or ord(letter) < 33 for letter in url.strip()):
        raise _refused(url, "it holds blanks", "其中含有空白字符")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port or _PORTS[parts.scheme], path


def _may_be_reached(address: Address, *, internal: bool) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _may_be_reached(address.ipv4_mapped, internal=internal)
        if address != ipaddress.IPv6Address("::1") and any(address in net for net in _SPECIAL):
            return False
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False  # link-local: the metadata services of clouds answer there
    return internal or address.is_global


def _refused(url: str, why: str, chinese: str) -> SourceUnreadable:
    shown = url.strip()[:100]
    return SourceUnreadable(
        f"{shown} cannot be fetched: {why}. Save the page and upload it as a file.",
        f"无法获取 {shown}：{chinese}。请保存网页后作为文件上传。",
    )
