"""The web chat: an HTTP and socket API, the widget that speaks it, and a page that shows it.

We are the provider here. The customer's browser reads our own store by `seq`, so a committed
message is a delivered one (`Capabilities.pulled`), and nothing is ever sent twice.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from channels import Parts
from channels.web.chat import Chat, message_of
from channels.web.fields import TEXT_CHARS_MAX, MessagePosted
from channels.web.http import chat_routes
from channels.web.pages import page_routes
from channels.web.settings import NAME, Settings
from gateway.errors import Refused
from gateway.files import FILE_BYTES_MAX
from gateway.messages import (
    Address,
    Attachment,
    Capabilities,
    InboundMessage,
    OutboundMessage,
    RawEvent,
    Receipt,
)
from gateway.ports import Intake
from storage.ids import new_id

__all__ = ["CAPABILITIES", "Settings", "WebChannel", "build"]

CAPABILITIES = Capabilities(
    text_units_max=TEXT_CHARS_MAX,
    buttons_max=10,
    markup="markdown",
    attachment_bytes_max=FILE_BYTES_MAX,
    edits=True,
    deletes=True,
    typing=True,
    streaming=True,
    pulled=True,
)


class WebChannel:
    """The channel port of the web chat."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings = settings
        self.chat = Chat(settings, parts)
        self._public_url = parts.public_url

    @property
    def name(self) -> str:
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def routes(self) -> Sequence[Any]:
        return [*chat_routes(self.chat), *page_routes(demo=self.settings.demo)]

    def invitation(self, code: str) -> str | None:
        """A page with the widget, which picks the code up; None where nobody said where it is."""
        own = f"{self._public_url}/" if self._public_url and self.settings.demo else ""
        page = urlsplit(self.settings.page_url or own)
        query = "&".join(filter(None, (page.query, urlencode({"tandem": code}))))
        return urlunsplit(page._replace(query=query)) if page.netloc else None

    def parse(self, event: RawEvent) -> InboundMessage | None:
        """A message that was kept but not read when it came: these are our own bytes."""
        return message_of(event, msgspec.json.decode(event.body, type=MessagePosted))

    async def fetch(self, attachment: Attachment, *, bytes_max: int) -> bytes:
        """The bytes of a visitor's upload, which we keep. Raises Refused."""
        if attachment.size_bytes > bytes_max:
            raise Refused(f"the file has more than {bytes_max} bytes")
        try:
            return await asyncio.to_thread(self.chat.parts.files.load, attachment.reference)
        except FileNotFoundError:
            raise Refused("the file is not kept any more") from None

    async def run(self, receive: Intake) -> None:
        """Nothing to fetch: browsers come to us."""

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        """Already done by the commit that made the delivery; asked again, it is still done."""
        return Receipt((new_id(),))


def build(settings: Settings, parts: Parts) -> WebChannel:
    return WebChannel(settings, parts)
