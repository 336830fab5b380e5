"""The channel port of Telegram: its parts, put together."""

import asyncio
from collections.abc import Sequence
from typing import Any

from channels import Parts
from channels.telegram.api import Api
from channels.telegram.condition import Condition
from channels.telegram.courtesies import Courtesies
from channels.telegram.listening import Listener
from channels.telegram.reading import Reader
from channels.telegram.sending import TEXT_UNITS_MAX, Sender, Sleep
from channels.telegram.settings import NAME, Settings
from channels.telegram.webhook import webhook_routes
from gateway.messages import (
    Address,
    Attachment,
    Capabilities,
    Inbound,
    OutboundMessage,
    Rate,
    RawEvent,
    Receipt,
)
from gateway.ports import Intake

UPLOAD_BYTES_MAX = 50_000_000
BUTTONS_MAX = 8
# Nine tenths of what Telegram publishes: 30 a second, one a second to a chat, 20 a minute to a
# group.
RATES = (Rate("account", 27.0), Rate("chat", 0.9), Rate("shared_chat", 18 / 60))
_OFFICIAL = "https://api.telegram.org"


class TelegramChannel:
    """One bot. Nothing is asked of Telegram before `run`. `sleep` stands between two messages."""

    def __init__(self, settings: Settings, parts: Parts, *, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self.parts = parts
        self._condition = Condition(parts.clock)
        self._api = Api(settings, self._condition)
        self._sender = Sender(self._api, parts.files, sleep=sleep)
        self._reader = Reader(
            account=settings.account, bot_id=settings.bot_id,
            in_groups=settings.groups == "mentioned", phrases=parts.phrases,
        )  # fmt: skip
        self.courtesies = Courtesies(
            self._api, self._sender, self._reader, parts.phrases, parts.clock
        )
        self._listener = Listener(settings, self._api, self._condition, self.courtesies)
        self.capabilities = Capabilities(
            text_units_max=TEXT_UNITS_MAX, unit="utf16", buttons_max=BUTTONS_MAX,
            markup="entities", attachment_bytes_max=UPLOAD_BYTES_MAX, edits=True, deletes=True,
            typing=True, placeholders=settings.placeholder, rates=RATES,
        )  # fmt: skip

    @property
    def name(self) -> str:
        return NAME

    # In

    def routes(self) -> Sequence[Any]:
        if self._settings.mode == "polling":
            return ()
        return webhook_routes(
            self._settings.account, self._settings.secret, self.take,
            is_ready=lambda: bool(self._api.username),
        )  # fmt: skip

    def parse(self, event: RawEvent) -> Inbound | None:
        return self._reader.read(event)

    async def run(self, receive: Intake) -> None:
        """Take updates in until cancelled. Raises BadToken: rest, then try again."""
        async with self._api.connected():
            await self._run(receive)

    async def _run(self, receive: Intake) -> None:
        if self._settings.mode == "polling":
            await self._listener.begin(self.parts.phrases, None)
            await self._listener.poll(receive)
            return
        url = f"{self.parts.public_url}/telegram/{self._settings.account}"
        if self._settings.api_url == _OFFICIAL and not url.startswith("https://"):
            self._condition.ails(
                "webhook",
                "a webhook needs an address that begins with https:// in server.public_url;"
                " or set channels.telegram.mode to polling, which needs none",
            )
            await self.parts.stopping.wait()
            return
        await self._listener.begin(self.parts.phrases, url)
        await self._listener.watch(url, self.parts.clock)

    async def take(self, update_id: str, body: bytes) -> None:
        """Commit an update that was brought. Raises DatabaseError: it has to come again."""
        await self._listener.take(self.parts.ingress, update_id, body)

    # Out

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        return await self._sender.send(address, message)

    async def edit(self, address: Address, external_id: str, message: OutboundMessage) -> None:
        await self._sender.edit(address, external_id, message)

    async def delete(self, address: Address, external_id: str) -> None:
        await self._sender.delete(address, external_id)

    async def typing(self, address: Address) -> None:
        await self._sender.typing(address)

    async def fetch(self, attachment: Attachment, *, bytes_max: int) -> bytes:
        return await self._api.download(attachment.reference, bytes_max)

    def invitation(self, code: str) -> str | None:
        name = self._api.username
        return f"https://t.me/{name}?start={code}" if name else None

    async def health(self) -> str:
        return self._condition.said()
