"""The admin socket of a running server: what the command line does beside it goes through here.

It checks no token: the socket stands in a folder of mode 0700.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath, JSONBody
from sqlmodel import Session

from agent_inbox.auth import AuthError, NewAgent, add_agent, list_agents
from agent_inbox.console.team import welcome_path
from agent_inbox.models import Agent
from app import Gateway, refuse
from gateway.models import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a running server says of itself. `url` is where people reach it."""

    pid: int
    url: str
    local_url: str  # without the proxies that may stand before `url`


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An agent as the command line lists them. `path` is the one-time link of a new one."""

    id: str
    name: str
    email: str
    role: str
    enabled: bool
    has_password: bool
    path: str = ""


def admin_app(gateway: Gateway, status: Status) -> Litestar:
    """The local admin socket's app. It checks no token: its folder is mode 0700."""
    store = gateway.store

    @get("/status", sync_to_thread=False)
    def tell() -> Status:
        return status

    @get("/agents")
    async def agents() -> list[Member]:
        return await store.read(members)

    @post("/agents")
    async def add(data: JSONBody[NewAgent]) -> Member:
        return await store.write(lambda session: add_member(session, data, gateway.clock()))

    @get("/messages/{message_id:str}/record")
    async def record(message_id: FromPath[str]) -> dict[str, str]:
        """The record behind a line; empty where there is none."""
        return {"record_id": await store.read(lambda session: record_of(session, message_id))}

    return Litestar(
        [tell, agents, add, record],
        openapi_config=None,
        logging_config=None,
        exception_handlers={AuthError: _taken, Exception: refuse},
    )


def record_of(session: Session, message_id: str) -> str:
    """The record of the answer that a message is; "" for every other id."""
    message = session.get(Message, message_id)
    return (message.record_id or "") if message else ""


def members(session: Session) -> list[Member]:
    """Everybody on the team."""
    return [_member(agent) for agent in list_agents(session)]


def add_member(session: Session, new: NewAgent, now: datetime) -> Member:
    """Add somebody; their link is in `path`. Raises Taken."""
    added = add_agent(session, new, now=now, by="command line")
    agent = session.get_one(Agent, added.agent_id)
    return _member(agent, welcome_path(added.token))


def _member(agent: Agent, path: str = "") -> Member:
    return Member(
        id=agent.id,
        name=agent.name,
        email=agent.email,
        role=agent.role,
        enabled=agent.enabled,
        has_password=agent.password_hash is not None,
        path=path,
    )


def _taken(_request: Request[Any, Any, Any], error: AuthError) -> Response[dict[str, str]]:
    return Response({"detail": str(error)}, status_code=409)
