"""A small but whole gateway behind a channel that talks to an emulator, in real time."""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlmodel import select

from channels import Parts, Standing
from gateway.files import Files
from gateway.models import Message
from gateway.ports import Channel
from storage.database import Database
from tests.conftest import TurnedClock
from tests.gateway.world import World, phrases

T = TypeVar("T")
WAIT_S = 20.0


class Ticking(TurnedClock):
    """The real time: emulators sign with it."""

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


class Office:
    """The gateway, its parts for a channel, and what it has heard and said."""

    def __init__(self, database: Database) -> None:
        self.clock = Ticking()
        self.world = World(database, self.clock)
        folder = Path(database.url.removeprefix("sqlite:///")).parent
        self.parts = Parts(
            store=self.world.store, ingress=self.world.ingress, clock=self.clock,
            stopping=asyncio.Event(), standing=lambda *_: Standing(),
            files=Files(folder / "attachments"), phrases=phrases(),
            crossings=self.world.crossings,
        )  # fmt: skip

    @asynccontextmanager
    async def working(self, name: str, channel: Channel) -> AsyncGenerator[None]:
        """Everything runs, the channel included, until the block ends."""
        world = self.world
        world.channels[name] = channel  # pyright: ignore[reportArgumentType]
        world.conversations.capabilities = {
            one: known.capabilities for one, known in world.channels.items()
        }
        running = (channel.run(world.ingress), world.worker.run(), world.outbox.run())
        tasks = [asyncio.create_task(part) for part in running]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await world.worker.close(within_s=5)
            await world.outbox.close(within_s=5)

    async def messages(self, author: str) -> list[Message]:
        return await self.world.store.read(
            lambda session: list(session.exec(select(Message).where(Message.author == author)))
        )


async def until(find: Callable[[], Awaitable[T | None]]) -> T:
    """The first true value of `find`: an emulator tells nobody when something has happened."""
    async with asyncio.timeout(WAIT_S):
        while not (found := await find()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return found


def lines(messages: Any) -> list[str]:
    return [message["text"] for message in messages]
