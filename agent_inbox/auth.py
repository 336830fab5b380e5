"""Who an agent is: passwords, sign-ins, one-time links, and how often one may try.

AuthError
├── WrongCredentials    one answer for an unknown account and a wrong password
├── WeakPassword        `reason` is one of PASSWORD_REASONS
├── LinkSpent           a one-time link that is used, expired or unknown
└── Taken               somebody has this e-mail already
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from importlib import resources
from itertools import pairwise
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from agent_inbox import store as inbox_sql
from agent_inbox.models import Agent, Invitation, SignIn
from gateway import audit
from gateway.errors import TooMuch
from gateway.models import RateBucket
from rag.types import Language
from storage.ids import new_id
from storage.text import clean_text

Role = Literal["agent", "admin"]
PasswordReason = Literal["short", "long", "common", "simple", "own_email"]

PASSWORD_CHARS_MIN = 12
PASSWORD_CHARS_MAX = 200
SESSION_IDLE_MAX = timedelta(hours=8)
SESSION_AGE_MAX = timedelta(days=7)
SEEN_STEP = timedelta(minutes=5)  # how exactly "last seen" is kept: not one write per request
FIRST_RUN_VALID = timedelta(hours=24)
INVITATION_VALID = timedelta(hours=72)
HASHES_AT_ONCE = 2  # each takes 64 MB for 0.2 s


class AuthError(Exception):
    """The root of what sign-in refuses on purpose."""


class WrongCredentials(AuthError):
    """No such account, a wrong password, or a disabled account: nobody is told which."""


class WeakPassword(AuthError):
    """The password would be guessed."""

    def __init__(self, reason: PasswordReason) -> None:
        super().__init__(reason)
        self.reason = reason


class LinkSpent(AuthError):
    """The link was used, has expired, or never was."""


class Taken(AuthError):
    """An agent with this e-mail exists."""


# Passwords


class Passwords:
    """argon2id, in a thread. The twin for tests is the same class with a cheap cost."""

    def __init__(self, *, time_cost: int = 3, memory_kib: int = 65_536) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib)
        self._slots = asyncio.Semaphore(HASHES_AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the one. Without a hash the same work is done for nothing, so that the
        time does not tell whether an account exists."""
        async with self._slots:
            return await asyncio.to_thread(self._verify, password_hash, password)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())


def check_password(password: str, email: str = "") -> None:
    """Raise WeakPassword. Length and being unguessable count, composition does not."""
    if len(password) < PASSWORD_CHARS_MIN:
        raise WeakPassword("short")
    if len(password) > PASSWORD_CHARS_MAX:
        raise WeakPassword("long")
    folded = password.casefold()
    if folded in _common_passwords():
        raise WeakPassword("common")
    if _is_simple(folded):
        raise WeakPassword("simple")
    local = email.partition("@")[0].casefold()
    if email and (email.casefold() in folded or (len(local) >= 4 and folded.startswith(local))):
        raise WeakPassword("own_email")


def _common_passwords() -> frozenset[str]:
    text = resources.files("agent_inbox").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))


_RUNS = "01234567890 abcdefghijklmnopqrstuvwxyz qwertyuiop asdfghjkl zxcvbnm"


def _is_simple(password: str) -> bool:
    """One short piece repeated, or a run over the alphabet, the digits or the keyboard."""
    if re.fullmatch(r"(.{1,4})\1{2,}.{0,3}", password, re.DOTALL):
        return True
    steps = sum(a + b in _RUNS or b + a in _RUNS for a, b in pairwise(password))
    return steps >= len(password) * 0.75


# Agents and their one-time links


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """Somebody to be added."""

    email: str
    name: str
    role: Role = "agent"
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class Added:
    """The agent, and the token of the link by which they set their password."""

    agent_id: str
    token: str


def add_agent(session: Session, new: NewAgent, *, now: datetime, by: str = "system") -> Added:
    """Add an agent, and make the link that lets them in. Raises Taken."""
    agent = _insert(session, new, now)
    audit.note_down(
        session, at=now, actor=by, action="agent_added", subject=f"agent:{agent.id}", role=new.role
    )
    return Added(agent.id, invite(session, agent.id, now=now))


