"""The manual that is shipped with Tandem, taken in on a first run: there is something to ask."""

import asyncio
from pathlib import Path
from typing import get_args

import structlog

from agent_inbox.ports import KnowledgeBase
from config.folders import Folders
from rag.errors import RagError
from rag.types import Language, Upload

log = structlog.get_logger()
FOLDER = Path(__file__).resolve().parents[1] / "knowledge"
_MARK = "sample.done"


async def take_in_sample(folders: Folders, knowledge: KnowledgeBase) -> None:
    """Hand the manual in once, if there are no documents. Later starts leave it alone, whatever
    the admin made of it."""
    mark = folders.data_dir / _MARK
    if mark.exists():
        return
    try:
        if not await knowledge.sources(limit=1):
            for upload in await asyncio.to_thread(sample):
                await knowledge.add(upload)
    except RagError as error:
        log.warning("sample_not_taken_in", reason=str(error))
        return
    mark.touch()


def sample() -> list[Upload]:
    """The manual's pages in every language."""
    return [
        Upload(
            name=page.relative_to(FOLDER).as_posix(), content=page.read_bytes(), language=language
        )
        for language in get_args(Language)
        for page in sorted((FOLDER / language).glob("*.md"))
    ]
