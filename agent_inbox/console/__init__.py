"""The web console: the agents' screens, and the API they are made of.

`build_console` is the only thing the composition root needs.
"""

import asyncio
from dataclasses import dataclass

from litestar import Router
from litestar.datastructures import CacheControlHeader, ResponseHeader
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from agent_inbox.auth import Passwords, first_run_token
from agent_inbox.console import (
    access,
    documents,
    explanations,
    files,
    inbox,
    live,
    pages,
    team,
)  # fmt: skip
from agent_inbox.console.bodies import BODY_BYTES_MAX
from agent_inbox.console.guard import Guard, SignedIn, check_policies
from agent_inbox.console.parts import ConsoleParts
from agent_inbox.console.problems import refuse
from agent_inbox.console.team import welcome_path
from agent_inbox.desk import Desk
from agent_inbox.people import People
from agent_inbox.ports import KnowledgeBase, Librarian
from gateway.attachments import Attachments
from gateway.files import FILE_BYTES_MAX
from gateway.ports import Clock
from gateway.store import Store

PATH = "/console"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """What a deployment chooses. An https `public_url` makes cookies Secure."""

    public_url: str = ""
    trusted_proxies: int = 0
    upload_bytes_max: int = 20_000_000


def build_console(
    *, store: Store, desk: Desk, people: People, knowledge: KnowledgeBase,
    attachments: Attachments, clock: Clock, stopping: asyncio.Event, settings: ConsoleSettings,
    librarian: Librarian, passwords: Passwords | None = None,
) -> list[Router]:  # fmt: skip
    """The console's routes, below /console. Raises RouteWithoutPolicy.

    `stopping` is set when the server shuts down: live sockets end then.
    """
    guard = Guard(
        store, clock, public_url=settings.public_url, trusted_proxies=settings.trusted_proxies
    )
    parts = ConsoleParts(
        store=store, desk=desk, people=people, knowledge=knowledge, attachments=attachments,
        clock=clock, stopping=stopping,
        passwords=passwords or Passwords(), guard=guard, public_url=settings.public_url,
        librarian=librarian,
    )  # fmt: skip
    check_policies(all_handlers())
    return [_api(parts, settings), _pages(guard)]


def all_handlers() -> list[BaseRouteHandler]:
    """Every route of the console: the inventory that policies are checked against."""
    groups = (access, inbox, documents, explanations, files, team, live, pages)
    uploads = [documents.UPLOAD, files.UPLOAD]
    return [handler for group in groups for handler in (*group.HANDLERS,)] + uploads


def _api(parts: ConsoleParts, settings: ConsoleSettings) -> Router:
    larger = Router(
        "/", route_handlers=[documents.UPLOAD], request_max_body_size=settings.upload_bytes_max
    )
    enclosed = Router("/", route_handlers=[files.UPLOAD], request_max_body_size=FILE_BYTES_MAX)
    groups = (access, inbox, documents, explanations, files, team, live)
    return Router(
        f"{PATH}/api",
        route_handlers=[
            larger,
            enclosed,
            *(handler for group in groups for handler in group.HANDLERS),
        ],
        guards=[parts.guard.as_function()],
        dependencies={
            "parts": Provide(lambda: parts, sync_to_thread=False),
            "who": Provide(_who, sync_to_thread=False),
        },
        exception_handlers={Exception: refuse},
        request_max_body_size=BODY_BYTES_MAX,
        response_headers=_headers(),
        cache_control=CacheControlHeader(no_store=True),
        include_in_schema=False,
    )


def _pages(guard: Guard) -> Router:
    files = pages.read_files()
    return Router(
        PATH,
        route_handlers=list(pages.HANDLERS),
        guards=[guard.as_function()],
        dependencies={"files": Provide(lambda: files, sync_to_thread=False)},
        exception_handlers={Exception: refuse},
        response_headers=_headers(),
        include_in_schema=False,
    )


def _headers() -> list[ResponseHeader]:
    return [ResponseHeader(name=name, value=value) for name, value in pages.HEADERS.items()]


def _who(scope: Scope) -> SignedIn:
    return scope["user"]


async def make_first_run_link(store: Store, clock: Clock, base_url: str) -> str | None:
    """The address at which somebody becomes the first admin; None once there is one.

    Works once, for a day. Whoever has it owns the console: print it where only operators look.
    """
    token = await store.write(lambda session: first_run_token(session, now=clock()))
    return None if token is None else base_url.rstrip("/") + welcome_path(token)


__all__ = ["ConsoleSettings", "all_handlers", "build_console", "make_first_run_link"]
