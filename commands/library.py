"""The composition root of the librarian: what `tandem librarian` runs, and what commands open for
themselves while no server is running."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from app import MIGRATIONS
from commands.deployment import Deployment
from commands.spaces import open_spaces
from config.settings import Model, Settings
from gateway.turns import raise_floor
from rag import store
from rag.answer import Librarian
from rag.budget import Budget, BudgetLimits
from rag.intake import IntakeLimits, Parts
from rag.knowledge import Knowledge
from rag.library import Library
from rag.llm import CallLimits, Endpoint, OpenAICompatible
from rag.load.guard import Guard, WebHosts
from rag.load.web import Fetcher, WebLimits
from rag.ports import ModelLimits
from rag.retrieve import RetrieveLimits, Retriever
from rag.sandbox import ParserLimits
from rag.spaces import Spaces
from rag.split import SplitLimits
from rag.types import (
    Answer,
    Explanation,
    Language,
    LibrarianHealth,
    NumberedLine,
    Question,
    Summary,
)
from rag.writer import ModelWriter, Show
from storage.database import Database, DatabaseLimits
from storage.ids import utc_now
from storage.migrate import upgrade

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Watched:
    """The librarian with the health of the whole: the canary knows more of the index."""

    librarian: Librarian
    knowledge: Knowledge
    model: OpenAICompatible | None

    def answer(self, question: Question) -> Awaitable[Answer]:
        return self.librarian.answer(question)

    def answer_aloud(self, question: Question, show: Show) -> Awaitable[Answer]:
        return self.librarian.answer_aloud(question, show)

    def explain(self, record_id: str, *, replay: bool = False) -> Awaitable[Explanation]:
        return self.librarian.explain(record_id, replay=replay)

    def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Awaitable[Summary]:
        return self.librarian.summarise(lines, language, asker)

    def alike(self, text: str, others: Sequence[str]) -> Awaitable[list[float]]:
        return self.librarian.alike(text, others)

    async def health(self) -> LibrarianHealth:
        model = "none" if self.model is None else self.model.trouble or "ok"
        return replace(
            await self.librarian.health(),
            index=self.knowledge.index_state,
            model=model,
            reembedding=await self.knowledge.reembedding(),
        )


@asynccontextmanager
async def open_own(deployment: Deployment) -> AsyncGenerator[Library]:
    """Librarian and knowledge base in this process: stores migrated, models loaded, index running,
    documents being taken in. The caller holds the lock "librarian"."""
    settings = deployment.settings.rag
    async with AsyncExitStack() as stack:
        database = await asyncio.to_thread(_open_store, deployment.settings)
        stack.callback(database.close)
        floor = await asyncio.to_thread(_Floor, deployment.settings)
        stack.callback(floor.close)
        live, building = await open_spaces(deployment, database, stack)
        spaces = Spaces(live)
        retriever = Retriever(
            database, spaces,
            limits=RetrieveLimits(**settings.search.model_dump()),
            on_trouble=lambda: knowledge.suspect_index(),  # noqa: PLW0108 - it is made below
        )  # fmt: skip
        model = _open_model(deployment.settings.model, stack)
        librarian = Librarian(
            database, retriever, writer=_writer(deployment.settings.model, model, database)
        )
        stack.push_async_callback(librarian.close)
        await librarian.refresh()
        knowledge = Knowledge(
            Parts(
                database=database, spaces=spaces, files=deployment.folders.files,
                fetcher=_fetcher(deployment.settings), raise_floor=floor,
                changed=librarian.refresh, limits=_intake(deployment.settings),
            ),
            building,
        )  # fmt: skip
        stack.push_async_callback(_end, asyncio.create_task(knowledge.run()))
        yield Library(_Watched(librarian, knowledge, model), knowledge)


def _open_model(settings: Model, stack: AsyncExitStack) -> OpenAICompatible | None:
    """The language model of the settings; None where they name no address."""
    if not settings.url:
        return None
    names = tuple(name for name in (settings.name, *settings.fallbacks) if name)
    limits = CallLimits(
        calls_max=settings.calls_max, connect_wait_s=settings.connect_wait_s,
        retry_wait_s_max=settings.retry_wait_s_max, rest_s=settings.rest_s,
        rest_s_max=settings.rest_s_max,
    )  # fmt: skip
    model = OpenAICompatible(Endpoint(url=settings.url, key=settings.key, names=names), limits)
    stack.push_async_callback(model.close)
    return model


def _writer(
    settings: Model, model: OpenAICompatible | None, database: Database
) -> ModelWriter | None:
    if model is None:
        return None
    budget = BudgetLimits(
        turn_tokens_max=settings.turn_tokens_max,
        customer_tokens_max=settings.customer_tokens_max,
        day_tokens_max=settings.day_tokens_max,
    )
    limits = ModelLimits(
        answer_tokens_max=settings.answer_tokens_max,
        first_token_wait_s=settings.first_token_wait_s,
        idle_wait_s=settings.idle_wait_s,
        total_wait_s=settings.total_wait_s,
    )
    return ModelWriter(model, Budget(database, budget, utc_now), limits)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _intake(settings: Settings) -> IntakeLimits:
    return IntakeLimits(
        parser=ParserLimits(**settings.rag.parser.model_dump()),
        split=SplitLimits(**settings.rag.split.model_dump()),
        **settings.rag.intake.model_dump(),
    )


def _fetcher(settings: Settings) -> Fetcher:
    web = settings.rag.web
    hosts = WebHosts(allowed=frozenset(web.hosts), internal=frozenset(web.internal_hosts))
    limits = WebLimits(**web.model_dump(exclude={"hosts", "internal_hosts"}))
    return Fetcher(Guard(hosts), limits)


def _open_store(settings: Settings) -> Database:
    store.migrate(settings.rag_database_url)
    limits = DatabaseLimits(**settings.database.model_dump(exclude={"url"}))
    return Database(settings.rag_database_url, limits=limits)


class _Floor:
    """The gateway's knowledge floor, raised in its own store before a withdrawal commits in ours.

    Straight into the database: that holds whether the gateway runs, has just died, or runs on
    other machines. It is one short write now and then, beside the gateway's own writer.
    """

    def __init__(self, settings: Settings) -> None:
        upgrade(settings.database_url, MIGRATIONS)
        self._database = Database(
            settings.database_url, limits=DatabaseLimits(readers=1, writers=1, commit_wait_s=10.0)
        )

    async def __call__(self, version: int) -> None:
        """Raises DatabaseError: then nothing may be withdrawn."""
        await self._database.write(lambda session: raise_floor(session, version))

    def close(self) -> None:
        self._database.close()
