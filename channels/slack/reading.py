"""What a stored event says. Pure: bytes in, a value out; it may raise, then the event is set aside.

One Slack message can come as several events (a mention comes as `app_mention` and as `message`, a
broadcast twice, a lost one from the history): they carry one `ts`, and that is its id.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs

from channels.slack import mrkdwn
from channels.slack.blocks import ACTION
from channels.slack.fields import Json, inside, many, word
from channels.slack.settings import NAME, PlaceKind, Rule
from gateway.messages import ACTIONS, Action, Address, Attachment, InboundMessage, RawEvent, Sender

SPOKEN = (None, "", "file_share", "thread_broadcast", "me_message")
"""The kinds of message in which a person says something; the others are Slack's own notes."""
GUEST_HEADER = "tandem-guest"  # set at the door: the store has no other way to know it
FORM = "application/x-www-form-urlencoded"
TEXT_CHARS_MAX = 40_000  # of one message; Slack itself sends no longer ones
FILES_MAX = 10  # of one message, as Slack's own windows take them
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Who is served where."""

    account: str
    places: tuple[PlaceKind, ...]
    guests: Rule
    connect: Rule


@dataclass(frozen=True, slots=True)
class Letter:
    """A message, what came with it, and who we are there."""

    house: House
    envelope: Json
    message: Json
    channel: str
    us: str

    @property
    def ts(self) -> str:
        return stamp(self.message.get("ts"))

    @property
    def is_private(self) -> bool:
        return self.channel.startswith("D")

    @property
    def is_reply(self) -> bool:
        thread = self.message.get("thread_ts")
        return bool(thread) and thread != self.message.get("ts")

    @property
    def address(self) -> Address:
        """A thread is a talk of its own; a mention outside of one begins one at itself."""
        thread = "" if self.is_private else stamp(self.message.get("thread_ts") or self.ts)
        return Address(channel=NAME, account=self.house.account, chat=self.channel, thread=thread)

    @property
    def names_us(self) -> bool:
        return self.message.get("type") == "app_mention" or mrkdwn.mentions(
            text_of(self.message), self.us
        )

    @property
    def is_by_person(self) -> bool:
        """Not ours, no other app's, not Slack's."""
        user = self.message.get("user")
        return bool(user) and not self.message.get("bot_id") and user not in (self.us, "USLACKBOT")


def read(event: RawEvent, house: House) -> InboundMessage | None:
    """The message in an event, or None for what says nothing to us."""
    payload = payload_of(event)
    if house.guests == "refuse" and event.headers.get(GUEST_HEADER):
        return None
    if payload.get("type") == "block_actions":
        return _press(payload, house)
    letter = letter_of(payload, house)
    if letter is None or (is_foreign(payload, letter.message) and house.connect == "refuse"):
        return None
    match letter.message.get("subtype"):
        case "message_changed":
            return _changed(letter)
        case "message_deleted":
            return _deleted(letter)
        case subtype if subtype in SPOKEN:
            return _spoken(letter)
        case _:
            return None


def payload_of(event: RawEvent) -> Json:
    """The JSON of an event, whichever way it came."""
    if event.headers.get("content-type") == FORM:
        return json.loads(parse_qs(event.body.decode(), strict_parsing=True)["payload"][0])
    return json.loads(event.body)


def letter_of(payload: Json, house: House) -> Letter | None:
    """The message event in a payload."""
    message = inside(payload, "event")
    if payload.get("type") != "event_callback" or message.get("type") not in (
        "message", "app_mention",
    ):  # fmt: skip
        return None
    return Letter(house, payload, message, str(message["channel"]), our_user(payload))


def our_user(payload: Json) -> str:
    """Our bot's user id, as the event itself says it."""
    for one in many(payload, "authorizations"):
        if one.get("is_bot"):
            return word(one, "user_id")
    return ""


def is_foreign(payload: Json, message: Json) -> bool:
    """Whether its writer belongs to another workspace that shares the channel with ours."""
    ours = {word(payload, "team_id"), word(payload, "context_team_id")}
    ours |= {word(one, "team_id") for one in many(payload, "authorizations")}
    theirs = word(message, "user_team") or word(message, "source_team") or word(message, "team")
    return bool(payload.get("is_ext_shared_channel")) and theirs != "" and theirs not in ours


def is_addressed(letter: Letter) -> bool | None:
    """Whether a message speaks to us; None where we do not listen at all."""
    places = letter.house.places
    if letter.is_private:
        return True if "dm" in places else None
    if letter.names_us:
        return True if "mentions" in places else None
    return False if letter.is_reply and "threads" in places else None


