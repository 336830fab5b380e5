"""chat.*: posting, changing and deleting, with the limits that Slack has."""

from collections.abc import Iterator
from typing import Any

from tests.fakes.slack.workspace import APP, BOT, BOT_USER, TEAM, Json, Place, Workspace

TOTAL_CHARS_MAX = 13_200  # of text and blocks, as users found it
TEXT_CHARS_MAX = 40_000
BLOCKS_MAX = 50


class Refusal(Exception):
    """An `ok: false` with its code."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.answer = {"ok": False, "error": code, **more}


def place_of(workspace: Workspace, channel: str) -> Place:
    """Where the app may speak. Raises Refusal."""
    place = workspace.places.get(channel)
    if place is None or (place.is_private and BOT_USER not in place.members):
        raise Refusal("channel_not_found")
    if place.is_archived:
        raise Refusal("is_archived")
    if BOT_USER not in place.members:
        raise Refusal("not_in_channel")
    return place


def post(workspace: Workspace, values: Json) -> tuple[Place, Json]:
    place = place_of(workspace, str(values.get("channel", "")))
    blocks = values.get("blocks") or []
    text = str(values.get("text") or "")
    check(text, blocks)
    message: Json = {
        "type": "message", "user": BOT_USER, "bot_id": BOT, "app_id": APP, "team": TEAM,
        "ts": workspace.new_ts(), "text": text, "_request": dict(values),
    }  # fmt: skip
    if blocks:
        message["blocks"] = with_ids(blocks)
    if values.get("metadata"):
        message["metadata"] = values["metadata"]
    if thread := values.get("thread_ts"):
        root = place.message(str(thread))
        if root is None:
            raise Refusal("thread_not_found")
        message["thread_ts"] = str(thread)
    place.messages.append(message)
    return place, message


def update(workspace: Workspace, values: Json) -> tuple[Place, Json, Json]:
    """The place, the message before and after."""
    place = place_of(workspace, str(values.get("channel", "")))
    message = own(place, str(values.get("ts")), "cant_update_message")
    blocks = values.get("blocks") or []
    check(str(values.get("text") or ""), blocks)
    before = dict(message)
    message["text"] = str(values.get("text") or "")
    message["edited"] = {"user": BOT_USER, "ts": workspace.new_ts()}
    message["blocks"] = with_ids(blocks)
    if values.get("metadata"):
        message["metadata"] = values["metadata"]
    return place, before, message


def delete(workspace: Workspace, values: Json) -> tuple[Place, Json]:
    place = place_of(workspace, str(values.get("channel", "")))
    message = own(place, str(values.get("ts")), "cant_delete_message")
    place.messages.remove(message)
    return place, message


def own(place: Place, ts: str, foreign: str) -> Json:
    """A message of the app's. Raises Refusal: a bot changes only its own."""
    message = place.message(ts)
    if message is None:
        raise Refusal("message_not_found")
    if message.get("bot_id") != BOT:
        raise Refusal(foreign)
    return message


def with_ids(blocks: list[Json]) -> list[Json]:
    return [{"block_id": f"auto{n}", **block} for n, block in enumerate(blocks)]


def check(text: str, blocks: list[Json]) -> None:
    """Raises Refusal for what Slack does not take."""
    if not text and not blocks:
        raise Refusal("no_text")
    size = len(text) + sum(len(one) for block in blocks for one in _words(block))
    if len(text) > TEXT_CHARS_MAX or size > TOTAL_CHARS_MAX:
        raise Refusal("msg_too_long")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    wrong = [reason for block in blocks for reason in _wrong(block)]
    if len(blocks) > BLOCKS_MAX:
        wrong.append("too many blocks")
    if len(set(ids)) < len(ids):
        wrong.append("a block_id stands twice")
    actions = [one["action_id"] for block in blocks for one in block.get("elements", ())
               if "action_id" in one]  # fmt: skip
    if len(set(actions)) < len(actions):
        wrong.append("an action_id stands twice")
    if wrong:
        raise Refusal("invalid_blocks", response_metadata={"messages": wrong})


def _wrong(block: Json) -> Iterator[str]:
    if len(str(block.get("block_id", ""))) > 255:
        yield "block_id is longer than 255"
    elements = block.get("elements", [])
    match block["type"]:
        case "context" if len(elements) > 10:
            yield "more than 10 elements"
        case "actions" if len(elements) > 25:
            yield "more than 25 elements"
        case "rich_text" if not all(section["elements"] for section in elements):
            yield "an empty section"
        case _:
            pass
    for text in _words(block):
        if not text:
            yield "an empty text"
        if utf16(text) > 3_000:
            yield "a text is longer than 3000"
    for element in elements:
        if element["type"] == "button":
            if not 1 <= len(element["text"]["text"]) <= 75:
                yield "a button's text has 1 to 75 characters"
            if len(element.get("value", "")) > 2_000 or len(element["action_id"]) > 255:
                yield "a button's value or id is too long"


def _words(block: Json) -> Iterator[str]:
    for element in block.get("elements", ()):
        if block["type"] == "rich_text":
            yield from (str(one.get("text") or one.get("url")) for one in element["elements"])
        elif element["type"] in ("mrkdwn", "plain_text"):
            yield element["text"]
    if isinstance(block.get("text"), dict):
        yield block["text"]["text"]


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
