"""The channel port of Slack: what the core asks, put together from the parts beside this file."""

import asyncio
import contextlib
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import structlog
from slack_bolt.async_app import AsyncApp

from channels import Parts
from channels.slack import blocks, files
from channels.slack.api import Api
from channels.slack.bolt import Bolt
from channels.slack.door import Seal, slack_routes
from channels.slack.errors import FormatRefused, MissingScope
from channels.slack.gaps import CALLS_WAIT_S, Gaps, Us
from channels.slack.history import Proof
from channels.slack.intake import Hearing, Taker
from channels.slack.people import Courtesy, People
from channels.slack.reading import House, read
from channels.slack.scopes import lacking
from channels.slack.settings import NAME, Settings
from channels.slack.socket import LineLimits, SocketLine
from channels.slack.wellness import Ear, Wellness
from gateway.errors import Ambiguous, BadToken, ChannelError
from gateway.files import FILE_BYTES_MAX
from gateway.messages import (
    Address,
    Attachment,
    Capabilities,
    InboundMessage,
    OutboundMessage,
    Rate,
    RawEvent,
    Receipt,
    Sender,
)
from gateway.ports import Intake
from storage.database import DatabaseError

log = structlog.get_logger()
T = TypeVar("T")

TEXT_UNITS_MAX = 3_000  # Slack counts a block's text like JavaScript does
BUTTONS_MAX = 10
POSTS_PER_S = 0.9  # of one channel; Slack publishes about one
CANARY_S = 60.0