def _insert(session: Session, new: NewAgent, now: datetime) -> Agent:
    email = normal_email(new.email)
    if inbox_sql.find_agent(session, email) is not None:
        raise Taken("somebody has this e-mail already")
    agent = Agent(
        id=new_id(), name=clean_text(new.name).strip(), email=email, role=new.role,
        language=new.language, created_at=now,
    )  # fmt: skip
    session.add(agent)
    session.flush()
    return agent


def list_agents(session: Session) -> list[Agent]:
    """Everybody, disabled ones too, in the order they were added."""
    return inbox_sql.list_agents(session)


def invite(session: Session, agent_id: str | None, *, now: datetime) -> str:
    """A token that lets its bearer set this agent's password, once. Earlier ones stop working."""
    if agent_id is not None:
        session.exec(delete(Invitation).where(col(Invitation.agent_id) == agent_id))
    session.exec(delete(Invitation).where(col(Invitation.expires_at) <= now))
    token = secrets.token_urlsafe(32)
    valid = INVITATION_VALID if agent_id else FIRST_RUN_VALID
    session.add(Invitation(token_hash=digest(token), agent_id=agent_id, expires_at=now + valid))
    return token


def first_run_token(session: Session, *, now: datetime) -> str | None:
    """A token by which somebody becomes the first admin; None once there is one."""
    return None if inbox_sql.has_admin(session) else invite(session, None, now=now)


def invited(session: Session, token: str, *, now: datetime) -> Invitation:
    """The invitation behind a token. Raises LinkSpent."""
    found = session.get(Invitation, digest(token), with_for_update=True)
    if found is None or found.expires_at <= now:
        raise LinkSpent("the link was used or has expired")
    if found.agent_id is None and inbox_sql.has_admin(session):
        raise LinkSpent("there is an admin already")
    return found


def accept(
    session: Session, token: str, password_hash: str, *, new: NewAgent | None, now: datetime
) -> Agent:
    """Set the password that an invitation is for; the first admin is made here from `new`.

    Raises LinkSpent; Taken."""
    invitation = invited(session, token, now=now)
    if invitation.agent_id is None:
        if new is None:
            raise LinkSpent("this link makes an admin and needs a name")
        agent = _insert(session, new, now)
        agent.role = "admin"
        session.exec(delete(Invitation).where(col(Invitation.agent_id).is_(None)))
    else:
        agent = session.get_one(Agent, invitation.agent_id)
        session.exec(delete(Invitation).where(col(Invitation.agent_id) == agent.id))
        end_sessions(session, agent.id, now=now)
    agent.password_hash = password_hash
    session.add(agent)
    session.flush()
    audit.note_down(
        session, at=now, actor=f"agent:{agent.id}", action="password_set",
        subject=f"agent:{agent.id}", role=agent.role,
    )  # fmt: skip
    return agent


def normal_email(email: str) -> str:
    return clean_text(email).strip().lower()


# Sign-ins


def start_session(session: Session, agent: Agent, *, browser: str, now: datetime) -> str:
    """A new sign-in's token: 256 random bits. Only its hash is stored."""
    token = secrets.token_urlsafe(32)
    session.add(SignIn(
        id=new_id(), token_hash=digest(token), agent_id=agent.id, browser=browser[:200],
        created_at=now, seen_at=now, expires_at=now + SESSION_AGE_MAX,
    ))  # fmt: skip
    audit.note_down(
        session, at=now, actor=f"agent:{agent.id}", action="signed_in", subject=f"agent:{agent.id}"
    )
    return token


def session_of(session: Session, token: str, *, now: datetime) -> tuple[SignIn, Agent] | None:
    """Whose token this is, while it is good: not revoked, idle or old, and the agent enabled."""
    found = session.exec(
        select(SignIn, Agent)
        .join(Agent, col(Agent.id) == col(SignIn.agent_id))
        .where(
            SignIn.token_hash == digest(token),
            col(SignIn.revoked_at).is_(None),
            col(Agent.enabled).is_(True),
            SignIn.expires_at > now,
            SignIn.seen_at > now - SESSION_IDLE_MAX,
        )
    ).first()
    return (found[0], found[1]) if found is not None else None


