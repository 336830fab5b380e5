"""The composition root: the only file that meets every folder. Settings in, a web app out.

`build` wires the gateway process without starting anything; `public_app` is what customers and
agents reach. The librarian process is put together in `commands/library.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from litestar import Litestar, Request, Response
from litestar import Router as Routes
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from sqlmodel import Session

import channels as ways
from agent_inbox import store as cases_sql
from agent_inbox.console import ConsoleSettings, build_console
from agent_inbox.desk import Cases, Desk
from agent_inbox.models import Agent
from agent_inbox.people import People
from agent_inbox.ports import KnowledgeBase
from agent_inbox.summaries import Summaries
from config.folders import Folders
from config.settings import Section, Settings
from config.sources import Mistake, SettingsError, mistakes_of, origin_of
from config.words import load_phrases, load_signals
from gateway.attachments import Attachments
from gateway.conversations import Conversations
from gateway.crossing import Crossings
from gateway.entrances import Entrances
from gateway.feed import Feed
from gateway.fetching import RestLimits, keep_fetching
from gateway.files import Files
from gateway.handoff import HandOffRules, Words
from gateway.http import Health, HealthLimits, health_routes
from gateway.ingress import Ingress
from gateway.links import Links
from gateway.messages import Capabilities
from gateway.models import Conversation
from gateway.outbox import Outbox, OutboxLimits
from gateway.phrases import make_phrases
from gateway.ports import Answerer, Channel, Clock, Reports
from gateway.router import Router
from gateway.running import RunningTurns
from gateway.showing import Screens, Typing
from gateway.states import State
from gateway.store import Store
from gateway.turns import TurnLimits, Turns
from gateway.worker import Worker, WorkerLimits
from rag.client import Line, RemoteKnowledge, RemoteLibrarian, RemoteLimits
from storage.database import Database, DatabaseLimits
from storage.ids import new_id, utc_now
from storage.migrate import upgrade

log = structlog.get_logger()
ROOT = Path(__file__).resolve().parent
MIGRATIONS = ROOT / "migrations" / "gateway"
FINISH_WAIT_S = 12.0  # for what is in flight when the server ends, after its connections
RESTART_WAIT_S = 1.0  # of a part that broke


class StartError(Exception):
    """The server cannot start; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What stands in for the real thing, in tests. None: what the settings say."""

    answerer: Answerer | None = None
    knowledge: KnowledgeBase | None = None
    clock: Clock = utc_now
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The gateway process, wired and at rest. `stopping` is set when it is asked to end."""

    settings: Settings
    store: Store
    clock: Clock
    stopping: asyncio.Event
    channels: Mapping[str, Channel]
    ingress: Ingress
    worker: Worker
    outbox: Outbox
    desk: Desk
    people: People
    line: Line
    knowledge: KnowledgeBase
    attachments: Attachments


def create_app(settings: Settings, parts: Parts | None = None) -> Litestar:
    """The web app that customers and agents reach, with everything behind it.

    Raises SettingsError, FolderError, SchemaTooNew. Blocks while it migrates the store.
    """
    return public_app(build(settings, parts))


def check(settings: Settings) -> None:
    """Let every module judge its own section. Raises SettingsError with all that is wrong."""
    mistakes: list[Mistake] = []
    try:
        ways.check_sections(settings.channels)
    except ways.BadSections as bad:
        for name, reason in bad.unknown.items():
            key = f"channels.{name}"
            mistakes.append(
                Mistake(key=key, reason=reason, origin=origin_of(key, settings.origins))
            )
        for name, (error, model) in bad.invalid.items():
            mistakes += mistakes_of(error, model, settings.origins, f"channels.{name}.")
    if mistakes:
        raise SettingsError(mistakes)


