"""Slack's own history: what became of a post, and what was said while no events came."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import structlog
from sqlmodel import Session, col, select

from channels.slack import blocks
from channels.slack.api import Api
from channels.slack.fields import Json, inside, many, word
from channels.slack.settings import NAME
from gateway.errors import ChannelError
from gateway.messages import Address, Receipt
from gateway.models import Delivery, InboxEvent
from gateway.ports import Clock
from gateway.store import Store

log = structlog.get_logger()

PAGE_SIZE = 200
PAGES_MAX = 10  # of one look; beyond that nobody can say what is absent
EVENTS_MAX = 2_000  # the newest ones, among which an echo is looked for
BEFORE = timedelta(seconds=5)  # of the attempt, from which on its post is looked for
UNKNOWN_SINCE = timedelta(minutes=10)  # where no row says when it was tried


@dataclass(frozen=True, slots=True)
class Lines:
    """Messages of a place, oldest first. `whole`: there are no others since then."""

    messages: Sequence[Json]
    whole: bool


async def lines_since(api: Api, place: Address, oldest: float) -> Lines:
    """What the history has of `place` since `oldest`. Raises a leaf of ChannelError."""
    found: list[Json] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        values: dict[str, Any] = {
            "channel": place.chat, "oldest": f"{max(oldest, 0):.6f}", "limit": PAGE_SIZE,
            "include_all_metadata": 1, "cursor": cursor,
        }  # fmt: skip
        if place.thread:
            page = await api.call("conversations.replies", ts=place.thread, **values)
        else:
            page = await api.call("conversations.history", **values)
        found += many(page, "messages")
        cursor = word(inside(page, "response_metadata"), "next_cursor")
        if not cursor:
            break
    found.sort(key=lambda message: word(message, "ts"))
    return Lines(found, whole=not cursor)


class Proof:
    """Finds out whether a post that nobody confirmed is there: by our own echo among the events,
    or in the history. Either is enough; only a healthy history can say that it is absent."""

    def __init__(self, api: Api, store: Store, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._clock = clock

    async def find(self, place: Address, delivery_id: str) -> Receipt | Literal["absent"] | None:
        """One look. Slack's history lags behind a little: the outbox looks twice."""
        since = await self._store.read(lambda session: _tried_at(session, delivery_id))
        oldest = (since or self._clock() - UNKNOWN_SINCE) - BEFORE
        echo = await self._store.read(lambda session: _echo(session, place, delivery_id, oldest))
        if echo:
            return Receipt((echo,))
        try:
            lines = await lines_since(self._api, place, oldest.timestamp() - self._api.skew_s)
        except ChannelError as error:
            log.warning("history_refused", delivery=delivery_id, error=type(error).__name__)
            return None
        copies = [one for one in lines.messages if blocks.is_of(one, delivery_id)]
        if copies:
            await self._keep_one(place, copies)
            return Receipt((str(copies[0]["ts"]),))
        return "absent" if lines.whole else None

    async def is_told(self, ts: str, account: str, since: datetime) -> bool:
        """Whether any process has heard of the message `ts`."""
        needle = ts.encode()

        def look(session: Session) -> bool:
            return any(needle in body for body in _bodies(session, account, since))

        return await self._store.read(look)

    async def _keep_one(self, place: Address, copies: Sequence[Json]) -> None:
        """The newer of two copies goes; if that fails, a person sees both."""
        for copy in copies[1:]:
            try:
                await self._api.call("chat.delete", channel=place.chat, ts=copy["ts"])
            except ChannelError as error:
                log.warning("copy_stays", ts=copy["ts"], error=type(error).__name__)


def _tried_at(session: Session, delivery_id: str) -> datetime | None:
    """Not after the attempt, which no row tells: when the delivery was made."""
    return session.exec(select(Delivery.created_at).where(Delivery.id == delivery_id)).first()


def _echo(session: Session, place: Address, delivery_id: str, oldest: datetime) -> str | None:
    """The `ts` of our post in one of the newest events, whichever process took it in."""
    needle = delivery_id.encode()
    for body in _bodies(session, place.account, oldest):
        if needle in body and (ts := echo_of(body, delivery_id)):
            return ts
    return None


def _bodies(session: Session, account: str, oldest: datetime) -> Iterable[bytes]:
    """The events of an account since `oldest`, as far as they are among the newest of all."""
    lately = select(InboxEvent.id).order_by(col(InboxEvent.id).desc()).limit(EVENTS_MAX)
    return session.exec(
        select(InboxEvent.body).where(
            col(InboxEvent.id).in_(lately.subquery().select()),
            InboxEvent.channel == NAME,
            InboxEvent.account == account,
            InboxEvent.received_at >= oldest,
        )
    )


def echo_of(body: bytes, delivery_id: str) -> str | None:
    """The `ts` that an event gives to the post of a delivery."""
    try:
        event = cast("dict[str, Any]", json.loads(body)["event"])
        if event["type"] not in ("message", "message_metadata_posted"):
            return None
        if not event.get("bot_id") or not blocks.is_of(event, delivery_id):
            return None
        return str(event.get("message_ts") or event["ts"])
    except (ValueError, KeyError, TypeError, AttributeError):  # a form, or something else
        return None
