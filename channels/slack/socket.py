"""Socket Mode: a line that we hold open to Slack, for a trial without a public address.

The SDK's client carries the frames; connecting anew is ours. The SDK's own way has no growing
waits, sleeps by an unchecked Retry-After and writes addresses with tickets into the log.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from channels.slack.api import Api, quiet
from channels.slack.wellness import Ear, Wellness
from gateway.errors import BadToken, ChannelError, RateLimited
from storage.database import DatabaseError

log = structlog.get_logger()

Take = Callable[[bytes, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLimits:
    """Times of the line, in seconds."""

    ping_s: float = 5.0  # a pong that takes half as long means that the wire is dead
    look_s: float = 1.0  # between two looks at whether it is
    connect_wait_s: float = 15.0
    retry_s: float = 1.0  # before a second try to connect; doubled each time
    retry_s_max: float = 60.0


class SocketLine:
    """Keeps one connection. `connected` is called after each new one: lines may have been lost."""

    def __init__(
        self, api: Api, app_token: str, take: Take, *, ear: Ear, wellness: Wellness,
        limits: LineLimits,
    ) -> None:  # fmt: skip
        self._api = api
        self._app_token = app_token
        self._take = take
        self._ear = ear
        self._wellness = wellness
        self._limits = limits
        self.untaken = 0  # events that could not be stored, and were not acknowledged
        self._over = asyncio.Event()
        self._client: SocketModeClient | None = None

    async def run(self, connected: Callable[[], None]) -> None:
        """Hold the line until cancelled. Raises BadToken."""
        failures = 0
        try:
            while True:
                try:
                    await self._replace(connected)
                    failures = 0
                except BadToken:
                    raise
                except (ChannelError, TimeoutError) as error:
                    failures += 1
                    self._wellness.line = f"no connection to Slack: {type(error).__name__}"
                    log.warning("no_connection", error=type(error).__name__)
                    await asyncio.sleep(self._wait_s(error, failures))
                    continue
                await self._until_over()
        finally:
            await self._close(self._client)

    def renew(self, why: str) -> None:
        """Connect anew: the present line says nothing any more."""
        self._wellness.line = why
        self._over.set()

    def _renew(self, client: SocketModeClient) -> None:
        if client is self._client:  # an older one's goodbye changes nothing
            self._over.set()

    async def _replace(self, connected: Callable[[], None]) -> None:
        """Open a new connection, then close the old one, so that no event finds none."""
        before, self._client = self._client, None
        try:
            self._client = await self._connect()
        finally:
            await self._close(before)
        self._over.clear()
        self._ear.connected()
        self._wellness.line = ""
        connected()

    async def _connect(self) -> SocketModeClient:
        try:
            answer = await self._api.call("apps.connections.open", token=self._app_token)
        except BadToken as error:
            raise BadToken(f"the app token for Socket Mode: {error}") from None
        client = _Client(self._app_token, self._limits.ping_s, over=self._renew)
        client.wss_uri = answer["url"]
        client.socket_mode_request_listeners.append(self._receive)
        try:
            async with asyncio.timeout(self._limits.connect_wait_s):
                await client.connect()
        except BaseException:
            await self._close(client)
            raise
        return client

    async def _until_over(self) -> None:
        """Until Slack asks for a new connection, this one breaks, or it is found deaf."""
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.look_s):
                    await self._over.wait()
            if self._client is None or not await self._client.is_connected():
                return

    async def _receive(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Commit, then acknowledge. What is not acknowledged comes again.

        Each frame is a task of its own, but a full store refuses at once, so they cannot pile up.
        """
        body = json.dumps(cast("Any", request).payload).encode()
        try:
            await self._take(body, "application/json")
        except DatabaseError as error:
            self.untaken += 1
            log.warning("not_taken_in", error=type(error).__name__, count=self.untaken)
            return
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    async def _close(self, client: SocketModeClient | None) -> None:
        if client is not None:
            with contextlib.suppress(Exception):  # it is thrown away in any case
                await client.close()

    def _wait_s(self, error: Exception, failures: int) -> float:
        if isinstance(error, RateLimited):
            return error.wait_s
        longest = min(self._limits.retry_s_max, self._limits.retry_s * 2**failures)
        return random.uniform(self._limits.retry_s, longest)


class _Client(SocketModeClient):
    """The SDK's client without its own way to connect anew, and without its log."""

    def __init__(
        self, app_token: str, ping_s: float, *, over: Callable[[SocketModeClient], None]
    ) -> None:
        super().__init__(
            app_token,
            logger=quiet(),
            auto_reconnect_enabled=False,
            ping_interval=ping_s,
        )
        self._over_now = over

        async def closed(_message: object) -> None:
            over(self)

        self.on_close_listeners.append(closed)

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        """Slack said `disconnect`: whoever holds this line opens the next one."""
        self._over_now(self)
