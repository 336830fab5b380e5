"""Where Telegram brings its updates: verified on the raw request, committed, acknowledged."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.types import ControllerRouterHandler

from storage.database import DatabaseError

BODY_BYTES_MAX = 1_000_000
AGAIN_AFTER_S = 1
_SECRET_HEADER = b"x-telegram-bot-api-secret-token"

Take = Callable[[str, bytes], Awaitable[None]]
"""Commits an update: its id and its bytes. Raises DatabaseError."""


class _Numbered(msgspec.Struct):
    update_id: int


def webhook_routes(
    account: str, secret: str, take: Take, is_ready: Callable[[], bool]
) -> Sequence[ControllerRouterHandler]:
    """The route of one bot. `is_ready` says whether we know yet what the bot is called."""
    expected = secret.encode()

    @post(f"/{account}", status_code=200, include_in_schema=False)
    async def update(request: Request[Any, Any, Any]) -> Response[None]:
        if not _is_telegram(request, expected):
            return Response(None, status_code=401)
        if request.content_type[0] != "application/json":
            return Response(None, status_code=415)
        body = await request.body()
        if not is_ready():
            return _later()
        try:
            await take(_id_of(body), body)
        except DatabaseError:
            return _later()
        return Response(None, status_code=200)

    return [Router("/telegram", route_handlers=[update], request_max_body_size=BODY_BYTES_MAX)]


def _is_telegram(request: Request[Any, Any, Any], expected: bytes) -> bool:
    """Bytes against bytes, in a time that tells nothing: a header may hold any byte."""
    shown = [value for name, value in request.scope["headers"] if name == _SECRET_HEADER]
    return len(shown) == 1 and hmac.compare_digest(shown[0], expected)


def _id_of(body: bytes) -> str:
    """The update's number. What has none is kept by its content and set aside when it is read:
    refused, it would block its chat for a day."""
    try:
        return str(msgspec.json.decode(body, type=_Numbered).update_id)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _later() -> Response[None]:
    return Response(None, status_code=503, headers={"Retry-After": str(AGAIN_AFTER_S)})
