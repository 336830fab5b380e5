"""A signed webhook, as Slack and others send them, and the channel that takes it in.

The channel is a real one: `channels.hook.module = "benchmarks.hook"` loads it from outside. Both
sides of the comparison check the same signature and read the same fields.
"""

import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import MediaType, Request, post
from litestar.exceptions import NotAuthorizedException

from channels import ChannelSettings, Parts
from gateway.messages import (
    Address,
    Capabilities,
    InboundMessage,
    OutboundMessage,
    RawEvent,
    Receipt,
    Sender,
)
from gateway.ports import Intake
from storage.ids import new_id

SECRET = b"only for measuring, on this machine"
AGE_S_MAX = 300
KEPT_HEADERS = ("content-type", "x-timestamp")


class Event(msgspec.Struct):
    """What a provider posts."""

    event_id: str
    chat: str
    text: str


def sign(body: bytes, timestamp: str) -> str:
    return hmac.new(SECRET, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


async def verified(request: Request[Any, Any, Any]) -> bytes:
    """The body, if its signature is right and fresh. Raises NotAuthorizedException."""
    body = await request.body()
    timestamp = request.headers.get("x-timestamp", "0")
    genuine = hmac.compare_digest(sign(body, timestamp), request.headers.get("x-signature", ""))
    if not genuine or abs(time.time() - int(timestamp)) > AGE_S_MAX:
        raise NotAuthorizedException
    return body


def kept_headers(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {name: request.headers.get(name, "") for name in KEPT_HEADERS}


class Settings(ChannelSettings):
    account: str = "main"


class HookChannel:
    """A provider that calls us. Nothing is ever sent back to it."""

    name = "hook"
    capabilities = Capabilities(text_units_max=4_000)

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._account = settings.account
        self._ingress = parts.ingress

    def routes(self) -> Sequence[Any]:
        @post("/hook", status_code=200, media_type=MediaType.TEXT)
        async def hook(request: Request[Any, Any, Any]) -> str:
            body = await verified(request)
            await self._ingress.store(
                RawEvent(
                    channel=self.name,
                    account=self._account,
                    external_id=msgspec.json.decode(body, type=Event).event_id,
                    body=body,
                    headers=kept_headers(request),
                )
            )
            return "ok"

        return [hook]

    def parse(self, event: RawEvent) -> InboundMessage | None:
        fields = msgspec.json.decode(event.body, type=Event)
        return InboundMessage(
            address=Address(channel=event.channel, account=event.account, chat=fields.chat),
            external_id=fields.event_id,
            sender=Sender(external_id=fields.chat),
            text=fields.text,
        )

    async def run(self, receive: Intake) -> None:
        """Nothing to fetch."""

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        return Receipt((new_id(),))


def build(settings: Settings, parts: Parts) -> HookChannel:
    return HookChannel(settings, parts)