def _spoken(letter: Letter) -> InboundMessage | None:
    addressed = is_addressed(letter)
    if addressed is None or not letter.is_by_person:
        return None
    files = attachments(letter.message)
    text = mrkdwn.plain(text_of(letter.message), us=letter.us)
    if not text and not files:  # a forwarded message, a lone mention: a person can see what it is
        files = (Attachment(kind="unsupported"),)
    return InboundMessage(
        address=letter.address, external_id=letter.ts, sender=_sender(letter.message),
        text=text, attachments=files, addressed=addressed, sent_at=time_of(letter.ts),
        reply_to=stamp(letter.message["thread_ts"]) if letter.is_reply else None,
    )  # fmt: skip


def _changed(letter: Letter) -> InboundMessage | None:
    """A preview that appeared and a counter that moved come as changes, too: only other words are
    one."""
    new, old = inside(letter.message, "message"), inside(letter.message, "previous_message")
    now = _inner(letter, new)
    if new.get("subtype") == "tombstone":  # the root of a thread was taken back
        return _deleted(letter)
    if not now.is_by_person or new.get("subtype") not in SPOKEN:
        return None
    if text_of(new) == text_of(old) if old else "edited" not in new:
        return None
    before = _inner(letter, old) if old else now
    addressed = is_addressed(now) or is_addressed(before)
    if addressed is None:
        return None
    if addressed and not (now.is_private or now.is_reply or before.names_us):
        return _spoken(now)  # it named nobody until now, so it was never stored
    edited = word(inside(new, "edited"), "ts") or word(letter.message, "event_ts")
    return InboundMessage(
        address=now.address, external_id=f"{now.ts}:{edited}", sender=_sender(new),
        text=mrkdwn.plain(text_of(new), us=letter.us), edits=now.ts, addressed=addressed,
    )  # fmt: skip


def _deleted(letter: Letter) -> InboundMessage | None:
    old = inside(letter.message, "previous_message")
    ts = stamp(letter.message.get("deleted_ts") or old.get("ts"))
    gone = _inner(letter, {**old, "ts": ts})
    addressed = is_addressed(gone)
    if addressed is None or not gone.is_by_person:
        return None
    return InboundMessage(
        address=gone.address, external_id=f"{ts}:deleted", sender=_sender(old),
        deletes=ts, addressed=addressed,
    )  # fmt: skip


def _press(payload: Json, house: House) -> InboundMessage | None:
    """A press of one of our buttons. In a channel it counts for those who talk with us there."""
    action, user = many(payload, "actions")[0], inside(payload, "user")
    value = word(action, "value")
    if not word(action, "action_id").startswith(ACTION) or value not in ACTIONS:
        return None
    theirs, ours = word(user, "team_id"), word(inside(payload, "team"), "id")
    if house.connect == "refuse" and theirs and ours and theirs != ours:
        return None
    place, shown = inside(payload, "container"), inside(payload, "message")
    thread = word(place, "thread_ts") or word(shown, "thread_ts")
    message = {"ts": place.get("message_ts"), "thread_ts": thread}
    chat = word(place, "channel_id") or word(inside(payload, "channel"), "id")
    letter = Letter(house, payload, message, chat, "")
    at = stamp(action["action_ts"])
    return InboundMessage(
        address=letter.address, external_id=f"press:{at}",
        sender=Sender(external_id=str(user["id"]), verified=True),
        action=cast("Action", value), reply_to=letter.ts, addressed=letter.is_private,
        sent_at=time_of(at),
    )  # fmt: skip


def attachments(message: Json) -> tuple[Attachment, ...]:
    """The files of a message. Their bytes stay at Slack; the id is how they are fetched."""
    return tuple(_file(one) for one in many(message, "files")[:FILES_MAX])


def _file(raw: Json) -> Attachment:
    media_type = str(raw.get("mimetype") or "")
    kind = media_type.partition("/")[0]
    known = {"image": "image", "audio": "voice"}.get(kind, "file")
    usable = raw.get("mode") not in ("tombstone", "hidden_by_limit", "external")
    return Attachment(
        kind=cast("Any", known if usable else "unsupported"),
        name=mrkdwn.plain(str(raw.get("name") or raw.get("title") or ""))[:255],
        media_type=media_type[:100], size_bytes=int(raw.get("size") or 0),
        reference=str(raw["id"]) if usable else "",
    )  # fmt: skip


def _inner(letter: Letter, message: Json) -> Letter:
    return Letter(letter.house, letter.envelope, message, letter.channel, letter.us)


def _sender(message: Json) -> Sender:
    return Sender(external_id=str(message["user"]), verified=True)


def text_of(message: Json) -> str:
    return word(message, "text")[:TEXT_CHARS_MAX]


def stamp(value: object) -> str:
    """A message's `ts`. Raises ValueError for what is none: ids are compared and sorted."""
    if not isinstance(value, str) or not _TS.fullmatch(value):
        raise ValueError("not a Slack ts")
    return value


def time_of(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)
