"""Signing in and out, one-time links, and what agents change about themselves."""

from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from sqlmodel import Session

from agent_inbox import auth
from agent_inbox import store as inbox_sql
from agent_inbox.console.bodies import (
    Browser,
    Me,
    Mine,
    PasswordBody,
    ProfileBody,
    SignInBody,
    WelcomeBody,
    read_body,
    said,
)
from agent_inbox.console.guard import Policy, SignedIn
from agent_inbox.console.parts import ConsoleParts
from agent_inbox.console.problems import Problem
from agent_inbox.models import Agent
from gateway import audit
from gateway.store import touch

Parts = NamedDependency[SkipValidation[ConsoleParts]]
Who = NamedDependency[SkipValidation[SignedIn]]
AnyRequest = Request[Any, Any, Any]


@get("/me", policy=Policy.PUBLIC)
async def me(request: AnyRequest, parts: Parts) -> Me:
    """Who is signed in, if anybody."""
    who: SignedIn | None = request.scope["user"]
    if who is None:
        has_admin = await parts.store.read(inbox_sql.has_admin)
        return Me(agent=None, first_run=not has_admin)
    return Me(agent=_mine(who))


def _mine(who: SignedIn) -> Mine:
    return Mine(
        id=who.agent_id, name=who.name, email=who.email, role=who.role, language=who.language,
        csrf=who.csrf,
    )  # fmt: skip


@post("/sign-in", policy=Policy.PUBLIC, status_code=200)
async def sign_in(request: AnyRequest, parts: Parts) -> Response[Me]:
    """Sign in with e-mail and password: one answer, in one time, for whatever is wrong."""
    body = await read_body(request, SignInBody)
    limits = auth.scopes(body.email, parts.guard.address(request))
    await parts.store.write(lambda session: auth.take_try(session, limits, now=parts.clock()))
    agent = await parts.store.read(lambda session: inbox_sql.find_agent(session, body.email))
    usable = agent is not None and agent.enabled
    known_hash = agent.password_hash if agent is not None and usable else None
    if not await parts.passwords.matches(known_hash, body.password) or agent is None:
        await _note_wrong(parts, agent)
        raise auth.WrongCredentials("e-mail or password is wrong")
    await parts.store.write(lambda session: auth.give_back_try(session, limits, now=parts.clock()))
    return await _signed_in(request, parts, agent)


async def _note_wrong(parts: ConsoleParts, agent: Agent | None) -> None:
    if agent is None:
        return
    subject = f"agent:{agent.id}"
    await parts.store.write(
        lambda session: audit.note_down(
            session, at=parts.clock(), actor="unknown", action="sign_in_failed", subject=subject
        )
    )


async def _signed_in(request: AnyRequest, parts: ConsoleParts, agent: Agent) -> Response[Me]:
    """A new token in the cookie; the one that came with the request stops working."""
    name = parts.guard.cookie_name(request)
    old, browser = request.cookies.get(name), request.headers.get("user-agent", "")

    def work(session: Session) -> str:
        if old:
            auth.end_session(session, old, now=parts.clock())
        return auth.start_session(session, agent, browser=browser, now=parts.clock())

    token = await parts.store.write(work)
    mine = Mine(
        id=agent.id, name=agent.name, email=agent.email, role=agent.role,
        language=agent.language, csrf=auth.csrf_token(token),
    )  # fmt: skip
    return Response(Me(agent=mine), cookies=[_cookie(request, parts, token)])


def _cookie(request: AnyRequest, parts: ConsoleParts, token: str) -> Cookie:
    return Cookie(
        key=parts.guard.cookie_name(request), value=token, path="/", httponly=True,
        secure=parts.guard.secure(request), samesite="lax",
        max_age=int(auth.SESSION_AGE_MAX.total_seconds()) if token else 0,
    )  # fmt: skip


