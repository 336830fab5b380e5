"""The embedder that is searched with, and the one that the settings name, where they differ.

Each has an index of its own, in a folder of its own: the new one is built beside the live one and
takes its place when it is complete. What it takes to load the old one is kept in the store.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from commands.deployment import Deployment
from commands.embedder import load_embedder
from config.settings import Embedder as Section
from rag import store
from rag.chroma import ChromaLimits, ChromaServer
from rag.embed import BatcherLimits, MicroBatcher
from rag.errors import IndexUnavailable, ModelUnavailable
from rag.index import ChromaIndex, MemoryIndex
from rag.knowledge import Building
from rag.ports import Embedder, Index
from rag.spaces import Space
from storage.database import Database
from storage.ids import utc_now

log = structlog.get_logger()


async def open_spaces(
    deployment: Deployment, database: Database, stack: AsyncExitStack
) -> tuple[Space, Building | None]:
    """The live space, and the one to be built if the settings name another embedder. Raises
    ModelUnavailable. What was opened is closed by `stack`."""
    wanted = await asyncio.to_thread(load_embedder, deployment.settings.rag.embedder)
    recipe = deployment.settings.rag.embedder.model_dump()
    # One thread for both: never two texts at once, so that questions wait for one batch at most.
    encoder = ThreadPoolExecutor(1, thread_name_prefix="embed")
    stack.callback(encoder.shutdown, cancel_futures=True)
    known = await database.read(store.live_space)
    is_empty = not await database.read(store.count_live)
    old = None if known is None or is_empty else await _old_embedder(known, wanted)
    kept = {_folder(deployment, one.fingerprint) for one in (old, wanted) if one is not None}
    await asyncio.to_thread(_remove_other_folders, deployment.folders.index, kept)
    if old is None or known is None:
        await database.write(
            lambda session: store.switch_space(session, wanted.fingerprint, recipe, now=utc_now())
        )
        return await _open(deployment, _Named(wanted, recipe, encoder), stack), None
    log.info("embedder_changes", old=known[0], new=wanted.fingerprint)
    live_stack = await stack.enter_async_context(AsyncExitStack())
    live = await _open(deployment, _Named(old, known[1], encoder), live_stack)
    following = await _open(deployment, _Named(wanted, recipe, encoder), stack)

    async def replaced(space: Space) -> None:
        await live_stack.aclose()
        await asyncio.to_thread(
            shutil.rmtree, _folder(deployment, space.fingerprint), ignore_errors=True
        )

    return live, Building(following, replaced)


async def _old_embedder(known: tuple[str, Mapping[str, Any]], wanted: Embedder) -> Embedder | None:
    """The one that made the live vectors; None if it is the wanted one, or not to be had: then
    keywords answer until the new index is complete."""
    fingerprint, recipe = known
    if fingerprint == wanted.fingerprint:
        return None
    try:
        embedder = await asyncio.to_thread(load_embedder, Section(**recipe))
    except (ModelUnavailable, ValidationError) as error:
        log.warning("old_embedder_not_loaded", fingerprint=fingerprint, reason=str(error))
        return None
    return embedder if embedder.fingerprint == fingerprint else None


@dataclass(frozen=True, slots=True)
class _Named:
    """A loaded embedder, what it takes to load it again, and the thread that it works on."""

    embedder: Embedder
    recipe: Mapping[str, Any]
    encoder: ThreadPoolExecutor


async def _open(deployment: Deployment, named: _Named, stack: AsyncExitStack) -> Space:
    limits = BatcherLimits(**deployment.settings.rag.batcher.model_dump())
    batcher = MicroBatcher(named.embedder, limits, encoder=named.encoder)
    stack.callback(batcher.close)
    return Space(batcher, await _open_index(deployment, named.embedder, stack), named.recipe)


async def _open_index(deployment: Deployment, embedder: Embedder, stack: AsyncExitStack) -> Index:
    if deployment.settings.rag.index.kind == "memory":
        return MemoryIndex()
    limits = ChromaLimits(**deployment.settings.rag.chroma.model_dump())
    server = ChromaServer(_folder(deployment, embedder.fingerprint), limits)
    stack.push_async_callback(server.stop)
    try:
        await server.start()
    except IndexUnavailable as error:  # it tries on; keywords answer alone meanwhile
        log.warning("index_not_started", reason=str(error))
    index = ChromaIndex(server, fingerprint=embedder.fingerprint, dimension=embedder.dimension)
    stack.push_async_callback(index.close)
    return index


def _remove_other_folders(index: Path, kept: set[Path]) -> None:
    """Indexes of embedders that nobody searches with: a change that was taken back leaves one."""
    for folder in index.glob("*/"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _folder(deployment: Deployment, fingerprint: str) -> Path:
    return deployment.folders.index / hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
