"""A small but whole gateway on a fake Slack: only the librarian and the agents are twins."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar
from sqlmodel import Session, col, select

from channels import Parts, Standing
from channels.slack import Settings
from channels.slack.channel import SlackChannel, Timing
from channels.slack.socket import LineLimits
from gateway.conversations import Draft
from gateway.files import Files
from gateway.models import Conversation, Delivery, InboxEvent, Message
from storage.database import Database
from tests.conftest import TurnedClock
from tests.fakes.serving import served
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Acts, SlackServer
from tests.gateway.world import ANA, World, phrases

QUICK = Timing(
    share_looks_s=(0.0, 0.0, 0.0), calls_wait_s=0.0, canary_s=3_600.0,
    line=LineLimits(look_s=0.02, retry_s=0.01, retry_s_max=0.02),
)  # fmt: skip


class Shop:
    """The gateway (`world`), its Slack channel, the workspace (`slack`) and the people in it."""

    def __init__(
        self, database: Database, clock: TurnedClock, *, over: str, folder: Path | None
    ) -> None:
        self.clock = clock
        self.over = over
        self.world = World(database, clock)
        self.slack = SlackServer(clock=clock)
        self.acts = Acts(self.slack)
        self.database = database
        self.folder = folder or Path(database.url.removeprefix("sqlite:///")).parent

    def build(self, timing: Timing = QUICK, **settings: Any) -> None:
        """The channel, from its section."""
        way = (
            {"app_token": APP_TOKEN} if self.over == "socket" else
            {"signing_secret": SIGNING_SECRET}
        )  # fmt: skip
        parts = Parts(
            store=self.world.store, ingress=self.world.ingress, clock=self.clock,
            stopping=asyncio.Event(), standing=lambda *_: Standing(),
            files=Files(self.folder / "attachments"), phrases=phrases(),
            crossings=self.world.crossings,
        )  # fmt: skip
        section = {"bot_token": BOT_TOKEN, "api_url": self.slack.api_url, **way, **settings}
        self.channel = SlackChannel(Settings.model_validate(section), parts, timing)
        self.world.channels["slack"] = self.channel  # pyright: ignore[reportArgumentType]
        self.world.conversations.capabilities["slack"] = self.channel.capabilities  # pyright: ignore[reportIndexIssue]

    async def settle(self) -> None:
        """Let everything happen, as slowly as Slack wants it."""
        for _ in range(60):
            await self.slack.lines.settled()
            await self.world.worker.settle()
            if not await self.waiting():
                return
            self.clock.turn(seconds=1.12)
        raise AssertionError("something never ends")

    async def say(self, *args: Any, **more: Any) -> str:
        """A person writes, and everything happens that follows."""
        ts = await self.acts.say(*args, **more)
        await self.settle()
        return ts

    async def waiting(self) -> int:
        """Deliveries that are still to come."""
        return await self.count(
            select(Delivery).where(col(Delivery.state).in_(("pending", "leased", "sending")))
        )

    async def count(self, query: Any) -> int:
        return len(await self.world.store.read(lambda session: session.exec(query).all()))

    async def lines(self, author: str = "customer") -> list[Message]:
        """What was stored, in order."""
        return await self.world.store.read(
            lambda session: list(
                session.exec(
                    select(Message).where(Message.author == author).order_by(col(Message.id))
                )
            )
        )

    async def heard(self) -> list[str]:
        return [line.text for line in await self.lines()]

    async def events(self) -> list[InboxEvent]:
        return await self.world.store.read(
            lambda session: list(session.exec(select(InboxEvent).order_by(col(InboxEvent.id))))
        )

    async def deliveries(self) -> list[Delivery]:
        """Our own posts, in order."""
        return await self.world.store.read(
            lambda session: list(
                session.exec(
                    select(Delivery)
                    .join(Message, col(Message.id) == col(Delivery.message_id))
                    .where(Message.author != "customer")
                    .order_by(col(Delivery.id))
                )
            )
        )

    async def agent_says(self, text: str, **more: Any) -> None:
        """Ana, an agent, writes to the newest conversation."""

        def work(session: Session) -> None:
            newest = session.exec(
                select(Conversation).order_by(col(Conversation.updated_at).desc())
            ).first()
            assert newest is not None
            self.world.conversations.claim(session, newest, ANA)
            draft = Draft(text=text, author=ANA, **more)
            self.world.conversations.say(session, newest, draft)

        await self.world.store.write(work)


@asynccontextmanager
async def open_shop(
    database: Database, clock: TurnedClock, over: str, *, folder: Path | None = None,
    **settings: Any,
) -> AsyncGenerator[Shop]:  # fmt: skip
    """A shop on a served fake, itself served where Slack calls it."""
    shop = Shop(database, clock, over=over, folder=folder)
    async with served(shop.slack.app) as shop.slack.url:
        shop.build(**settings)
        async with _reachable(shop):
            yield shop
        await shop.channel.courtesy.settled()
        await shop.channel.api.close()


@asynccontextmanager
async def _reachable(shop: Shop) -> AsyncGenerator[None]:
    if shop.over == "socket":
        running = asyncio.create_task(shop.channel.run(shop.world.ingress))
        try:
            await shop.slack.lines.until(lambda lines: lines.count == 1)
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
        return
    async with serving(Litestar(shop.channel.routes(), logging_config=None)) as url:
        shop.slack.events.events_url = f"{url}/slack/main/events"
        shop.slack.events.actions_url = f"{url}/slack/main/interactivity"
        yield


@asynccontextmanager
async def serving(app: Litestar) -> AsyncGenerator[str]:
    """An app on a real server in this very loop."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", access_log=False, lifespan="off",
        ws="none",
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
        await asyncio.sleep(0.005)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task
