"""A whole gateway on Telegram: the real channel, over HTTP, against a Telegram of our own."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar
from sqlmodel import col, func, select

from channels import Parts, Standing
from channels.telegram.channel import TelegramChannel
from channels.telegram.settings import Settings
from gateway.conversations import Draft
from gateway.errors import ChannelError
from gateway.files import Files
from gateway.ingress import Ingress
from gateway.messages import Address, Attachment, OutboundMessage, RawEvent
from gateway.models import Conversation, Delivery, InboxEvent, Message
from gateway.outbox import address_of
from gateway.ports import Intake
from storage.database import Database, DatabaseError
from tests.conftest import TurnedClock
from tests.fakes.telegram import TOKEN, Telegram
from tests.gateway.world import ANA, World, phrases

_A_WHILE = timedelta(minutes=5)  # who waits longer, waits on purpose
PROMPT_S = 0.01  # between tries: nobody here waits for a real network


class Door(Ingress):
    """The ingress, which a test can close for the next calls."""

    def __init__(self, real: Ingress) -> None:
        self._real = real
        self.refusals: list[DatabaseError] = []

    async def store(self, event: RawEvent) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        await self._real.store(event)


class Site:
    """`telegram` is the far end, `world` the gateway. Between `online` and its end updates come
    in by themselves; answers are made by `settle`."""

    def __init__(
        self, database: Database, clock: TurnedClock, telegram: Telegram, url: str, **settings: Any
    ) -> None:
        self.telegram = telegram
        self.clock = clock
        self.world = World(database, clock)
        self.files = Files(Path(database.url.removeprefix("sqlite:///")).parent / "attachments")
        self._door = Door(self.world.ingress)
        self.parts = Parts(
            store=self.world.store, ingress=self._door, clock=clock,
            stopping=asyncio.Event(), standing=lambda *_: Standing(), files=self.files,
            phrases=phrases(), crossings=self.world.crossings,
            public_url=settings.pop("public_url", ""),
        )  # fmt: skip
        given: dict[str, Any] = {
            "token": TOKEN, "api_url": url, "retry_wait_s": PROMPT_S, "retry_wait_s_max": PROMPT_S
        }  # fmt: skip
        self.settings = Settings(**(given | settings))
        self._build()

    def _build(self) -> None:
        self.channel = TelegramChannel(self.settings, self.parts, sleep=self._turn)
        self.world.channels["telegram"] = self.channel  # pyright: ignore[reportArgumentType]
        self.world.conversations.capabilities = {
            name: one.capabilities for name, one in self.world.channels.items()
        }

    @asynccontextmanager
    async def online(self, receive: Intake | None = None) -> AsyncGenerator[None]:
        """Updates are taken in, as long as this lasts."""
        task = asyncio.create_task(self.channel.run(receive or self.world.ingress))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self.channel.courtesies.done()

    async def until(self, is_true: Callable[[], Awaitable[object]]) -> None:
        """Wait for what happens beside the conversation."""
        async with asyncio.timeout(30):
            while not await is_true():  # noqa: ASYNC110 - nobody tells that it happened
                await asyncio.sleep(PROMPT_S)

    async def health_says(self, words: str) -> str:
        """What health says, once these words are in it."""

        async def said() -> bool:
            return words in await self.channel.health()

        await self.until(said)
        return await self.channel.health()

    async def settle(self) -> None:
        """Everything that was written is taken in, answered, and what is said has arrived."""
        await asyncio.wait_for(self.telegram.mail.taken(), 30)
        await self.answer()

    async def answer(self) -> None:
        """What was taken in is answered; time goes on until nothing waits to be sent."""
        await self.world.worker.settle()
        while await self._waiting():
            self.clock.turn(seconds=1.2)
            await self.world.worker.settle()
        await self.channel.courtesies.done()

    async def _waiting(self) -> int:
        soon = self.clock.now + _A_WHILE
        return await self.world.store.read(
            lambda session: session.exec(
                select(func.count())
                .select_from(Delivery)
                .where(col(Delivery.state) == "pending", col(Delivery.due) < soon)
            ).one()
        )

    async def _turn(self, wait_s: float) -> None:
        self.clock.turn(seconds=wait_s)

    # Straight to the channel

    @property
    def webhook_url(self) -> str:
        return f"{self.parts.public_url}/telegram/{self.settings.account}"

    def move_to(self, public_url: str) -> None:
        """From now on we are reached there. Before `online` only."""
        self.parts = replace(self.parts, public_url=public_url)
        self.channel.parts = self.parts

    def refuse_next(self, *errors: DatabaseError) -> None:
        self._door.refusals += errors

    def place(self, chat: int) -> Address:
        return Address(channel="telegram", account="main", chat=str(chat))

    async def edit(self, delivery: Delivery, text: str) -> None:
        await self.channel.edit(
            address_of(delivery), delivery.external_id or "", OutboundMessage(text=text)
        )

    async def delete(self, delivery: Delivery) -> None:
        await self.channel.delete(address_of(delivery), delivery.external_id or "")

    async def failure_of_sending(self, text: str, *, chat: int = 1) -> ChannelError:
        return await self.error_of(self.channel.send(self.place(chat), OutboundMessage(text=text)))

    async def error_of(self, call: Awaitable[object]) -> ChannelError:
        try:
            await call
        except ChannelError as error:
            return error
        raise AssertionError("it went well")

    def raw(self, event: InboxEvent) -> RawEvent:
        """A stored event as the channel is given it."""
        return RawEvent(
            channel=event.channel, account=event.account, external_id=event.external_id,
            body=event.body, headers=event.headers,
        )  # fmt: skip

    # What agents do and see

    async def claim(self) -> None:
        await self._act(lambda session, one: self.world.conversations.claim(session, one, ANA))

    async def reply(self, text: str, *attachments: Attachment) -> None:
        """Ana writes to the customer."""
        draft = Draft(text=text, author=ANA, attachments=attachments)
        await self._act(lambda session, one: self.world.conversations.say(session, one, draft))

    async def reply_to(self, chat: int, text: str) -> None:
        """Ana writes to the customer of a certain chat."""
        draft = Draft(text=text, author=ANA)
        await self.world.act(
            lambda session, one: self.world.conversations.say(session, one, draft), str(chat)
        )

    async def _act(self, verb: Any) -> None:
        newest = await self.conversation()
        await self.world.store.write(
            lambda session: verb(session, session.get_one(Conversation, newest.id))
        )

    async def conversation(self) -> Conversation:
        """The one that was written in last."""
        return await self.world.store.read(
            lambda session: (
                session.exec(
                    select(Conversation).order_by(
                        col(Conversation.updated_at).desc(), col(Conversation.id).desc()
                    )
                ).first()
                or _nobody_wrote()
            )
        )

    async def lines(self) -> list[Message]:
        """The whole transcript of all conversations, in order."""
        return await self.world.store.read(
            lambda session: list(session.exec(select(Message).order_by(col(Message.id))))
        )

    async def said_by_customers(self) -> list[str]:
        return [one.text for one in await self.lines() if one.author == "customer"]

    async def conversations(self) -> list[Conversation]:
        return await self.world.store.read(
            lambda session: list(session.exec(select(Conversation).order_by(col(Conversation.id))))
        )

    async def deliveries(self) -> list[Delivery]:
        """What was to be sent, in order."""
        return await self.world.store.read(
            lambda session: list(
                session.exec(
                    select(Delivery).join(Message, col(Message.id) == col(Delivery.message_id))
                    .where(Message.author != "customer")
                    .order_by(col(Delivery.id))
                )
            )
        )  # fmt: skip

    async def events(self) -> list[InboxEvent]:
        return await self.world.store.read(
            lambda session: list(session.exec(select(InboxEvent).order_by(col(InboxEvent.id))))
        )


@asynccontextmanager
async def brought_to(site: Site) -> AsyncGenerator[str]:
    """The site's webhook on a real server in this loop; its address."""
    app = Litestar(list(site.channel.routes()), logging_config=None, openapi_config=None)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def _nobody_wrote() -> Conversation:
    raise LookupError("nobody has written yet")
