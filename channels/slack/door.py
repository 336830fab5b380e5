"""The routes that Slack calls: genuine, committed, acknowledged, in this order.

The signature covers the raw bytes and comes first; whatever goes wrong in checking it means that
Slack did not send them. Nothing of a refused body is parsed, stored or logged.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import structlog
from litestar import Request, Response, Router, post
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler
from slack_sdk.signature import Clock as SdkClock
from slack_sdk.signature import SignatureVerifier

from channels.slack.fields import Json, word
from channels.slack.reading import FORM
from channels.slack.wellness import Wellness
from gateway.ports import Clock
from storage.database import Overloaded, Unavailable

log = structlog.get_logger()

BODY_BYTES_MAX = 1_000_000
BODY_WAIT_S = 10.0
RETRY_S = 2
JSON = "application/json"

Take = Callable[[bytes, str], Awaitable[None]]
AnyRequest = Request[Any, Any, Any]


class Seal:
    """Tells Slack's requests from others."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self._verifier = SignatureVerifier(secret, _Ticking(clock))

    def is_on(self, body: bytes, headers: Sequence[tuple[str, str]]) -> bool:
        """Whether Slack signed these bytes less than five minutes ago. Never raises: the SDK does,
        on timestamps, signatures and bodies that are no such thing."""
        try:
            return self._verifier.is_valid_request(body, dict(headers))
        except Exception:
            return False


class _Ticking(SdkClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock().timestamp()


def slack_routes(
    account: str, seal: Seal, take: Take, wellness: Wellness
) -> Sequence[ControllerRouterHandler]:
    """`/slack/ACCOUNT/events` and `/slack/ACCOUNT/interactivity`."""

    async def genuine(request: AnyRequest, content_type: str) -> bytes:
        """The body, if Slack sent it. Raises HTTPException."""
        said, _, parameter = request.headers.get("content-type", "").partition(";")
        if said.strip().lower() != content_type or parameter.strip().lower() not in (
            "", "charset=utf-8",
        ):  # fmt: skip
            raise HTTPException(f"only {content_type} is taken", status_code=415)
        try:
            async with asyncio.timeout(BODY_WAIT_S):
                body = await request.body()
        except TimeoutError:
            raise HTTPException("the body took too long", status_code=408) from None
        if not seal.is_on(body, list(request.headers.multi_items())):
            if wellness.refuse():
                log.warning("not_signed_by_slack", count=wellness.refused)
            raise HTTPException("not signed by Slack", status_code=401)
        return body

    @post("/events", status_code=200, include_in_schema=False)
    async def events(request: AnyRequest) -> Response[Any]:
        body = await genuine(request, JSON)
        if (challenge := _challenge(body)) is not None:
            return Response({"challenge": challenge}, media_type=JSON)
        return await _taken(take, body, JSON)

    @post("/interactivity", status_code=200, include_in_schema=False)
    async def interactivity(request: AnyRequest) -> Response[Any]:
        return await _taken(take, await genuine(request, FORM), FORM)

    return [
        Router(
            f"/slack/{account}",
            route_handlers=[events, interactivity],
            request_max_body_size=BODY_BYTES_MAX,
        )
    ]


async def _taken(take: Take, body: bytes, content_type: str) -> Response[Any]:
    try:
        await take(body, content_type)
    except (Overloaded, Unavailable) as error:
        log.warning("not_taken_in", error=type(error).__name__)
        return Response(
            b"", status_code=503, headers={"Retry-After": str(RETRY_S)}, media_type="text/plain"
        )
    return Response(b"", media_type="text/plain")


def _challenge(body: bytes) -> str | None:
    """What Slack wants to hear when somebody saves this address in the app's settings."""
    try:
        said = cast("Json", json.loads(body))
    except (ValueError, RecursionError):
        return None
    is_asked = isinstance(said, dict) and said.get("type") == "url_verification"
    return word(said, "challenge")[:500] if is_asked else None