def build(settings: Settings, parts: Parts | None = None) -> Gateway:
    """Wire the gateway: a migrated store, channels, conversations, desk, worker and outbox."""
    parts = parts or Parts()
    check(settings)
    folders = Folders(settings.data_dir).prepare()
    upgrade(settings.database_url, MIGRATIONS)
    database = _database(settings)
    store = Store(database, Feed())
    behind = Store(database, store.feed, patient=True)  # the work behind the ingress
    line = _line(settings, folders)
    capabilities: dict[str, Capabilities] = {}  # filled when the channels are there
    cases = Cases(parts.clock)
    phrases = make_phrases(load_phrases(folders.phrases))
    channels: dict[str, Channel] = {}  # likewise
    doors = Entrances(channels)
    conversations = Conversations(parts.clock, phrases, cases, capabilities, doors)
    rules = HandOffRules(**_values(settings.gateway.handoff))
    links = Links(conversations)
    crossings = Crossings(conversations, links, **_values(settings.gateway.identity))
    router = Router(conversations, crossings, words=_words(folders), rules=rules)
    turns = Turns(
        behind, conversations, parts.answerer or RemoteLibrarian(line), rules=rules,
        limits=TurnLimits(**_values(settings.gateway.turns)),
        screens=Screens(Typing(channels), aloud=bool(settings.model.url)),
    )  # fmt: skip
    limits = WorkerLimits(**_values(settings.gateway.worker))
    running = RunningTurns(behind, turns, at_once_max=limits.turns_at_once_max)
    ingress = Ingress(store, router, running)
    files = Files(folders.attachments)
    lent = ways.Parts(
        store=store, ingress=ingress, clock=parts.clock, stopping=parts.stopping,
        standing=_standing, files=files, phrases=phrases, crossings=crossings,
        public_url=settings.server.public_url,
        origins=(*settings.server.origins, *_own_origin(settings)),
        trusted_proxies=settings.server.trusted_proxies,
    )  # fmt: skip
    channels |= ways.open_channels(settings.channels, lent)
    capabilities |= {name: channel.capabilities for name, channel in channels.items()}
    outbox = Outbox(
        behind, conversations, channels, OutboxLimits(**_values(settings.gateway.outbox))
    )
    return Gateway(
        settings=settings,
        store=store,
        clock=parts.clock,
        stopping=parts.stopping,
        channels=channels,
        ingress=ingress,
        worker=Worker(behind, router, running, outbox, channels=channels, limits=limits),
        outbox=outbox,
        desk=Desk(store, conversations, parts.clock),
        people=People(store, links),
        line=line,
        knowledge=parts.knowledge or RemoteKnowledge(line),
        attachments=Attachments(store, files, parts.clock, channels),
    )


def _database(settings: Settings) -> Database:
    limits = DatabaseLimits(**_values(settings.database, without="url"))
    return Database(settings.database_url, limits=limits)


def _line(settings: Settings, folders: Folders) -> Line:
    limits = RemoteLimits(**_values(settings.rag.limits, without="ready_wait_s"))
    return Line(folders.librarian_socket, limits)


def _own_origin(settings: Settings) -> tuple[str, ...]:
    """Our own pages' origin where a proxy stands before us and changes the Host header."""
    if not settings.server.public_url:
        return ()
    scheme, host, *_ = urlsplit(settings.server.public_url)
    return (f"{scheme}://{host}",)


def _standing(session: Session, conversation: Conversation) -> ways.Standing:
    """What a customer is told of the people: who has joined, or their place in line."""
    if conversation.state == State.AGENT and conversation.owner:
        agent = session.get(Agent, conversation.owner)
        return ways.Standing(agent=agent.name if agent else None)
    if conversation.state == State.WAITING:
        case = cases_sql.open_case(session, conversation.id)
        return ways.Standing(place=cases_sql.place_of(session, case) if case else None)
    return ways.Standing()


def _words(folders: Folders) -> list[Words]:
    signals = load_signals(folders.signals).values()
    return [Words.from_lists(one["asked"], one["how"]) for one in signals]


def _values(section: Section, *, without: str = "") -> dict[str, Any]:
    """A section as the arguments of the limits that it repeats."""
    return section.model_dump(exclude={without})


# The public app


def public_app(gateway: Gateway) -> Litestar:
    """Chat, console and health; the work behind them runs as long as the app does."""

    @asynccontextmanager
    async def working(_app: Litestar) -> AsyncGenerator[None]:
        async with run(gateway):
            yield

    return Litestar(
        [*_channel_routes(gateway), *_console_routes(gateway), *_health_routes(gateway)],
        lifespan=[working],
        openapi_config=_openapi(gateway.settings),
        logging_config=None,
        exception_handlers={Exception: refuse},
    )