CAPABILITIES = Capabilities(
    text_units_max=TEXT_UNITS_MAX,
    unit="utf16",
    buttons_max=BUTTONS_MAX,
    markup="mrkdwn",
    attachment_bytes_max=FILE_BYTES_MAX,
    edits=True,
    deletes=True,
    sources=True,
    rates=(Rate("chat", POSTS_PER_S),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things wait, in seconds; tests wait for less."""

    share_looks_s: Sequence[float] = files.SHARES_LOOKS_S
    send_wait_s: float = files.SEND_WAIT_S
    calls_wait_s: float = CALLS_WAIT_S
    canary_s: float = CANARY_S
    line: LineLimits = field(default_factory=LineLimits)


class SlackChannel:
    """One workspace. Slack shows nobody that a bot is typing, so this channel does not offer it."""

    def __init__(self, settings: Settings, parts: Parts, timing: Timing | None = None) -> None:
        timing = timing or Timing()
        clock = parts.clock
        self.settings = settings
        self.wellness = Wellness()
        self.ear = Ear(clock)
        self.house = House(
            account=settings.account, places=settings.places, guests=settings.guests,
            connect=settings.connect,
        )  # fmt: skip
        self.api = Api(token=settings.bot_token, url=settings.api_url, clock=clock)
        self.courtesy = Courtesy(self.api, clock, parts.phrases, self.house)
        self.gaps = Gaps(self.api, parts, settings.account, self.wellness, timing.calls_wait_s)
        self._canary_s = timing.canary_s
        self._clock = clock
        self._bolt = Bolt(self.api.client, settings.signing_secret)
        self._people = People(self.api, clock)
        self._taker = Taker(
            self.house, self._people, self.courtesy, Hearing(self.ear, self.wellness, self.gaps),
            parts.ingress,
        )  # fmt: skip
        self._proof = Proof(self.api, parts.store, clock)
        self._uploads = files.Uploads(
            self.api, parts.files, looks_s=timing.share_looks_s, send_wait_s=timing.send_wait_s
        )
        self.line = self._new_line(timing.line) if settings.app_token else None

    @property
    def name(self) -> str:
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @property
    def app(self) -> AsyncApp:
        """The one Bolt app of this token, for whoever wants to listen besides."""
        return self._bolt.app

    # In

    def routes(self) -> Sequence[Any]:
        if not self.settings.signing_secret:
            return ()
        seal = Seal(self.settings.signing_secret, self._clock)
        return slack_routes(self.settings.account, seal, self._taker.take, self.wellness)

    def parse(self, event: RawEvent) -> InboundMessage | None:
        return read(event, self.house)

    async def dispatch(self, event: RawEvent) -> bool:
        """Let the listeners of `app` have a stored event; whether one wanted it."""
        return await self._bolt.dispatch(event)

    async def run(self, receive: Intake) -> None:
        """Look after the line, the gaps and our own standing. Raises BadToken."""
        self.api.reopen()
        error: BaseException | None = None
        try:
            await self._ask_who_we_are()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fill_gaps(receive))
                group.create_task(self._watch(receive))
                if self.line is not None:
                    group.create_task(self.line.run(self.gaps.wake.set))
        except* BadToken as refused:
            error = refused.exceptions[0]
        finally:
            await self.api.close()
        if error is not None:
            self.wellness.token = str(error)
            raise error

    async def _fill_gaps(self, receive: Intake) -> None:
        """Read back after a start, a new line, `app_rate_limited`, and five minutes of silence."""
        self.gaps.wake.set()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._canary_s):
                    await self.gaps.wake.wait()
            if not self.gaps.wake.is_set() and not self.gaps.is_silent():
                continue
            self.gaps.wake.clear()
            await self._unless_down(self.gaps.fill(receive))

    async def _watch(self, receive: Intake) -> None:
        while True:
            await asyncio.sleep(self._canary_s)
            await self._unless_down(self.look_around(receive))

    async def look_around(self, receive: Intake) -> None:
        """What is done once a minute: ask who we are, and whether the line is deaf."""
        await self._ask_who_we_are()
        if self.line is None:
            return
        unheard = await self.gaps.canary(receive)
        for ts, since in self.ear.late().items():
            unheard += not await self._proof.is_told(ts, self.settings.account, since)
        if self.ear.canary(missed=unheard > 0):
            self.line.renew("connected and deaf: a new connection is made")

    async def _unless_down(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except DatabaseError as error:  # Slack's history keeps it until the store is back
            log.warning("store_down", error=type(error).__name__)

    async def _ask_who_we_are(self) -> None:
        """Our ids, our rights, and whether token and clock are good. Raises BadToken."""
        try:
            answer = await self._noted(self.api.call("auth.test"))
        except BadToken:
            raise
        except ChannelError as error:
            self.wellness.reach = f"Slack cannot be asked: {type(error).__name__}"
            return
        self.gaps.us = Us(str(answer.get("user_id")), str(answer.get("team_id")))
        self.wellness.reach = self.wellness.token = ""
        self.wellness.skew_s = self.api.skew_s
        if (granted := answer["headers"].get("x-oauth-scopes")) is not None:
            self.wellness.scopes = lacking(granted)

    def _new_line(self, limits: LineLimits) -> SocketLine:
        return SocketLine(
            self.api, self.settings.app_token, self._taker.take, ear=self.ear,
            wellness=self.wellness, limits=limits,
        )  # fmt: skip

    # Out

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        if message.attachments:
            receipt = await self._noted(self._uploads.send(address, message))
        else:
            receipt = Receipt((await self._noted(self._post(address, message)),))
        if self.line is not None:
            self.ear.posted(address.chat, receipt.external_ids[0])
        return receipt

    async def _post(self, address: Address, message: OutboundMessage) -> str:
        try:
            answer = await self._said("chat.postMessage", address, message)
        except FormatRefused:
            answer = await self._said("chat.postMessage", address, message, plain=True)
        if not answer.get("ts"):
            raise Ambiguous("Slack said ok without a ts")
        return str(answer["ts"])

    async def edit(self, address: Address, external_id: str, message: OutboundMessage) -> None:
        try:
            await self._noted(self._said("chat.update", address, message, ts=external_id))
        except FormatRefused:
            again = self._said("chat.update", address, message, ts=external_id, plain=True)
            await self._noted(again)

    async def delete(self, address: Address, external_id: str) -> None:
        await self._noted(self.api.call("chat.delete", channel=address.chat, ts=external_id))

    async def _said(
        self, method: Literal["chat.postMessage", "chat.update"], address: Address,
        message: OutboundMessage, *, ts: str | None = None, plain: bool = False,
    ) -> Mapping[str, Any]:  # fmt: skip
        """Nothing in it can ping: words in blocks are taken to the letter, and the plain text is
        escaped. Names are not linked, addresses are not fetched."""
        posts = method == "chat.postMessage"
        return await self.api.call(
            method, channel=address.chat, ts=ts, text=blocks.plain_text(message),
            thread_ts=(address.thread or None) if posts else None,
            blocks=[] if plain else blocks.blocks(message),
            metadata=blocks.metadata(message.delivery_id) if message.delivery_id else None,
            unfurl_links=False if posts else None, unfurl_media=False if posts else None,
            mrkdwn=False if posts else None,
        )  # fmt: skip

    async def _noted(self, call: Awaitable[T]) -> T:
        """The value of `call`; a dead token is remembered for health. Without the right to write
        the account is as dead as without a token."""
        try:
            return await call
        except MissingScope as error:
            if error.scope == "chat:write":
                raise BadToken(str(error)) from None
            raise
        except BadToken as error:
            self.wellness.token = str(error)
            raise

    async def reconcile(
        self, address: Address, delivery_id: str
    ) -> Receipt | Literal["absent"] | None:
        return await self._proof.find(address, delivery_id)

    async def fetch(self, attachment: Attachment, *, bytes_max: int) -> bytes:
        return await files.fetch(self.api, attachment, bytes_max=bytes_max)

    async def introduce(self, sender: Sender) -> Sender:
        return await self._people.introduce(sender)

    async def health(self) -> str:
        self.wellness.scopes |= self.api.lacking
        return self.wellness.report()