def keep_alive(session: Session, sign_in_id: str, *, now: datetime) -> None:
    """Note that a sign-in is in use."""
    session.exec(update(SignIn).where(col(SignIn.id) == sign_in_id).values(seen_at=now))


def end_session(session: Session, token: str, *, now: datetime) -> None:
    """Forget a browser: its cookie stops working."""
    held = col(SignIn.token_hash) == digest(token)
    session.exec(update(SignIn).where(held).values(revoked_at=now))


def end_sessions(
    session: Session, agent_id: str, *, now: datetime, only: str | None = None,
    keep: str | None = None,
) -> None:  # fmt: skip
    """Forget an agent's browsers: all, the one with id `only`, or all but `keep`."""
    ended = update(SignIn).where(col(SignIn.agent_id) == agent_id, col(SignIn.revoked_at).is_(None))
    if only is not None:
        ended = ended.where(col(SignIn.id) == only)
    if keep is not None:
        ended = ended.where(col(SignIn.id) != keep)
    session.exec(ended.values(revoked_at=now))


def open_sessions(session: Session, agent_id: str, *, now: datetime) -> Sequence[SignIn]:
    """The browsers an agent is signed in with, newest first."""
    return session.exec(
        select(SignIn)
        .where(
            SignIn.agent_id == agent_id,
            col(SignIn.revoked_at).is_(None),
            SignIn.expires_at > now,
            SignIn.seen_at > now - SESSION_IDLE_MAX,
        )
        .order_by(col(SignIn.id).desc())
    ).all()


def csrf_token(token: str) -> str:
    """What a change must carry when no Origin says where it comes from."""
    return hashlib.sha256(b"csrf:" + token.encode()).hexdigest()


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


# How often one may try


@dataclass(frozen=True, slots=True)
class Throttle:
    """`burst` failures at once, then one per `every`."""

    burst: int
    every: timedelta


PER_ACCOUNT = Throttle(5, timedelta(minutes=1))
PER_ADDRESS = Throttle(20, timedelta(seconds=15))


def scopes(email: str, address: str) -> dict[str, Throttle]:
    """What a try counts against. Hashed: a scope's name must not list who was guessed at."""
    account = hashlib.sha256(normal_email(email).encode()).hexdigest()[:32]
    return {f"sign_in:account:{account}": PER_ACCOUNT, f"sign_in:address:{address}": PER_ADDRESS}


def take_try(session: Session, limits: dict[str, Throttle], *, now: datetime) -> None:
    """Count a try before the password is looked at, so that many at once count too. Raises
    TooMuch while one of the scopes is over its limit."""
    for scope, throttle in limits.items():
        bucket = session.get(RateBucket, scope, with_for_update=True)
        bucket = bucket or RateBucket(scope=scope, free_at=now)
        wait = bucket.free_at - now - throttle.every * (throttle.burst - 1)
        if wait > timedelta(0):
            raise TooMuch("too many failed sign-ins", limit="sign_ins", wait_s=wait.total_seconds())
        bucket.free_at = max(bucket.free_at, now) + throttle.every
        session.add(bucket)


def give_back_try(session: Session, limits: dict[str, Throttle], *, now: datetime) -> None:
    """It was the right password: the account's count is cleared, the address gets its try back."""
    for scope, throttle in limits.items():
        bucket = session.get(RateBucket, scope, with_for_update=True)
        if bucket is not None:
            spent = now if throttle is PER_ACCOUNT else bucket.free_at - throttle.every
            bucket.free_at = spent
            session.add(bucket)
    ours = col(RateBucket.scope).between("sign_in:", "sign_in;")
    old = col(RateBucket.free_at) < now - timedelta(days=1)
    session.exec(delete(RateBucket).where(ours, old))