@asynccontextmanager
async def run(gateway: Gateway) -> AsyncGenerator[None]:
    """Everything that works behind the ingress, from taking up what was left to the last commit."""
    store = gateway.store
    # On SQLite this process is alone (the lock says so): every lease is a dead one's.
    await gateway.worker.reclaim(everything=store.database.is_sqlite)
    forever = {
        "worker": gateway.worker.run,
        "outbox": gateway.outbox.run,
        "files": gateway.attachments.run,
    }
    if gateway.settings.model.url:
        forever["summaries"] = Summaries(gateway.store, RemoteLibrarian(gateway.line)).run
    tasks = [asyncio.create_task(_keep(name, part)) for name, part in forever.items()]
    tasks += [
        asyncio.create_task(keep_fetching(channel, gateway.ingress, RestLimits()))
        for channel in gateway.channels.values()
    ]
    try:
        yield
    finally:
        gateway.stopping.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(
            gateway.worker.close(within_s=FINISH_WAIT_S),
            gateway.outbox.close(within_s=FINISH_WAIT_S),
        )
        await gateway.line.close()
        await asyncio.to_thread(store.database.close)


async def _keep(name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part for ever: what breaks is said, and goes on from the database."""
    while True:
        try:
            await part()
        except Exception:
            log.exception("a part broke", part=name)
        await asyncio.sleep(RESTART_WAIT_S)


def _channel_routes(gateway: Gateway) -> list[Any]:
    return [route for channel in gateway.channels.values() for route in channel.routes()]


def _console_routes(gateway: Gateway) -> Sequence[Any]:
    settings = gateway.settings
    if not settings.inbox.console.enabled:
        return ()
    return build_console(
        store=gateway.store,
        desk=gateway.desk,
        people=gateway.people,
        knowledge=gateway.knowledge,
        attachments=gateway.attachments,
        clock=gateway.clock,
        stopping=gateway.stopping,
        librarian=RemoteLibrarian(gateway.line),
        settings=ConsoleSettings(
            public_url=settings.server.public_url,
            trusted_proxies=settings.server.trusted_proxies,
            upload_bytes_max=settings.rag.limits.upload_bytes_max,
        ),
    )


def _health_routes(gateway: Gateway) -> Sequence[Any]:
    async def librarian() -> str:
        found = await gateway.line.health()
        troubles = {"index": found.index, "embedder": found.embedder, "model": found.model}
        fine = ("ok", "none")
        said = "; ".join(f"{part}: {what}" for part, what in troubles.items() if what not in fine)
        return said or ("ok" if found.ready else "not ready")

    reports = {
        name: channel.health
        for name, channel in gateway.channels.items()
        if isinstance(channel, Reports)
    }
    health = Health(
        gateway.store, gateway.clock, gateway.stopping,
        stands_in={"librarian": librarian, **reports}, surfaces=tuple(gateway.channels),
        limits=HealthLimits(**_values(gateway.settings.gateway.health)),
    )  # fmt: skip
    return health_routes(health)


def _openapi(settings: Settings) -> OpenAPIConfig:
    """The published contract of the chat; shown at /schema only where the settings say so."""

    def shown(_connection: ASGIConnection[Any, Any, Any, Any], _route: BaseRouteHandler) -> None:
        if not settings.server.schema_page:
            raise NotFoundException

    return OpenAPIConfig(
        title="Tandem",
        version="1",
        render_plugins=[JsonRenderPlugin()],
        components=Components(
            security_schemes={"visitor": SecurityScheme(type="http", scheme="bearer")}
        ),
        openapi_router=Routes("/schema", route_handlers=[], guards=[shown]),
    )


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    """The last resort, for what no part answered itself: generic outside, an id for the log."""
    if isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
        body = {"type": f"urn:tandem:http-{status}", "title": detail, "detail": detail}
        return Response(body, status_code=status, headers=error.headers)
    reference = new_id()
    log.error("unforeseen", path=request.url.path, reference=reference, exc_info=error)
    detail = f"Something went wrong here. Reference {reference}."
    body = {"type": "urn:tandem:failed", "title": "failed", "detail": detail}
    return Response(body, status_code=500)
