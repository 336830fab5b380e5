"""The Events API: what is told of, signed and tried again, and what can go wrong on the way.

Retries wait for `retry`, which a test or a person calls; in the world they come at once, after a
minute and after five.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp

from tests.fakes.slack.workspace import APP, BOT_USER, TEAM, Json, Place, Workspace

if TYPE_CHECKING:
    from aiohttp import web

    from tests.fakes.slack.line import Lines

WAIT_S = 3.0
RETRIES_MAX = 3
SUBSCRIBED = (
    "app_mention", "message.im", "message.channels", "message.groups", "message_metadata_posted",
)  # fmt: skip
METADATA_SUBSCRIBED = ("tandem_delivery",)
FORM = "application/x-www-form-urlencoded"


@dataclass
class Parcel:
    """Something to be told, and how far it came. `status` is the last answer; over a line, 200
    stands for an acknowledgement."""

    payload: Json
    kind: str = "events_api"  # or "interactive"
    tries: int = 0
    status: int = 0
    body: str = ""

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300

    @property
    def event_id(self) -> str:
        return str(self.payload.get("event_id") or self.payload.get("trigger_id"))


@dataclass
class Events:
    """Tells the app. With `events_url` and `actions_url` over HTTP, else over `lines`.

    `copies`, `is_dropping` and `is_holding` are faults; `hold`ing lets a test choose the order.
    """

    workspace: Workspace
    secret: str
    events_url: str = ""
    actions_url: str = ""
    subscribed: Sequence[str] = SUBSCRIBED
    copies: int = 1
    is_dropping: bool = False
    is_holding: bool = False
    held: list[Parcel] = field(default_factory=list[Parcel])
    parcels: list[Parcel] = field(default_factory=list[Parcel])
    lines: "Lines | None" = None
    retry_after: str | None = None  # of the newest answer
    _session: aiohttp.ClientSession | None = None

    # What happens in the workspace

    async def posted(self, place: Place, message: Json) -> None:
        """A new message; one that names the app in a channel is told twice."""
        seen = _seen(place, message)
        if not place.is_direct and f"<@{BOT_USER}>" in str(message.get("text")):
            mention = {k: v for k, v in seen.items() if k not in ("channel_type", "subtype")}
            await self.tell("app_mention", {**mention, "type": "app_mention"}, place)
        await self.tell(_topic(place), {**seen, "type": "message"}, place)
        if (metadata := message.get("metadata")) and metadata["event_type"] in METADATA_SUBSCRIBED:
            await self.tell("message_metadata_posted", {
                "type": "message_metadata_posted", "app_id": APP, "bot_id": message["bot_id"],
                "user_id": message["user"], "team_id": TEAM, "channel_id": place.id,
                "metadata": metadata, "message_ts": message["ts"], "event_ts": message["ts"],
            }, place)  # fmt: skip

    async def changed(self, place: Place, before: Json, message: Json, **more: Any) -> None:
        ts = self.workspace.new_ts()
        await self.tell(_topic(place), {
            "type": "message", "subtype": "message_changed", "hidden": True, "ts": ts,
            "event_ts": ts, "channel": place.id, "channel_type": place.kind,
            "message": _clean(message), "previous_message": _clean(before), **more,
        }, place)  # fmt: skip

    async def deleted(self, place: Place, message: Json) -> None:
        ts = self.workspace.new_ts()
        await self.tell(_topic(place), {
            "type": "message", "subtype": "message_deleted", "hidden": True, "ts": ts,
            "event_ts": ts, "channel": place.id, "channel_type": place.kind,
            "deleted_ts": message["ts"], "previous_message": _clean(message),
        }, place)  # fmt: skip

    async def tell(self, topic: str, event: Json, place: Place) -> None:
        """Wrap an event up and send it, if the app subscribed to it."""
        if topic not in self.subscribed:
            return
        await self.send(Parcel({
            "token": "unused", "team_id": TEAM, "context_team_id": TEAM, "api_app_id": APP,
            "event": event, "type": "event_callback", "event_id": self.workspace.new_id("Ev"),
            "event_time": int(self.workspace.now_s()), "event_context": f"4-{uuid.uuid4().hex}",
            "is_ext_shared_channel": place.is_shared,
            "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT_USER,
                                "is_bot": True, "is_enterprise_install": False}],
        }))  # fmt: skip

    async def rate_limited(self) -> None:
        """More than 30,000 events an hour: the rest is not told."""
        minute = int(self.workspace.now_s()) // 60 * 60
        await self.send(Parcel({
            "token": "unused", "type": "app_rate_limited", "team_id": TEAM, "api_app_id": APP,
            "minute_rate_limited": minute,
        }))  # fmt: skip

    # The way to the app

    async def send(self, parcel: Parcel) -> None:
        if self.is_dropping:
            return
        self.parcels.append(parcel)
        if self.is_holding:
            self.held.append(parcel)
            return
        for _ in range(self.copies):
            await self._try(parcel)

    async def release(self, order: Sequence[int] | None = None) -> None:
        """Send what was held, in `order` of their numbers."""
        held, self.held, self.is_holding = self.held, [], False
        for number in order if order is not None else range(len(held)):
            await self._try(held[number])

    async def retry(self) -> int:
        """Try again what was not taken; how many."""
        waiting = [one for one in self.parcels if not one.is_done and one.tries <= RETRIES_MAX]
        for parcel in waiting:
            await self._try(parcel)
        return len(waiting)

    async def _try(self, parcel: Parcel) -> None:
        parcel.tries += 1
        if self.events_url:
            await self._post(parcel)
        elif self.lines is not None:
            await self.lines.send(parcel)

    async def _post(self, parcel: Parcel) -> None:
        if parcel.kind == "events_api":
            body, content_type = json.dumps(parcel.payload).encode(), "application/json"
        else:
            body, content_type = urlencode({"payload": json.dumps(parcel.payload)}).encode(), FORM
        headers = self.signed(body) | {"Content-Type": content_type}
        if parcel.tries > 1:
            headers |= {"X-Slack-Retry-Num": str(parcel.tries - 1),
                        "X-Slack-Retry-Reason": "http_error"}  # fmt: skip
        url = self.events_url if parcel.kind == "events_api" else self.actions_url
        parcel.status, parcel.body = await self.request(url, body, headers)

    async def request(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Post anything; the answer's status and text, (0, "") without one in three seconds."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S))
        try:
            async with self._session.post(url, data=body, headers=headers) as answer:
                self.retry_after = answer.headers.get("Retry-After")
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    def signed(self, body: bytes, at_s: float | None = None) -> dict[str, str]:
        at = str(int(self.workspace.now_s() if at_s is None else at_s))
        digest = hmac.new(self.secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256)
        return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={digest.hexdigest()}"}

    async def close(self, _app: "web.Application") -> None:
        if self._session is not None:
            await self._session.close()


def _topic(place: Place) -> str:
    return {"im": "message.im", "channel": "message.channels", "group": "message.groups"}[
        place.kind
    ]


def _seen(place: Place, message: Json) -> Json:
    return {
        **_clean(message), "channel": place.id, "channel_type": place.kind,
        "event_ts": message["ts"],
    }  # fmt: skip


def _clean(message: Json) -> Json:
    """Metadata is told by its own event only."""
    return {k: v for k, v in message.items() if k not in ("_request", "metadata")}
