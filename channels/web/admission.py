"""Who may come in, and how often: client addresses, origins, rates and open sockets.

Counted in this process's memory: a limit protects one process, and a restart forgives.
"""

import ipaddress
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

KEYS_MAX = 50_000  # remembered per limit; the longest unused are forgotten first


class Rate:
    """At most `count` within any `window_s` seconds, for each key."""

    def __init__(self, count: int, *, window_s: float, monotonic: Callable[[], float]) -> None:
        self._count = count
        self._window_s = window_s
        self._monotonic = monotonic
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str) -> float:
        """0 if it is allowed (and counted), else the seconds to wait."""
        now = self._monotonic()
        times = self._times.pop(key, None) or deque[float](maxlen=self._count)
        self._times[key] = times
        while len(self._times) > KEYS_MAX:
            self._times.popitem(last=False)
        wait_s = times[0] + self._window_s - now if len(times) == self._count else 0.0
        if wait_s > 0:
            return wait_s
        times.append(now)
        return 0.0


class Seats:
    """At most `count` at the same time for each key."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken: Counter[str] = Counter()

    def enter(self, key: str) -> bool:
        if self._taken[key] >= self._count:
            return False
        self._taken[key] += 1
        return True

    def leave(self, key: str) -> None:
        self._taken[key] -= 1
        if self._taken[key] <= 0:
            del self._taken[key]


def client_key(peer: str | None, forwarded_for: str, trusted_proxies: int) -> str:
    """What a client is counted by: its address, an IPv6 one by its /64.

    Only the entries that our own proxies wrote are believed: the last `trusted_proxies` hops.
    """
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    known = [*hops, peer or "local"]
    chosen = known[max(0, len(known) - 1 - trusted_proxies)] if trusted_proxies else known[-1]
    try:
        address = ipaddress.ip_address(chosen)
    except ValueError:
        return peer or "local"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_foreign(origin: str, host: str, allowed: Iterable[str]) -> bool:
    """Whether a page from `origin` has no business here. `host` is the request's own Host."""
    if origin in allowed:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    own = parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.lower()
    return not own
