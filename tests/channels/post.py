"""A mailbox that Tandem looks after, and customers who write to it."""

import asyncio
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Any, TypeVar

from sqlmodel import Session, col, select

from channels import Parts
from channels.email import EmailChannel, Settings, build
from gateway.messages import Address, RawEvent
from gateway.models import Conversation, Delivery, InboxEvent, Message
from tests.channels.site import Site
from tests.fakes.email import ImapServer, SmtpServer
from tests.fakes.email.smtp import Taken

T = TypeVar("T")
WAIT_S = 20.0
OURS = "help@shop.example"
PASSWORD = "of-the-mailbox-1"
CUSTOMER = "ana@example.com"
ADDRESS = Address(channel="email", account="main", chat=CUSTOMER)


def settings(imap: int, smtp: int, **more: Any) -> Settings:
    return Settings.model_validate({
        "address": OURS, "name": "Shop", "password": PASSWORD, "poll_s": 5, "wait_s": 5,
        "imap_host": "127.0.0.1", "imap_port": imap, "imap_security": "none",
        "smtp_host": "127.0.0.1", "smtp_port": smtp, "smtp_security": "none",
        "sends_per_minute": 6_000_000,
    } | more)  # fmt: skip


def written(text: str, **headers: str) -> EmailMessage:
    """A customer's mail. `headers` with _ for -, such as `In_Reply_To`."""
    mail = EmailMessage()
    mail["From"] = headers.pop("From", f"Ana Li <{CUSTOMER}>")
    mail["To"] = OURS
    mail["Subject"] = headers.pop("Subject", "Returning a parcel")
    mail["Message-ID"] = headers.pop("Message_ID", make_msgid(domain="example.com"))
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


class Post:
    """The gateway with a mailbox between `open` and `close`."""

    def __init__(self, site: Site, imap: ImapServer, smtp: SmtpServer, **more: Any) -> None:
        self.site = site
        self.world = site.world
        self.imap = imap
        self.smtp = smtp
        self.parts: Parts = site.parts
        self.channel: EmailChannel = build(settings(imap.port, smtp.port, **more), site.parts)
        self._tasks: list[asyncio.Task[None]] = []

    def open(self, **more: Any) -> None:
        if more:
            self.channel = build(settings(self.imap.port, self.smtp.port, **more), self.parts)
        world = self.world
        world.channels["email"] = self.channel  # pyright: ignore[reportArgumentType]
        world.conversations.capabilities = {
            name: channel.capabilities for name, channel in world.channels.items()
        }
        parts = (
            self.channel.run(world.ingress), world.worker.run(), world.outbox.run(), self._tick()
        )  # fmt: skip
        self._tasks = [asyncio.create_task(part) for part in parts]

    async def _tick(self) -> None:
        """Time goes on, faster than outside: mails wait for their slots, and for a second try."""
        while True:
            self.world.clock.turn(milliseconds=200)
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.world.worker.close(within_s=5)
        await self.world.outbox.close(within_s=5)

    async def write(self, mail: EmailMessage | bytes) -> None:
        """A customer's mail arrives."""
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        await asyncio.to_thread(self.imap.deliver, raw)

    async def ask(self, text: str, **headers: str) -> Taken:
        """A customer writes and is answered."""
        await self.write(written(text, **headers))
        return await self.smtp.next()

    async def until_taken(self) -> None:
        """Until no mail is unread."""

        async def taken() -> bool:
            return await asyncio.to_thread(self.imap.unseen) == 0

        await until(taken)

    async def until_read(self, count: int) -> list[InboxEvent]:
        """Until that many events have been read, one way or another."""

        async def read() -> list[InboxEvent]:
            events = await self.world.store.read(
                lambda session: list(session.exec(select(InboxEvent)))
            )
            return events if len([e for e in events if e.state != "new"]) >= count else []

        return await until(read)

    async def lines(self) -> list[Message]:
        """What was said, in order."""
        return await self.world.store.read(
            lambda session: list(session.exec(select(Message).order_by(col(Message.seq))))
        )

    async def conversations(self) -> list[Conversation]:
        return await self.world.store.read(lambda session: list(session.exec(select(Conversation))))

    async def until_ended(self) -> Delivery:
        """The newest delivery to the customer, once it has come to an end."""

        def newest(session: Session) -> Delivery | None:
            return session.exec(
                select(Delivery)
                .where(Delivery.surface == "email", col(Delivery.attempts) > 0)
                .order_by(col(Delivery.ord).desc())
            ).first()

        async def ended() -> Delivery | None:
            row = await self.world.store.read(newest)
            return row if row and row.state not in ("pending", "leased", "sending") else None

        return await until(ended)


async def until(find: Callable[[], Awaitable[T | None]]) -> T:
    """The first true value of `find`."""
    async with asyncio.timeout(WAIT_S):
        while not (found := await find()):  # noqa: ASYNC110 - it looks at other processes
            await asyncio.sleep(0.02)
        return found


def event(mail: EmailMessage | bytes, *, place: str = "1:1", **headers: str) -> RawEvent:
    """A mail as it is stored."""
    raw = mail if isinstance(mail, bytes) else mail.as_bytes()
    return RawEvent(
        channel="email", account="main", external_id=f"0123.{place}", body=raw, headers=headers
    )
