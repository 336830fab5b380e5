"""What every request passes before a handler sees it: origin, content type, size, strict JSON.

And what every refusal passes on its way out.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
import structlog
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.exceptions import HTTPException, ValidationException
from litestar.middleware import ASGIMiddleware
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from sqlalchemy.exc import DBAPIError

from channels.web.admission import client_key, is_foreign
from channels.web.chat import Chat
from channels.web.problems import MEDIA_TYPE, Problem, ProblemName, answer, preferred
from channels.web.strict_json import BadJson, read_json
from gateway.errors import Conflict, EmptyFile, NoSuchFile, TooMuch, Unauthorised
from storage.database import DatabaseError
from storage.ids import new_id
from storage.text import UnstorableText

log = structlog.get_logger()

RETRY_S = 2.0  # after a store that could not take a message in
WINDOW_S = 60.0
_LABELS = {b"cache-control": b"no-store", b"x-content-type-options": b"nosniff"}
_STATUSES: dict[int, ProblemName] = {
    400: "invalid", 404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "not-json",
}  # fmt: skip


class OriginGuard(ASGIMiddleware):
    """Refuses pages of other web sites, over HTTP and for sockets alike, and tells browsers which
    sites are allowed. No Origin means no browser page: then the token alone decides."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = origins

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        headers = Headers.from_scope(scope)
        origin = headers.get("origin")
        if origin is None:
            await next_app(scope, receive, _labelled(send, {}))
        elif is_foreign(origin, headers.get("host", ""), self._origins):
            await _refuse(scope, receive, send, headers.get("accept-language", ""))
        else:
            await next_app(scope, receive, _labelled(send, _cors(scope, origin)))


def _cors(scope: Scope, origin: str) -> dict[str, str]:
    """What lets a page of `origin` read the answer, and what a preflight asks for."""
    allowed = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }
    if scope["type"] == "http" and scope["method"] == "OPTIONS":
        allowed |= {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept-Language",
            "Access-Control-Max-Age": "600",
        }
    return allowed


def _labelled(send: Send, more: dict[str, str]) -> Send:
    """`send` that adds what every answer of the chat carries."""
    ours = dict(_LABELS)
    for name, value in more.items():
        ours[name.lower().encode()] = value.encode()

    async def labelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            theirs = [pair for pair in message["headers"] if pair[0].lower() not in ours]
            message["headers"] = [*theirs, *ours.items()]
        await send(message)

    return labelled


async def _refuse(scope: Scope, receive: Receive, send: Send, accept_language: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403, "reason": "foreign origin"})
        return
    problem = Problem("foreign-origin")
    response = ASGIResponse(
        body=msgspec.json.encode(problem.body(preferred(accept_language) or "en")),
        status_code=problem.kind.status,
        media_type=MEDIA_TYPE,
    )
    await response(scope, receive, _labelled(send, {"Vary": "Origin"}))


def body_check(chat: Chat) -> Callable[[Request[Any, Any, Any]], Any]:
    """Checks a body before Litestar parses it. The bytes are kept by the request, read once."""

    async def check(request: Request[Any, Any, Any]) -> None:
        if request.method != "POST" or request.route_handler.opt.get("takes") == "bytes":
            return
        content_type, _, parameter = request.headers.get("content-type", "").partition(";")
        charset = parameter.strip().lower().replace('"', "")
        plain = request.headers.get("content-encoding", "identity") == "identity"
        if (
            content_type.strip().lower() != "application/json"
            or charset not in ("", "charset=utf-8")
            or not plain
        ):
            raise Problem("not-json")
        try:
            async with asyncio.timeout(chat.settings.body_wait_s):
                body = await request.body()
        except TimeoutError:
            raise Problem("too-slow") from None
        try:
            read_json(body)
        except BadJson as error:
            raise Problem("bad-json", {"why": str(error)}) from None

    return check


def address_of(connection: ASGIConnection[Any, Any, Any, Any], trusted_proxies: int) -> str:
    """What the other end is counted by in limits per address."""
    peer = connection.client.host if connection.client else None
    forwarded = ",".join(connection.headers.getall("x-forwarded-for", []))
    return client_key(peer, forwarded, trusted_proxies)


def bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The token of the Authorization header. Raises Problem."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or len(token) > 200:
        raise Problem("unauthorised")
    return token.strip()


def as_problem(error: Exception) -> Problem:
    """What an error means to the client. What nobody foresaw is logged with a number to quote."""
    match error:
        case Problem():
            return error
        case Unauthorised():
            return Problem("unauthorised")
        case NoSuchFile():
            return Problem("no-such-file")
        case EmptyFile():
            return Problem("empty-file")
        case Conflict():
            return Problem("conflict")
        case TooMuch():
            return Problem(
                "too-many", extra={"limit": error.limit}, wait_s=error.wait_s or WINDOW_S
            )
        case DatabaseError() | DBAPIError():
            log.warning("not_taken_in", error=type(error).__name__)
            return Problem("unavailable", wait_s=RETRY_S)
        case UnstorableText():
            return Problem("unstorable-text")
        case ValidationException():
            return Problem("invalid", extra={"fields": _fields(error)})
        case HTTPException() if error.status_code in _STATUSES:
            return Problem(_STATUSES[error.status_code])
        case _:
            incident = new_id()
            log.error("chat_failed", incident=incident, exc_info=error)
            return Problem("failed", {"incident": incident})


def _fields(error: ValidationException) -> list[dict[str, str]]:
    """Which field is wrong and why, without what was sent."""
    extra = cast("list[dict[str, Any]]", error.extra if isinstance(error.extra, list) else [])
    return [
        {"field": str(one.get("key", "")), "why": str(one.get("message", ""))[:300]}
        for one in extra
    ]


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return answer(as_problem(error), request.headers.get("accept-language", ""))