@post("/welcome", policy=Policy.PUBLIC, status_code=200)
async def welcome(request: AnyRequest, parts: Parts) -> Response[Me]:
    """Open a one-time link: set a password, or become the first admin; then be signed in."""
    body = await read_body(request, WelcomeBody)
    now = parts.clock()
    email = await parts.store.read(
        lambda session: _email_of(session, body.token, body.email, parts)
    )
    auth.check_password(body.password, email)
    new = None
    if body.email and body.name:
        new = auth.NewAgent(
            email=body.email, name=said(body.name), role="admin", language=body.language
        )
    password_hash = await parts.passwords.hash(body.password)
    agent = await parts.store.write(
        lambda session: auth.accept(session, body.token, password_hash, new=new, now=now)
    )
    return await _signed_in(request, parts, agent)


def _email_of(session: Session, token: str, said_email: str | None, parts: ConsoleParts) -> str:
    """The e-mail a password must not resemble. Refuses a spent link before any hard work."""
    invitation = auth.invited(session, token, now=parts.clock())
    if invitation.agent_id is None:
        return said_email or ""
    return session.get_one(Agent, invitation.agent_id).email


@post("/sign-out", policy=Policy.PUBLIC, status_code=200)
async def sign_out(request: AnyRequest, parts: Parts) -> Response[Me]:
    """Forget this browser."""
    token = request.cookies.get(parts.guard.cookie_name(request))
    if token:
        await parts.store.write(lambda session: auth.end_session(session, token, now=parts.clock()))
    return Response(Me(agent=None), cookies=[_cookie(request, parts, "")])


@patch("/me", policy=Policy.AGENT)
async def change_me(request: AnyRequest, parts: Parts, who: Who) -> Mine:
    """Change one's own name or language."""
    body = await read_body(request, ProfileBody)
    name = said(body.name) if body.name is not None else None

    def work(session: Session) -> Agent:
        agent = session.get_one(Agent, who.agent_id)
        agent.name, agent.language = name or agent.name, body.language or agent.language
        session.add(agent)
        touch(session, "inbox")
        return agent

    agent = await parts.store.write(work)
    return Mine(
        id=agent.id, name=agent.name, email=agent.email, role=agent.role,
        language=agent.language, csrf=who.csrf,
    )  # fmt: skip


@post("/me/password", policy=Policy.AGENT, status_code=204)
async def change_password(request: AnyRequest, parts: Parts, who: Who) -> None:
    """Change one's own password. Every other browser is signed out."""
    body = await read_body(request, PasswordBody)
    auth.check_password(body.new, who.email)
    limits = auth.scopes(who.email, parts.guard.address(request))
    await parts.store.write(lambda session: auth.take_try(session, limits, now=parts.clock()))
    agent = await parts.store.read(lambda session: session.get_one(Agent, who.agent_id))
    if not await parts.passwords.matches(agent.password_hash, body.old):
        raise Problem(403, "wrong-credentials")
    new_hash = await parts.passwords.hash(body.new)

    def work(session: Session) -> None:
        now = parts.clock()
        auth.give_back_try(session, limits, now=now)
        held = session.get_one(Agent, who.agent_id)
        held.password_hash = new_hash
        session.add(held)
        auth.end_sessions(session, who.agent_id, now=now, keep=who.sign_in_id)
        audit.note_down(
            session, at=now, actor=f"agent:{who.agent_id}", action="password_set",
            subject=f"agent:{who.agent_id}",
        )  # fmt: skip

    await parts.store.write(work)


@get("/me/browsers", policy=Policy.AGENT)
async def browsers(parts: Parts, who: Who) -> list[Browser]:
    """Where one is signed in."""
    found = await parts.store.read(
        lambda session: auth.open_sessions(session, who.agent_id, now=parts.clock())
    )
    return [
        Browser(
            id=one.id, browser=one.browser, created_at=one.created_at, seen_at=one.seen_at,
            this=one.id == who.sign_in_id,
        )
        for one in found
    ]  # fmt: skip


@delete("/me/browsers/{sign_in_id:str}", policy=Policy.AGENT)
async def end_browser(sign_in_id: FromPath[str], parts: Parts, who: Who) -> None:
    """Sign one of one's own browsers out."""
    await parts.store.write(
        lambda session: auth.end_sessions(session, who.agent_id, now=parts.clock(), only=sign_in_id)
    )


HANDLERS = (
    me, sign_in, welcome, sign_out, change_me, change_password, browsers, end_browser,
)  # fmt: skip
