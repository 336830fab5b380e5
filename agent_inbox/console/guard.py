"""The one layer that decides who may call which route. Default deny: a route without a policy
does not start, and a policy that is not met is refused before the body is read."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from agent_inbox import auth
from agent_inbox.console.problems import Problem
from agent_inbox.desk import Role, Worker
from agent_inbox.models import Agent, SignIn
from channels.web.admission import client_key
from gateway.ports import Clock
from gateway.store import Store
from rag.types import Language

Connection = ASGIConnection[Any, Any, Any, Any]

COOKIE_HTTPS = "__Host-tandem"
COOKIE_HTTP = "tandem"  # a prefix needs Secure, and Secure needs https
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Policy(StrEnum):
    """Who may call a route. Objects are checked by the desk, in the transaction."""

    PUBLIC = "public"
    AGENT = "agent"  # anybody signed in
    ADMIN = "admin"


class RouteWithoutPolicy(TypeError):
    """A console route does not say who may call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """The agent behind a request, and the sign-in they came with."""

    agent_id: str
    name: str
    email: str
    role: Role
    language: Language
    sign_in_id: str
    csrf: str

    @property
    def worker(self) -> Worker:
        return Worker(id=self.agent_id, name=self.name, role=self.role)


def check_policies(handlers: Sequence[BaseRouteHandler]) -> None:
    """Raise RouteWithoutPolicy, naming every route that lacks one."""
    bare = [str(h.handler_name) for h in handlers if not isinstance(h.opt.get("policy"), Policy)]
    if bare:
        raise RouteWithoutPolicy(", ".join(bare))


class Guard:
    """Reads the sign-in of a connection and holds it against the route's policy."""

    def __init__(
        self, store: Store, clock: Clock, *, public_url: str = "", trusted_proxies: int = 0
    ) -> None:
        self._store = store
        self._clock = clock
        self._public = urlsplit(public_url)
        self._trusted_proxies = trusted_proxies

    def as_function(self) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
        """`check` as a plain function: Litestar deep-copies what a router holds, but not those."""

        async def authorise(connection: Connection, handler: BaseRouteHandler) -> None:
            await self.check(connection, handler)

        return authorise

    async def check(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Refuse with a Problem, or leave the SignedIn in `connection.user`."""
        who = await self.signed_in(connection)
        connection.scope["user"] = who
        policy = handler.opt.get("policy")
        if policy not in (Policy.PUBLIC, Policy.AGENT, Policy.ADMIN):
            raise Problem(403, "forbidden")
        if _changes_something(connection):
            self._refuse_foreign(connection, who)
        if policy is Policy.PUBLIC:
            return
        if who is None:
            raise Problem(401, "signed-out")
        if policy is Policy.ADMIN and who.role != "admin":
            raise Problem(403, "forbidden", "only admins may do this")

    async def signed_in(self, connection: Connection) -> SignedIn | None:
        """Who is behind the cookie, as of now."""
        token = connection.cookies.get(self.cookie_name(connection))
        if not token or len(token) > 100:
            return None
        now = self._clock()
        found = await self._store.read(lambda session: auth.session_of(session, token, now=now))
        if found is None:
            return None
        sign_in, agent = found
        await self._keep_alive(sign_in, now)
        return _signed_in(agent, sign_in, token)

    async def _keep_alive(self, sign_in: SignIn, now: datetime) -> None:
        if now - sign_in.seen_at > auth.SEEN_STEP:
            await self._store.write(lambda session: auth.keep_alive(session, sign_in.id, now=now))

    def _refuse_foreign(self, connection: Connection, who: SignedIn | None) -> None:
        """A change must come from our own pages: by Origin and Sec-Fetch-Site, else by token."""
        if connection.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Problem(403, "foreign-origin")
        origin = connection.headers.get("origin")
        if origin is not None:
            if not self._is_ours(origin, connection):
                raise Problem(403, "foreign-origin")
            return
        if "sec-fetch-site" in connection.headers:
            return
        # No browser of today comes this far; a program proves itself with the token.
        if who is not None and connection.headers.get(CSRF_HEADER) != who.csrf:
            raise Problem(403, "foreign-origin", f"send {CSRF_HEADER}")

    def _is_ours(self, origin: str, connection: Connection) -> bool:
        theirs = urlsplit(origin)
        if theirs.scheme not in ("http", "https"):
            return False
        if self._public.netloc and theirs[:2] == self._public[:2]:
            return True
        return theirs.netloc == connection.headers.get("host")

    def secure(self, connection: Connection) -> bool:
        """Whether people reach us by https, so that cookies may be Secure."""
        return self._public.scheme == "https" or connection.url.scheme in ("https", "wss")

    def cookie_name(self, connection: Connection) -> str:
        return COOKIE_HTTPS if self.secure(connection) else COOKIE_HTTP

    def address(self, request: Request[Any, Any, Any]) -> str:
        """What a caller is counted by: only the proxies we trust may say who was behind them."""
        peer = request.client.host if request.client else None
        forwarded = ",".join(request.headers.getall("x-forwarded-for", []))
        return client_key(peer, forwarded, self._trusted_proxies)


def _changes_something(connection: Connection) -> bool:
    """Whether its origin matters: every method but the reading ones, and every socket."""
    return connection.scope["type"] == "websocket" or (
        cast("Request[Any, Any, Any]", connection).method not in SAFE_METHODS
    )


def _signed_in(agent: Agent, sign_in: SignIn, token: str) -> SignedIn:
    return SignedIn(
        agent_id=agent.id, name=agent.name, email=agent.email,
        role="admin" if agent.role == "admin" else "agent",
        language="zh" if agent.language == "zh" else "en",
        sign_in_id=sign_in.id, csrf=auth.csrf_token(token),
    )  # fmt: skip
