"""The one intake of both transports: an event is committed, then it may be acknowledged."""

import hashlib
from dataclasses import dataclass

import structlog

from channels.slack.fields import Json, inside, many, word
from channels.slack.gaps import Gaps, Us
from channels.slack.people import Courtesy, People
from channels.slack.reading import GUEST_HEADER, House, payload_of
from channels.slack.settings import NAME
from channels.slack.wellness import Ear, Wellness
from gateway.messages import RawEvent
from gateway.ports import Intake

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who wants to know that an event came."""

    ear: Ear
    wellness: Wellness
    gaps: Gaps


class Taker:
    """Takes raw bodies in. What cannot be read is stored all the same, for the worker to judge."""

    def __init__(
        self, house: House, people: People, courtesy: Courtesy, hearing: Hearing, intake: Intake
    ) -> None:
        self._house = house
        self._people = people
        self._courtesy = courtesy
        self._ear = hearing.ear
        self._wellness = hearing.wellness
        self._gaps = hearing.gaps
        self._intake = intake

    async def take(self, body: bytes, content_type: str) -> None:
        """Commit an event. Raises Overloaded or Unavailable: then it must not be acknowledged."""
        headers = {"content-type": content_type}
        raw = RawEvent(
            channel=NAME, account=self._house.account, external_id="", headers=headers, body=body
        )
        payload = _payload(raw)
        if self._gaps.us is not None and is_strangers(payload, self._gaps.us):
            self._wellness.strangers += 1
            log.warning("event_of_a_stranger", count=self._wellness.strangers)
            return
        is_guest = await self._is_guest(payload)
        if is_guest:
            headers[GUEST_HEADER] = "yes"
        await self._intake.store(
            RawEvent(
                channel=NAME, account=self._house.account, external_id=key_of(payload, body),
                headers=headers, body=body,
            )
        )  # fmt: skip
        self._wellness.last_event_at = self._ear.clock()
        self._after(payload, is_guest=is_guest)

    async def _is_guest(self, payload: Json) -> bool:
        """Asked only where guests are refused: reading an event may not ask Slack any more."""
        if self._house.guests == "allow":
            return False
        user = word(inside(payload, "event"), "user") or word(inside(payload, "user"), "id")
        return await self._people.is_guest(user) if user else False

    def _after(self, payload: Json, *, is_guest: bool) -> None:
        if payload.get("type") == "app_rate_limited":
            self._gaps.wake.set()
        event = inside(payload, "event")
        chat = word(event, "channel") or word(event, "channel_id")
        self._ear.heard(chat, word(event, "message_ts") or word(event, "ts"))
        try:
            self._courtesy.refuse(payload, is_guest=is_guest)
        except Exception as error:  # an odd event must not take the acknowledgement away
            log.info("courtesy_lost", error=type(error).__name__)


def key_of(payload: Json, body: bytes) -> str:
    """What a repeat has in common with its original."""
    for name in ("event_id", "trigger_id"):
        if found := word(payload, name):
            return found[:200]
    if minute := payload.get("minute_rate_limited"):
        return f"rate_limited:{minute}"[:200]
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def is_strangers(payload: Json, us: Us) -> bool:
    """Whether an event belongs to a workspace that the token is not for."""
    teams = {
        word(payload, "team_id"), word(payload, "context_team_id"),
        word(inside(payload, "team"), "id"),
        *(word(one, "team_id") for one in many(payload, "authorizations")),
    } - {""}  # fmt: skip
    return bool(teams) and us.team not in teams


def _payload(event: RawEvent) -> Json:
    try:
        found = payload_of(event)
    except Exception:  # signed, and still unreadable: the worker sets it aside with the reason
        return {}
    return found if isinstance(found, dict) else {}
