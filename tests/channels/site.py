"""The web chat on a small but whole gateway: only the librarian and the agents are twins."""

import asyncio
import concurrent.futures
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from sqlmodel import Session, col, select

from channels import Parts, Standing
from channels.web import WebChannel, build
from channels.web.admission import Rate
from channels.web.chat import visitor_topic
from channels.web.settings import Settings
from gateway.conversations import Draft
from gateway.files import Files
from gateway.models import Conversation, Message, Visitor
from gateway.store import touch
from storage.database import Database
from tests.conftest import TurnedClock
from tests.gateway.world import ANA, World, phrases

FOREIGN = "https://elsewhere.example"
FRIEND = "https://shop.example"


class Site:
    """A served web chat. `world` is the gateway behind it, `app` what a server or a test client
    runs; the bot's turns run by themselves between `begin` and `end`."""

    def __init__(self, database: Database, clock: TurnedClock, **settings: Any) -> None:
        self.world = World(database, clock)
        self.stopping = asyncio.Event()
        self.places: dict[str, int] = {}
        self.parts = Parts(
            store=self.world.store, ingress=self.world.ingress, clock=clock,
            stopping=self.stopping, standing=self._standing, origins=(FRIEND,),
            files=Files(Path(database.url.removeprefix("sqlite:///")).parent / "attachments"),
            phrases=phrases(), crossings=self.world.crossings,
        )  # fmt: skip
        self.channel: WebChannel = build(Settings(**settings), self.parts)
        self.world.channels["web"] = self.channel  # pyright: ignore[reportArgumentType]
        self.app = Litestar(
            self.channel.routes(),
            on_startup=[self._begin],
            on_shutdown=[self._end],
            logging_config=None,
            openapi_config=OpenAPIConfig(
                "Tandem", "1", path="/openapi", components=Components(
                    security_schemes={"visitor": SecurityScheme(type="http", scheme="bearer")}
                ),
            ),
        )  # fmt: skip
        self._worker: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client in this very loop, while the site runs."""
        transport = httpx.ASGITransport(self.app)  # pyright: ignore[reportArgumentType]
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            await self._begin()
            yield client
            await self._end()

    async def _begin(self) -> None:
        self._worker = asyncio.create_task(self.world.worker.run())

    async def _end(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
        await self.world.worker.close(within_s=5)

    def _standing(self, session: Session, conversation: Conversation) -> Standing:
        if conversation.owner == ANA.id:
            return Standing(agent=ANA.name)
        return Standing(place=self.places.get(conversation.id, 1))

    # What people do

    async def claim(self) -> None:
        await self._act(lambda session, one: self.world.conversations.claim(session, one, ANA))

    async def say(self, text: str, **more: Any) -> None:
        """Ana writes to the customer."""
        draft = Draft(text=text, author=ANA, **more)
        await self._act(lambda session, one: self.world.conversations.say(session, one, draft))

    async def hand_back(self) -> None:
        await self._act(lambda session, one: self.world.conversations.hand_back(session, one, ANA))

    async def _act(self, verb: Any) -> None:
        def work(session: Session) -> None:
            newest = session.exec(
                select(Conversation).order_by(col(Conversation.updated_at).desc())
            ).first()
            assert newest is not None
            verb(session, newest)

        await self.world.store.write(work)

    async def let_answer(self) -> None:
        """The bot was made to think; now it may answer."""
        self.world.answerer.gate.set()

    async def fresh_minute(self) -> None:
        """So much later that nobody is too fast: neither the visitor nor the bot."""
        self.world.clock.turn(minutes=2)  # pyright: ignore[reportAttributeAccessIssue]
        self.channel.chat.messages = Rate(20, window_s=60, monotonic=time.monotonic)

    async def edit(self, old: str, new: str) -> None:
        """The text of a line changes a moment after the newest one was written."""
        self.world.clock.turn(seconds=1)  # pyright: ignore[reportAttributeAccessIssue]

        def work(session: Session) -> None:
            line = session.exec(select(Message).where(Message.text == old)).one()
            line.text, line.edited_at = new, self.world.clock()
            session.add(line)
            touch(session, f"contact:{line.contact_id}")

        await self.world.store.write(work)

    async def withdraw(self, text: str) -> None:
        """A line is taken back."""

        def work(session: Session) -> None:
            line = session.exec(select(Message).where(Message.text == text)).one()
            line.withdrawn_at = self.world.clock()
            session.add(line)
            touch(session, f"contact:{line.contact_id}")

        await self.world.store.write(work)

    async def signal(self, signal: Mapping[str, Any]) -> None:
        """Something goes over the topic of the newest conversation's customer."""
        newest = await self._newest()
        self.world.store.feed.publish((f"contact:{newest.contact_id}",), signal)

    async def first_signal(self) -> "concurrent.futures.Future[Any]":
        """The first signal that agents' screens get of the newest conversation."""
        newest = await self._newest()
        told: concurrent.futures.Future[Any] = concurrent.futures.Future()
        ready = asyncio.Event()

        async def listen() -> None:
            async with self.world.store.feed.subscribe(f"conversation:{newest.id}") as hints:
                ready.set()
                while not told.done():
                    _, signals = await hints.wait(20)
                    if signals:
                        told.set_result(dict(signals[0]))

        self._listening = asyncio.create_task(listen())
        await ready.wait()
        return told

    async def readers(self) -> int:
        """How many sockets and polls wait for the only visitor."""
        visitor = await self.world.store.read(lambda session: session.exec(select(Visitor)).one())
        return self.world.store.feed.readers(visitor_topic(visitor.id))

    async def _newest(self) -> Conversation:
        return await self.world.store.read(
            lambda session: session.exec(
                select(Conversation).order_by(col(Conversation.updated_at).desc())
            ).one()
        )

    async def revoke(self) -> None:
        """Every visitor's token stops being valid."""

        def work(session: Session) -> None:
            for visitor in session.exec(select(Visitor)):
                visitor.revoked_at = self.world.clock()
                session.add(visitor)

        await self.world.store.write(work)


def signed(token: str, **more: str) -> Mapping[str, str]:
    """The headers of a visitor."""
    return {"Authorization": f"Bearer {token}", **more}
