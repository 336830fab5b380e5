"""Reading back what was said while no events came: the same events once more, from the history.

Slack tries an event for about six minutes. After silence, a new connection, `app_rate_limited` or
a restart the places with open talks are read again, through the same intake and the same keys, so
what had come before is absorbed. First messages in places without a talk are not found this way.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session, col, select

from channels import Parts
from channels.slack.api import Api
from channels.slack.fields import Json, inside, word
from channels.slack.history import lines_since
from channels.slack.reading import SPOKEN
from channels.slack.settings import NAME
from channels.slack.wellness import ECHO_WAIT, Wellness
from gateway.errors import ChannelError
from gateway.messages import Address, RawEvent
from gateway.models import Conversation, Delivery, Message
from gateway.ports import Intake

log = structlog.get_logger()

SILENCE = timedelta(minutes=5)
TALKS_MAX = 50  # places that are read in one go, those with the newest lines first
CANARY_TALKS_MAX = 3  # places that are listened to once a minute
KNOWN_MAX = 1_000  # messages of a place that are recognised without asking further
OVERLAP = timedelta(minutes=30)  # before the newest known line: an earlier one may be missing
CALLS_WAIT_S = 1.34  # between two reads: 45 a minute where 50 are allowed


@dataclass(frozen=True, slots=True)
class Us:
    """Who we are in the workspace."""

    user: str
    team: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A place with an open talk: what of it is known, and since when it is read again."""

    address: Address
    known: frozenset[str]
    since: float


class Gaps:
    """`wake` asks for a look; `us` is filled in once Slack has said who we are."""

    def __init__(
        self, api: Api, parts: Parts, account: str, wellness: Wellness, calls_wait_s: float
    ) -> None:
        self.us: Us | None = None
        self.wake = asyncio.Event()
        self._api = api
        self._store = parts.store
        self._clock = parts.clock
        self._account = account
        self._wellness = wellness
        self._calls_wait_s = calls_wait_s
        self._looked_at = parts.clock()

    def is_silent(self) -> bool:
        """Whether nothing has come and nobody has looked for five minutes."""
        last = self._wellness.last_event_at or self._looked_at
        return self._clock() - max(last, self._looked_at) >= SILENCE

    async def fill(self, receive: Intake) -> int:
        """Take in what the history has and no event brought; how many lines."""
        self._looked_at = self._clock()
        return await self._look(receive, TALKS_MAX, None)

    async def canary(self, receive: Intake) -> int:
        """The same for the newest few talks, without lines whose event may be on its way."""
        return await self._look(receive, CANARY_TALKS_MAX, self._clock() - ECHO_WAIT)

    async def _look(self, receive: Intake, most: int, until: datetime | None) -> int:
        if (us := self.us) is None:
            return 0
        places = await self._store.read(lambda session: _open_places(session, self._account, most))
        brought = 0
        for place in places:
            try:
                brought += await self._read_back(place, us, receive, until)
            except ChannelError as error:
                self._wellness.gap = (
                    f"lines may be missing: the history could not be read ({error})"
                )
                log.warning("gap_stays", error=type(error).__name__)
                return brought
            await asyncio.sleep(self._calls_wait_s)
        self._wellness.gap = ""
        if brought:
            log.info("gap_filled", lines=brought)
        return brought

    async def _read_back(
        self, place: _Place, us: Us, receive: Intake, until: datetime | None
    ) -> int:
        lines = await lines_since(self._api, place.address, place.since)
        latest = until.timestamp() - self._api.skew_s if until else None
        brought = 0
        for message in lines.messages:
            if latest is not None and float(word(message, "ts")) > latest:
                break
            for event_id, event in _events(place, message):
                await receive.store(_raw(self._account, us, event_id, event))
                brought += "subtype" not in event or event["subtype"] != "message_changed"
        return brought


def _open_places(session: Session, account: str, most: int) -> list[_Place]:
    talks = session.exec(
        select(Conversation)
        .where(
            Conversation.reply_channel == NAME,
            Conversation.reply_account == account,
            Conversation.state != "closed",
        )
        .order_by(col(Conversation.updated_at).desc())
        .limit(most)
    )
    addresses = {(talk.reply_chat, talk.reply_thread): talk.opened_at for talk in talks}
    return [
        _place(session, Address(channel=NAME, account=account, chat=chat, thread=thread), opened)
        for (chat, thread), opened in addresses.items()
    ]


def _place(session: Session, address: Address, opened: datetime) -> _Place:
    rows = session.exec(
        select(Delivery.external_id, Message.author)
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(
            Delivery.surface == address.channel,
            Delivery.account == address.account,
            Delivery.chat == address.chat,
            Delivery.thread == address.thread,
            col(Delivery.external_id).is_not(None),
        )
        .order_by(col(Delivery.id).desc())
        .limit(KNOWN_MAX)
    ).all()
    known = frozenset(str(external_id) for external_id, _ in rows)
    theirs = [one for one, author in rows if author == "customer" and one and one[0].isdigit()]
    newest = float(max(theirs, default=f"{opened.timestamp():.6f}"))
    return _Place(address, known, newest - OVERLAP.total_seconds())


def _events(place: _Place, message: Json) -> Iterator[tuple[str, Json]]:
    """A person's line that is not known, or that was changed since, as the event it had been."""
    ts = word(message, "ts")
    is_spoken = message.get("subtype") in SPOKEN
    if message.get("bot_id") or not message.get("user") or not is_spoken:
        return
    chat = place.address.chat
    if ts not in place.known:
        yield f"history:{chat}:{ts}", {**message, "type": "message", "channel": chat}
    elif edited := word(inside(message, "edited"), "ts"):
        yield f"history:{chat}:{ts}:{edited}", {
            "type": "message", "subtype": "message_changed", "channel": chat, "message": message,
        }  # fmt: skip


def _raw(account: str, us: Us, event_id: str, event: Json) -> RawEvent:
    said = inside(event, "message") or event
    envelope = {
        "type": "event_callback", "event_id": event_id, "team_id": us.team,
        "authorizations": [{"team_id": us.team, "user_id": us.user, "is_bot": True}],
        # Only people of other workspaces carry these in the history.
        "is_ext_shared_channel": bool(said.get("user_team") or said.get("source_team")),
        "event": event,
    }  # fmt: skip
    return RawEvent(
        channel=NAME, account=account, external_id=event_id,
        headers={"content-type": "application/json"}, body=json.dumps(envelope).encode(),
    )  # fmt: skip
