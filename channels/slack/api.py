"""Calls to Slack's Web API: one client, no retries, every error mapped.

The client is the SDK's, with a session of ours below it: one pool of connections, and a trace that
tells whether a request's bytes left.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.errors import Answered, MissingScope, Sent, by_answer, mapped
from gateway.errors import Refused
from gateway.ports import Clock

CALL_WAIT_S = 30
CONNECT_WAIT_S = 5
CONNECTIONS_MAX = 16
FILE_HOST = "files.slack.com"

Method = Literal[
    "auth.test", "apps.connections.open", "chat.postMessage", "chat.update", "chat.delete",
    "conversations.history", "conversations.replies", "users.info",
    "files.getUploadURLExternal", "files.completeUploadExternal", "files.info",
]  # fmt: skip
METHODS: frozenset[str] = frozenset(get_args(Method))
"""Every method that is called. The shipped manifest must have a scope for each."""


class Api:
    """The calls of one bot token. `skew_s` is how far our clock is ahead of Slack's, by the date
    of its answers; `lacking` are the scopes that a call was refused for."""

    def __init__(self, *, token: str, url: str, clock: Clock) -> None:
        self.client = AsyncWebClient(
            token, base_url=url, timeout=CALL_WAIT_S, retry_handlers=[], logger=quiet()
        )
        self.skew_s = 0.0
        self.lacking: set[str] = set()
        self._clock = clock
        self._host = urlsplit(url).netloc
        self._sent: ContextVar[Sent] = ContextVar("sent")
        self._calls = 0
        self._closing = False

    async def call(
        self, method: Method, *, token: str | None = None, **values: Any
    ) -> Mapping[str, Any]:
        """Slack's answer, its headers under "headers". Tries once; raises a leaf of ChannelError.

        `token` is used instead of the bot's.
        """
        async with self._session():
            answer = await cast("Any", self.client).api_call(
                method,
                headers={"Authorization": f"Bearer {token}"} if token else None,
                **_carried(method, {k: v for k, v in values.items() if v is not None}),
            )
            self._compare_clocks(answer.headers)
            return {**answer.data, "headers": answer.headers}

    async def upload(self, url: str, content: bytes) -> None:
        """Hand in a file's bytes. Nobody sees them until the upload is completed."""
        self._check_host(url)
        async with (
            self._session() as session,
            session.post(url, data=content, allow_redirects=False) as answer,
        ):
            await answer.read()
            if answer.status != 200:
                raise by_answer(Answered(answer.status, "", headers=answer.headers))

    async def download(self, url: str, *, bytes_max: int) -> bytes:
        """A file's bytes. Raises Refused: too many, none, or a page instead of the file."""
        self._check_host(url)
        bearer = {"Authorization": f"Bearer {self.client.token}"}
        async with (
            self._session() as session,
            session.get(url, headers=bearer, allow_redirects=False) as answer,
        ):
            if 300 <= answer.status < 400 or _is_login_page(answer):
                raise MissingScope("files:read")
            if answer.status != 200:
                raise by_answer(Answered(answer.status, "", headers=answer.headers))
            return await _content(answer, bytes_max)

    def reopen(self) -> None:
        """Calls follow: connections are kept until `close`."""
        self._closing = False

    async def close(self) -> None:
        """End the connections; those of calls that are on their way end with the last of them."""
        self._closing = True
        await self._close_unused()

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """The session of one call, whose errors leave this block mapped."""
        session = self.client.session
        if session is None or session.closed:
            session = self.client.session = self._opened()
        sent = Sent()
        self._sent.set(sent)
        self._calls += 1
        try:
            with mapped(sent):
                yield session
        except MissingScope as error:
            self.lacking.add(error.scope)
            raise
        finally:
            self._calls -= 1
            await self._close_unused()

    async def _close_unused(self) -> None:
        if self._closing and not self._calls and self.client.session is not None:
            await self.client.session.close()

    def _opened(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._note_sent)
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=CALL_WAIT_S, connect=CONNECT_WAIT_S + 1, sock_connect=CONNECT_WAIT_S
            ),
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )

    async def _note_sent(self, _session: object, _context: object, _params: object) -> None:
        if (sent := self._sent.get(None)) is not None:  # else a call of a Bolt listener's client
            sent.bytes_left = True

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        try:
            theirs = parsedate_to_datetime(headers.get("Date", ""))
            self.skew_s = (self._clock() - theirs).total_seconds()
        except (ValueError, TypeError):  # no date, or one without a zone
            return

    def _check_host(self, url: str) -> None:
        """Files come from Slack and go to Slack: an address in an event is no reason to go
        elsewhere, least of all with our token."""
        scheme, host, *_ = urlsplit(url)
        if host != self._host and (scheme, host) != ("https", FILE_HOST):
            raise Refused("the file's address is not one of Slack's")


def quiet() -> logging.Logger:
    """What the SDK is given to write to. It writes whole bodies and addresses with tickets; this
    one stands in no tree of loggers, so no setting can switch it on."""
    return logging.Logger("quiet", logging.CRITICAL + 1)  # noqa: LOG001 - on purpose


def _carried(method: Method, values: dict[str, Any]) -> dict[str, Any]:
    """How a method takes its values: by address, as a form, or as JSON."""
    kind, _, verb = method.partition(".")
    if kind in ("conversations", "users") or verb == "info":
        return {"http_verb": "GET", "params": values}
    return {"data": values} if kind == "files" else {"json": values}


def _is_login_page(answer: aiohttp.ClientResponse) -> bool:
    """Slack shows a page for signing in where the scope is missing, with 200."""
    return answer.content_type == "text/html" and answer.headers.get("Content-Disposition") is None


async def _content(answer: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    found = bytearray()
    async for piece in answer.content.iter_chunked(65_536):
        found += piece
        if len(found) > bytes_max:
            raise Refused(f"the file is larger than {bytes_max} bytes")
    if not found:
        raise Refused("the file is empty")
    return bytes(found)
