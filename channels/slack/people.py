"""Who writes: what the workspace knows of an account, and who is not served."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from channels.slack import mrkdwn
from channels.slack.api import Api
from channels.slack.fields import Json, inside, word
from channels.slack.reading import (
    House,
    Letter,
    is_addressed,
    is_foreign,
    letter_of,
    text_of,
    time_of,
)
from gateway.errors import ChannelError
from gateway.messages import Sender
from gateway.phrases import Phrases
from gateway.ports import Clock
from rag.language import detect
from rag.types import Language
from storage.text import repair_text

log = structlog.get_logger()

KNOWN_FOR = timedelta(minutes=5)
KNOWN_MAX = 5_000  # accounts remembered at once
LOOK_UP_WAIT_S = 1.0  # before an event is committed: Slack waits three seconds in all
COURTESY_EVERY = timedelta(days=1)
COURTESIES_MAX = 20  # refusals on their way at once


@dataclass(frozen=True, slots=True)
class Profile:
    """An account as the workspace has it."""

    name: str
    language: Language | None
    email: str
    is_guest: bool


class People:
    """Asks for accounts, and remembers them for five minutes."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: OrderedDict[str, tuple[datetime, Profile]] = OrderedDict()

    async def introduce(self, sender: Sender) -> Sender:
        """`sender` with name, language and the e-mail address that the workspace vouches for."""
        known = await self.profile(sender.external_id)
        return replace(
            sender, name=known.name, language=known.language or sender.language, email=known.email
        )

    async def is_guest(self, user: str) -> bool:
        """Whether an account is a guest's. What cannot be found out in time counts as no: an
        answer to a guest is a smaller harm than none to a member."""
        try:
            async with asyncio.timeout(LOOK_UP_WAIT_S):
                return (await self.profile(user)).is_guest
        except (ChannelError, TimeoutError) as error:
            log.warning("guest_unknown", error=type(error).__name__)
            return False

    async def profile(self, user: str) -> Profile:
        """Raises a leaf of ChannelError."""
        now = self._clock()
        at, known = self._known.get(user, (None, None))
        if at is not None and known is not None and now - at < KNOWN_FOR:
            return known
        answer = await self._api.call("users.info", user=user, include_locale=1)
        known = profile_of(inside(answer, "user"))
        self._known[user] = (now, known)
        self._known.move_to_end(user)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return known


def profile_of(user: Json) -> Profile:
    """Only a full member's confirmed address proves who they are outside of Slack."""
    profile = inside(user, "profile")
    is_guest = bool(user.get("is_restricted") or user.get("is_ultra_restricted"))
    is_member = not (
        is_guest or user.get("is_bot") or user.get("deleted") or user.get("is_stranger")
    )
    is_proven = is_member and user.get("is_email_confirmed") is True
    name = word(profile, "display_name") or word(profile, "real_name") or word(user, "name")
    return Profile(
        name=repair_text(name)[:200], language=_language(word(user, "locale")),
        email=word(profile, "email") if is_proven else "", is_guest=is_guest,
    )  # fmt: skip


def _language(locale: str) -> Language | None:
    primary = locale.lower().partition("-")[0]
    return "zh" if primary == "zh" else "en" if primary == "en" else None


class Courtesy:
    """Tells people who are not served that they are not, once a day. Never retried."""

    def __init__(self, api: Api, clock: Clock, phrases: Phrases, house: House) -> None:
        self._api = api
        self._clock = clock
        self._phrases = phrases
        self._house = house
        self._told: OrderedDict[str, datetime] = OrderedDict()
        self._on_the_way: set[asyncio.Task[None]] = set()

    def refuse(self, payload: Json, *, is_guest: bool) -> None:
        """Say it, if an event is a refused person's words to us."""
        letter = letter_of(payload, self._house)
        if letter is None or not letter.is_by_person or letter.message.get("subtype"):
            return
        foreign = is_foreign(payload, letter.message) and self._house.connect == "refuse"
        guest = is_guest and self._house.guests == "refuse"
        if not (foreign or guest) or not is_addressed(letter) or not self._is_due(letter):
            return
        if len(self._on_the_way) < COURTESIES_MAX:
            task = asyncio.create_task(self._say(letter))
            self._on_the_way.add(task)
            task.add_done_callback(self._on_the_way.discard)

    async def settled(self) -> None:
        """Wait for what is on its way."""
        await asyncio.gather(*self._on_the_way)

    def _is_due(self, letter: Letter) -> bool:
        user = str(letter.message["user"])
        now = self._clock()
        if now - time_of(letter.ts) > COURTESY_EVERY:
            return False
        if (last := self._told.get(user)) is not None and now - last < COURTESY_EVERY:
            return False
        self._told[user] = now
        self._told.move_to_end(user)
        while len(self._told) > KNOWN_MAX:
            self._told.popitem(last=False)
        return True

    async def _say(self, letter: Letter) -> None:
        language: Language = "zh" if detect(mrkdwn.plain(text_of(letter.message))) == "zh" else "en"
        address = letter.address
        try:
            await self._api.call(
                "chat.postMessage", channel=address.chat, thread_ts=address.thread or None,
                text=mrkdwn.escape(self._phrases.say("place.not_served", language)),
                unfurl_links=False, unfurl_media=False,
            )  # fmt: skip
        except ChannelError as error:
            log.info("courtesy_lost", error=type(error).__name__)
