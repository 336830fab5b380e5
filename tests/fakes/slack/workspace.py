"""The state of a fake workspace: people, places with their messages, files. No network."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

TEAM, APP, BOT, BOT_USER = "T0TANDEM0", "A0TANDEM0", "B0TANDEM0", "U0TANDEM0"
OTHER_TEAM = "T0PARTNER"
MICRO = 1_000_000


@dataclass
class Person:
    """An account, as `users.info` tells of it."""

    id: str
    name: str
    email: str = ""
    locale: str = "en-US"
    team: str = TEAM
    is_guest: bool = False
    is_confirmed: bool = True


@dataclass
class Place:
    """A channel or a direct message. `members` has the bot's user while the app is in it."""

    id: str
    name: str = ""
    is_private: bool = False
    with_user: str = ""
    is_archived: bool = False
    is_shared: bool = False
    members: set[str] = field(default_factory=lambda: {BOT_USER})
    messages: list[Json] = field(default_factory=list[Json])

    @property
    def is_direct(self) -> bool:
        return bool(self.with_user)

    @property
    def kind(self) -> str:
        return "im" if self.is_direct else "group" if self.is_private else "channel"

    def message(self, ts: str) -> Json | None:
        return next((one for one in self.messages if one["ts"] == ts), None)


@dataclass
class File:
    id: str
    name: str
    media_type: str
    length: int
    content: bytes | None = None
    shares: dict[str, str] = field(default_factory=dict[str, str])  # place → ts
    is_complete: bool = False


class Workspace:
    """Everything that is in it. Times are the clock's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.people: dict[str, Person] = {}
        self.places: dict[str, Place] = {}
        self.files: dict[str, File] = {}
        self._micros = 0
        self._numbers = 0

    def now_s(self) -> float:
        return self.clock().timestamp()

    def new_ts(self) -> str:
        """A message's `ts`: the time, and no two alike."""
        self._micros = max(self._micros + 1, int(self.now_s() * MICRO))
        return f"{self._micros // MICRO}.{self._micros % MICRO:06d}"

    def new_id(self, letter: str) -> str:
        self._numbers += 1
        return f"{letter}0{self._numbers:07d}"

    def add_person(self, name: str, **more: Any) -> Person:
        values: Json = {"email": f"{name.lower()}@example.com", **more}
        person = Person(self.new_id("U"), name, **values)
        self.people[person.id] = person
        return person

    def add_channel(self, name: str, **more: Any) -> Place:
        place = Place(id=self.new_id("C"), name=name, **more)
        self.places[place.id] = place
        return place

    def direct(self, person: Person) -> Place:
        """The direct message of a person with the app, opened where there was none."""
        for place in self.places.values():
            if place.with_user == person.id:
                return place
        place = Place(id=self.new_id("D"), with_user=person.id, is_private=True)
        self.places[place.id] = place
        return place

    def person_json(self, person: Person, *, scopes: set[str], with_locale: bool) -> Json:
        """As `users.info` gives it: the address only with its own scope."""
        profile: Json = {"display_name": person.name, "real_name": f"{person.name} Example"}
        if "users:read.email" in scopes and person.email:
            profile["email"] = person.email
        return {
            "id": person.id, "team_id": person.team, "name": person.name.lower(),
            "deleted": False, "profile": profile, "is_bot": False,
            "is_restricted": person.is_guest, "is_ultra_restricted": False,
            "is_stranger": person.team != TEAM, "is_email_confirmed": person.is_confirmed,
            **({"locale": person.locale} if with_locale else {}),
        }  # fmt: skip

    def file_json(self, file: File, base: str) -> Json:
        shares: dict[str, Json] = {}
        for place_id, ts in file.shares.items():
            kind = "private" if self.places[place_id].is_private else "public"
            shares.setdefault(kind, {})[place_id] = [{"ts": ts}]
        url = f"{base}/files-pri/{file.id}/{file.name}"
        return {
            "id": file.id, "name": file.name, "title": file.name, "mimetype": file.media_type,
            "size": file.length, "mode": "hosted", "url_private": url,
            "url_private_download": url, "shares": shares,
        }  # fmt: skip


def time_of(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)
