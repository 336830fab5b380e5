"""The Team page: who answers customers, and the one-time links that let them in."""

from typing import Any

from litestar import Request, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from msgspec import Struct
from sqlmodel import Session

from agent_inbox import auth
from agent_inbox.console.bodies import AgentBody, AgentChange, TeamMember, read_body, said
from agent_inbox.console.guard import Policy, SignedIn
from agent_inbox.console.parts import ConsoleParts
from agent_inbox.console.problems import Problem
from agent_inbox.desk import Worker
from agent_inbox.models import Agent
from gateway import audit
from gateway.store import touch

Parts = NamedDependency[SkipValidation[ConsoleParts]]
Who = NamedDependency[SkipValidation[SignedIn]]
AnyRequest = Request[Any, Any, Any]


class Invited(Struct, kw_only=True):
    """An agent with the link that is shown once: `path` follows the server's address."""

    agent: TeamMember
    path: str


@get("/team", policy=Policy.ADMIN)
async def team(parts: Parts) -> list[TeamMember]:
    """Everybody."""
    return [_member(agent) for agent in await parts.store.read(auth.list_agents)]


@post("/team", policy=Policy.ADMIN)
async def add(request: AnyRequest, parts: Parts, who: Who) -> Invited:
    """Add an agent."""
    body = await read_body(request, AgentBody)
    new = auth.NewAgent(
        email=body.email, name=said(body.name), role=body.role, language=body.language
    )

    def work(session: Session) -> Invited:
        added = auth.add_agent(session, new, now=parts.clock(), by=f"agent:{who.agent_id}")
        member = _member(session.get_one(Agent, added.agent_id))
        return Invited(agent=member, path=welcome_path(added.token))

    return await parts.store.write(work)


@post("/team/{agent_id:str}/link", policy=Policy.ADMIN)
async def link(agent_id: FromPath[str], parts: Parts, who: Who) -> Invited:
    """A new link, for somebody who lost theirs or their password."""

    def work(session: Session) -> Invited:
        agent = _known(session, agent_id)
        token = auth.invite(session, agent.id, now=parts.clock())
        _note(session, parts, who, "agent_invited", agent_id)
        return Invited(agent=_member(agent), path=welcome_path(token))

    return await parts.store.write(work)


@patch("/team/{agent_id:str}", policy=Policy.ADMIN)
async def change(
    request: AnyRequest, agent_id: FromPath[str], parts: Parts, who: Who
) -> TeamMember:
    """Enable or disable somebody, or change their role. Disabling ends their sign-ins and puts
    what they had back into the queue."""
    body = await read_body(request, AgentChange)
    if agent_id == who.agent_id:
        raise Problem(409, "illegal-move", "somebody else has to change your own rights")

    def work(session: Session) -> TeamMember:
        agent = _known(session, agent_id)
        if body.role is not None:
            agent.role = body.role
        if body.enabled is not None:
            agent.enabled = body.enabled
        session.add(agent)
        session.flush()
        if not agent.enabled:
            auth.end_sessions(session, agent.id, now=parts.clock())
        _note(session, parts, who, "agent_changed", agent_id,
              role=agent.role, enabled=agent.enabled)  # fmt: skip
        touch(session, "inbox")
        return _member(agent)

    member = await parts.store.write(work)
    if not member.enabled:
        await parts.desk.release_all(Worker(id=member.id, name=member.name))
    return member


def welcome_path(token: str) -> str:
    """The token stands behind #, which browsers never send: no log along the way has it."""
    return f"/console#/welcome/{token}"


def _known(session: Session, agent_id: str) -> Agent:
    agent = session.get(Agent, agent_id)
    if agent is None:
        raise Problem(404, "not-found")
    return agent


def _note(
    session: Session, parts: ConsoleParts, who: SignedIn, action: str, agent_id: str, **detail: Any
) -> None:
    audit.note_down(
        session, at=parts.clock(), actor=f"agent:{who.agent_id}", action=action,
        subject=f"agent:{agent_id}", **detail,
    )  # fmt: skip


def _member(agent: Agent) -> TeamMember:
    return TeamMember(
        id=agent.id, name=agent.name, email=agent.email, role=agent.role, enabled=agent.enabled,
        invited=agent.password_hash is None, created_at=agent.created_at,
    )  # fmt: skip


HANDLERS = (team, add, link, change)
