"""aiosmtpd as the server that takes our mails, with faults on demand in each phase."""

import asyncio
import warnings
from collections import defaultdict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

Phase = Literal["MAIL", "RCPT", "DATA"]


@dataclass(frozen=True, slots=True)
class Say:
    """The phase is answered with this, and nothing is kept."""

    reply: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The connection is reset without an answer; in DATA the mail may be taken before."""

    taken: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail as it was handed over."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        read = message_from_bytes(self.raw, policy=default)
        assert isinstance(read, EmailMessage)
        return read

    @property
    def text(self) -> str:
        body = self.mail.get_body(("plain",))
        assert body is not None
        return body.get_content().replace("\r\n", "\n").rstrip("\n")


class SmtpServer:
    """What it took, in order, and what the next phases meet."""

    def __init__(self, user: str, password: str) -> None:
        self.port = 0
        self._login = (user.encode(), password.encode())
        self._taken: asyncio.Queue[Taken] = asyncio.Queue()
        self._next: dict[Phase, deque[Say | Leave]] = defaultdict(deque)

    def plan(self, phase: Phase, *faults: Say | Leave) -> None:
        """Let the next times of a phase meet `faults`, one each."""
        self._next[phase] += faults

    async def next(self, *, within_s: float = 20.0) -> Taken:
        """The next mail that it took. Fails when none comes."""
        async with asyncio.timeout(within_s):
            return await self._taken.get()

    @property
    def waiting(self) -> int:
        """How many mails were taken and not asked for."""
        return self._taken.qsize()

    def protocol(self) -> SMTP:
        with warnings.catch_warnings():
            # It warns of a password without TLS, which is what we want on this machine.
            warnings.simplefilter("ignore")
            return SMTP(
                self, hostname="mail.example", authenticator=self._check, auth_required=True,
                auth_require_tls=False, loop=asyncio.get_running_loop(),
            )  # fmt: skip

    def _check(
        self, _server: Any, _session: Any, _envelope: Any, _way: str, said: Any
    ) -> AuthResult:
        right = isinstance(said, LoginPassword) and (said.login, said.password) == self._login
        return AuthResult(success=right, handled=False)

    # What aiosmtpd calls

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if fault := self._fault("MAIL"):
            return _do(server, fault)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if fault := self._fault("RCPT"):
            return _do(server, fault)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802
        fault = self._fault("DATA")
        if fault is None or (isinstance(fault, Leave) and fault.taken):
            self._taken.put_nowait(
                Taken(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.original_content)
            )
        return _do(server, fault) if fault else "250 OK"

    def _fault(self, phase: Phase) -> Say | Leave | None:
        return self._next[phase].popleft() if self._next[phase] else None


def _do(server: SMTP, fault: Say | Leave) -> str:
    if isinstance(fault, Say):
        return fault.reply
    assert isinstance(server.transport, asyncio.WriteTransport)
    server.transport.abort()
    return "421 never read"


@asynccontextmanager
async def smtp_served(user: str, password: str) -> AsyncGenerator[SmtpServer]:
    """A server in this very loop, on a free port."""
    server = SmtpServer(user, password)
    listening = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
