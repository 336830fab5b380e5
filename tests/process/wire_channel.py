"""A channel from outside the package: webhooks in, HTTP posts out, to a far end of the tests.

Found by its dotted name in the setting `module`. Its route commits raw events and answers; reading
them is left to the worker, as on every network whose answer carries nothing.
"""

import json
import os
import signal
from collections.abc import Sequence
from typing import Any, Literal

import httpx
from litestar import Request, Response, post

from channels import ChannelSettings, Parts
from gateway.errors import Ambiguous, RateLimited, Refused, Unavailable, Unreachable
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
from storage.database import DatabaseError

ACCOUNT = "main"
POISON = "\N{SKULL}"  # reading it ends the process, as a bug in somebody's parser would


class Settings(ChannelSettings):
    """`far_end` is the network's address; `keeps_history`: it can be asked what arrived."""

    far_end: str
    section: str = "wire"
    keeps_history: bool = True


class WireChannel:
    """One account on the wire."""

    capabilities = Capabilities(text_units_max=4_000)

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.name = settings.section
        self._ingress = parts.ingress
        self._http = httpx.AsyncClient(base_url=settings.far_end, timeout=30, trust_env=False)

    def routes(self) -> Sequence[Any]:
        @post(f"/{self.name}/events", status_code=200)
        async def events(request: Request[Any, Any, Any]) -> Response[None]:
            body = await request.body()
            event = RawEvent(
                channel=self.name, account=ACCOUNT, external_id=json.loads(body)["id"], body=body
            )
            try:
                await self._ingress.store(event)
            except DatabaseError:
                return Response(None, status_code=503, headers={"Retry-After": "1"})
            return Response(None, status_code=200)

        return [events]

    def parse(self, event: RawEvent) -> InboundMessage | None:
        fields = json.loads(event.body)
        if fields["text"] == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        return InboundMessage(
            address=Address(channel=self.name, account=ACCOUNT, chat=fields["chat"]),
            external_id=fields["id"],
            sender=Sender(external_id=fields["chat"]),
            text=fields["text"],
        )

    async def run(self, receive: Intake) -> None:
        """Nothing to fetch: the far end comes to us."""

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        body = {"chat": address.chat, "text": message.text, "delivery": message.delivery_id}
        try:
            response = await self._http.post("/messages", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unreachable(str(error)) from error
        except httpx.HTTPError as error:
            raise Ambiguous(type(error).__name__) from error
        match response.status_code:
            case 200:
                return Receipt((response.json()["id"],))
            case 429:
                raise RateLimited("slower", wait_s=float(response.headers["Retry-After"]))
            case 503:
                raise Unavailable("not now")
            case code if code < 500:
                raise Refused(f"the far end answered {code}")
            case code:
                raise Ambiguous(f"the far end answered {code}")


class WireWithHistory(WireChannel):
    """The far end keeps what it was sent, with our own ids beside it."""

    async def reconcile(
        self, address: Address, delivery_id: str
    ) -> Receipt | Literal["absent"] | None:
        response = await self._http.get("/messages", params={"delivery": delivery_id})
        found = response.json()
        return Receipt((found["id"],)) if found["id"] else "absent"


def build(settings: Settings, parts: Parts) -> WireChannel:
    return (WireWithHistory if settings.keeps_history else WireChannel)(settings, parts)
