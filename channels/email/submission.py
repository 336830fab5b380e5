"""Handing a mail to our server, once. What its answers mean is decided here, by the phase.

Until the text is handed over nothing has arrived. Once it is, only an answer says whether it was
taken; a connection that is lost in between leaves it open.
"""

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from channels.email.settings import Settings
from gateway.errors import Ambiguous, BadToken, ChannelError, Refused, Unavailable, Unreachable

if TYPE_CHECKING:
    from aiosmtplib import SMTP

QUIT_WAIT_S = 5.0
REFUSED_FROM = 500
NO_LOGIN = (530, 534, 535, 538)
TOO_LARGE = 552


async def submit(mail: bytes, *, recipient: str, settings: Settings) -> None:
    """Deliver `mail` to our server. Raises a leaf of ChannelError."""
    async with _entered(settings) as server:
        await _name(server, settings.address, recipient)
        await _hand_over(server, mail)


async def greet(settings: Settings) -> None:
    """Log in and leave. Raises a leaf of ChannelError."""
    async with _entered(settings):
        pass


@asynccontextmanager
async def _entered(settings: Settings) -> AsyncGenerator["SMTP"]:
    from aiosmtplib import SMTP

    server = SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        timeout=settings.wait_s,
        use_tls=settings.smtp_security == "tls",
        start_tls=settings.smtp_security == "starttls",
    )
    try:
        await _enter(server, settings)
        yield server
        with contextlib.suppress(Exception):  # what was handed over is taken already
            await server.quit(timeout=QUIT_WAIT_S)
    finally:
        server.close()


async def _enter(server: "SMTP", settings: Settings) -> None:
    from aiosmtplib import SMTPException, SMTPNotSupported, SMTPResponseException

    try:
        await server.connect()
        await server.login(settings.login, settings.password.get_secret_value())
    except SMTPResponseException as error:
        if error.code in NO_LOGIN:
            raise BadToken(f"the mail server refuses the login: {_said(error)}") from error
        raise Unavailable(_said(error)) from error
    except SMTPNotSupported as error:
        raise BadToken(f"the mail server offers no such login: {error}") from error
    except (SMTPException, OSError, ValueError) as error:
        raise Unreachable(f"no mail server at {settings.smtp_host}: {error}") from error


async def _name(server: "SMTP", sender: str, recipient: str) -> None:
    """Say from whom and to whom."""
    from aiosmtplib import SMTPException, SMTPResponseException

    try:
        await server.mail(sender)
    except SMTPResponseException as error:
        if error.code >= REFUSED_FROM and error.code != TOO_LARGE:
            raise BadToken(f"the mail server refuses our address: {_said(error)}") from error
        raise _by_code(error) from error
    except (SMTPException, OSError, ValueError) as error:
        raise Unreachable(f"the mail server left: {error}") from error
    try:
        await server.rcpt(recipient)
    except SMTPResponseException as error:
        raise _by_code(error) from error
    except (SMTPException, OSError, ValueError) as error:
        raise Unreachable(f"the mail server left: {error}") from error


async def _hand_over(server: "SMTP", mail: bytes) -> None:
    from aiosmtplib import SMTPException, SMTPResponseException

    try:
        await server.data(mail)
    except SMTPResponseException as error:
        raise _by_code(error) from error
    except (SMTPException, OSError) as error:
        raise Ambiguous(f"the mail server left before it answered: {error}") from error


def _by_code(error: "object") -> ChannelError:
    """5yz is for ever, 4yz for now."""
    code: int = getattr(error, "code", 0)
    return Refused(_said(error)) if code >= REFUSED_FROM else Unavailable(_said(error))


def _said(error: "object") -> str:
    """The server's answer, as an agent may read it."""
    words = " ".join(str(getattr(error, "message", error)).split())
    return f"{getattr(error, 'code', '')} {words}".strip()[:300]
