"""The librarian as a command reaches it: that of the running server, else one of its own."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from commands.deployment import Deployment
from commands.failures import NOT_READY, CommandFailed
from commands.screen import hint
from config.folders import Folders
from config.settings import Settings
from rag.client import Line, RemoteKnowledge, RemoteLibrarian, RemoteLimits
from rag.errors import ModelUnavailable
from rag.library import Library
from rag.types import LibrarianHealth

T = TypeVar("T")
POLL_S = 0.25


@asynccontextmanager
async def open_library(deployment: Deployment) -> AsyncGenerator[Library]:
    """Librarian and knowledge base, ready to be asked. Raises CommandFailed when they do not get
    ready in time."""
    if deployment.is_running:
        async with _remote(deployment) as library:
            yield library
        return
    from commands.library import open_own

    hint("No server is running: loading the models here, which takes a few seconds.")
    with deployment.folders.prepare().lock("librarian"):
        async with open_own(deployment) as library:
            yield library


@asynccontextmanager
async def _remote(deployment: Deployment) -> AsyncGenerator[Library]:
    line = open_line(deployment.settings)
    try:
        await until_ready(line.health, deployment.settings.rag.limits.ready_wait_s)
        yield Library(RemoteLibrarian(line), RemoteKnowledge(line))
    finally:
        await line.close()


def open_line(settings: Settings) -> Line:
    """The line to the librarian's socket; nobody needs to listen there yet."""
    limits = settings.rag.limits.model_dump(exclude={"ready_wait_s"})
    return Line(Folders(settings.data_dir).librarian_socket, RemoteLimits(**limits))


async def until_ready(
    health: Callable[[], Awaitable[LibrarianHealth]],
    wait_s: float,
    *,
    tell: Callable[[str], None] = hint,
) -> None:
    """Wait for a librarian that is loading; CommandFailed with what it said last."""
    said = ""
    try:
        async with asyncio.timeout(wait_s):
            while True:
                now = await _state(health)
                if now == "ready":
                    return
                if now != said:
                    tell(f"Waiting for the librarian: {now}")
                said = now
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise CommandFailed(f"the librarian is not ready: {said}", NOT_READY) from None


async def _state(health: Callable[[], Awaitable[LibrarianHealth]]) -> str:
    try:
        found = await health()
    except ModelUnavailable as error:
        return str(error)
    if found.ready:
        return "ready"
    return found.index if found.index != "ok" else found.embedder


def with_library(deployment: Deployment, work: Callable[[Library], Coroutine[Any, Any, T]]) -> T:
    """The value of `work` on an open library, for commands that have no event loop."""

    async def run() -> T:
        async with open_library(deployment) as library:
            return await work(library)

    return asyncio.run(run())
