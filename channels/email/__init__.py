"""E-mail: a mailbox of our own is read by IMAP, and answered from by SMTP.

A person is an address, and has one conversation with us whatever the subjects are. A mail offers no
buttons, cannot be changed once it is sent, and nobody proves that they are who they say.
"""

import asyncio
import random
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from channels import Parts
from channels.email.mailbox import Mailbox, digest_of
from channels.email.reading import HEAD_BYTES_MAX, OURS, Headers, Mail, headers_of, read
from channels.email.settings import NAME, Settings
from channels.email.submission import greet, submit
from channels.email.writing import Envelope, File, compose, message_id
from gateway.errors import BadToken, ChannelError, Refused
from gateway.messages import (
    Address,
    Attachment,
    Capabilities,
    InboundMessage,
    OutboundMessage,
    Rate,
    RawEvent,
    Receipt,
)
from gateway.models import Delivery, InboxEvent
from gateway.ports import Intake
from storage.database import DatabaseError

__all__ = ["NAME", "EmailChannel", "Settings", "build", "probe"]

TEXT_CHARS_MAX = 50_000
ATTACHMENTS_BYTES_MAX = 15_000_000  # 20 MB once they are encoded: most servers take 25
RETRY_WAIT_S_MAX = 60.0

log = structlog.get_logger()


class EmailChannel:
    """One mailbox."""

    name = NAME

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._trouble = "the mailbox was not opened yet"
        self.capabilities = Capabilities(
            text_units_max=TEXT_CHARS_MAX,
            attachment_bytes_max=ATTACHMENTS_BYTES_MAX,
            rates=(Rate("account", settings.sends_per_minute / 60),),
        )

    def routes(self) -> Sequence[Any]:
        return ()

    async def health(self) -> str:
        return self._trouble or "ok"

    # In

    def parse(self, event: RawEvent) -> InboundMessage | None:
        return read(event, own_address=self._settings.address)

    async def run(self, receive: Intake) -> None:
        failures = 0
        while True:
            try:
                _require_packages()
                await self._watch(receive)
            except BadToken as error:
                self._trouble = str(error)
                raise
            except (ChannelError, DatabaseError) as error:
                # A connection that worked for a while has no failures behind it.
                failures = 1 if not self._trouble else failures + 1
                self._trouble = str(error)
                log.info("mailbox_lost", account=self._settings.account, reason=str(error))
            await asyncio.sleep(random.uniform(0, min(2**failures, RETRY_WAIT_S_MAX)))

    async def _watch(self, receive: Intake) -> None:
        mailbox = Mailbox(self._settings)
        try:
            await asyncio.to_thread(mailbox.open, self._settings.folder)
            while True:
                await self._take_all(mailbox, receive)
                self._trouble = ""
                if not await asyncio.to_thread(mailbox.wait):
                    await asyncio.sleep(self._settings.poll_s)
        finally:
            await asyncio.to_thread(mailbox.close)

    async def _take_all(self, mailbox: Mailbox, receive: Intake) -> None:
        for uid in await asyncio.to_thread(mailbox.unseen):
            event = await asyncio.to_thread(mailbox.take, uid)
            if event is not None:
                await receive.store(event)
                await asyncio.to_thread(mailbox.mark, uid)

    async def fetch(self, attachment: Attachment, *, bytes_max: int) -> bytes:
        place, _, number = attachment.reference.rpartition(":")
        raw = await asyncio.to_thread(self._raw, place)
        content = Mail(raw).content(int(number))
        if content is None:
            raise Refused("the mail has no such attachment")
        if len(content) > bytes_max:
            raise Refused(f"the attachment has more than {bytes_max} bytes")
        return content

    def _raw(self, place: str) -> bytes:
        mailbox = Mailbox(self._settings)
        try:
            mailbox.open(self._settings.folder, readonly=True)
            return mailbox.raw(place)
        finally:
            mailbox.close()

    # Out

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        _require_packages()
        settings = self._settings
        answers = await self._parts.store.read(lambda session: _answered(session, address))
        files = await asyncio.to_thread(self._files, message.attachments)
        envelope = Envelope(
            sender=settings.address, sender_name=settings.name, recipient=address.chat,
            subject=self._parts.phrases.say("email.subject", message.language),
            answers=answers, moment=self._parts.clock(),
        )  # fmt: skip
        try:
            mail = compose(message, envelope, files)
        except ValueError as error:
            raise Refused(f"no mail can be written to this address: {error}") from error
        await submit(mail, recipient=address.chat, settings=settings)
        return Receipt((message_id(message.delivery_id, settings.address),))

    def _files(self, attachments: Sequence[Attachment]) -> list[File]:
        kept = self._parts.files
        ours = [one for one in attachments if kept.holds(one.reference)]
        if sum(one.size_bytes for one in ours) > ATTACHMENTS_BYTES_MAX:
            raise Refused(f"the files of a mail have at most {ATTACHMENTS_BYTES_MAX:,} bytes")
        return [File(one.name, one.media_type, kept.load(one.reference)) for one in ours]

    async def reconcile(
        self, address: Address, delivery_id: str
    ) -> Receipt | Literal["absent"] | None:
        """Only where our server files what it sent: a mail that is not there may be on its way."""
        if not self._settings.sent_folder:
            return None
        sent = message_id(delivery_id, self._settings.address)
        return Receipt((sent,)) if await asyncio.to_thread(self._was_sent, sent) else None

    def _was_sent(self, sent: str) -> bool:
        mailbox = Mailbox(self._settings)
        try:
            mailbox.open(self._settings.sent_folder, readonly=True)
            return mailbox.holds(sent)
        finally:
            mailbox.close()


def _answered(session: Session, address: Address) -> Headers:
    """The headers of the newest mail that came from there, as far as it is still stored."""
    own = f"<{OURS}"
    newest = session.exec(
        select(Delivery.external_id)
        .where(
            Delivery.surface == address.channel,
            Delivery.account == address.account,
            Delivery.chat == address.chat,
            col(Delivery.external_id).is_not(None),
            col(Delivery.external_id).not_like(f"{own}%"),
        )
        .order_by(col(Delivery.created_at).desc(), col(Delivery.ord).desc())
        .limit(1)
    ).first()
    if newest is None:
        return Headers()
    begins = digest_of(newest)
    head = session.exec(
        select(func.substr(InboxEvent.body, 1, HEAD_BYTES_MAX)).where(
            InboxEvent.channel == address.channel,
            InboxEvent.account == address.account,
            col(InboxEvent.external_id) > f"{begins}.",
            col(InboxEvent.external_id) < f"{begins}/",  # the sign after the full stop
        )
    ).first()
    return headers_of(bytes(head)) if head else Headers()


def _require_packages() -> None:
    """They are an extra. Without them the account rests, and nothing is half sent."""
    missing = [name for name in ("imapclient", "aiosmtplib") if find_spec(name) is None]
    if missing:
        raise BadToken(f"{', '.join(missing)} is missing: pip install 'tandem-gateway[email]'")


async def probe(settings: Settings) -> str:
    """Log in on both sides once."""
    _require_packages()

    def look() -> int:
        mailbox = Mailbox(settings)
        try:
            mailbox.open(settings.folder, readonly=True)
            return len(mailbox.unseen())
        finally:
            mailbox.close()

    unread = await asyncio.to_thread(look)
    await greet(settings)
    return f"ok: {unread} unread in {settings.folder}, and {settings.smtp_host} takes our mails"


def build(settings: Settings, parts: Parts) -> EmailChannel:
    return EmailChannel(settings, parts)
