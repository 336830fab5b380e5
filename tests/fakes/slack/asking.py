"""conversations.* and users.*: what the app may read, paged as Slack pages it."""

import base64
from typing import Any

from tests.fakes.slack.posting import Refusal, place_of
from tests.fakes.slack.workspace import BOT_USER, Json, Workspace

KINDS = {"im": "im:history", "channel": "channels:history", "group": "groups:history"}


def history(workspace: Workspace, values: Json, scopes: set[str]) -> Json:
    """The newest first; threads only by their roots."""
    place = place_of(workspace, str(values.get("channel", "")))
    _need(scopes, KINDS[place.kind])
    lines = [one for one in place.messages if one.get("thread_ts", one["ts"]) == one["ts"]
             or one.get("subtype") == "thread_broadcast"]  # fmt: skip
    return _page(_within(lines, values)[::-1], values)


def replies(workspace: Workspace, values: Json, scopes: set[str]) -> Json:
    """The oldest first, the root always among them."""
    place = place_of(workspace, str(values.get("channel", "")))
    _need(scopes, KINDS[place.kind])
    root = place.message(str(values.get("ts")))
    if root is None:
        raise Refusal("thread_not_found")
    rest = [one for one in place.messages if one.get("thread_ts") == root["ts"] and one is not root]
    return _page([root, *_within(rest, values)], values)


def info(workspace: Workspace, values: Json) -> Json:
    place = workspace.places.get(str(values.get("channel", "")))
    if place is None:
        raise Refusal("channel_not_found")
    return {
        "id": place.id, "name": place.name, "is_im": place.is_direct,
        "is_private": place.is_private, "is_archived": place.is_archived,
        "is_member": BOT_USER in place.members, "is_ext_shared": place.is_shared,
    }  # fmt: skip


def join(workspace: Workspace, values: Json) -> Json:
    place = workspace.places.get(str(values.get("channel", "")))
    if place is None or place.is_private:
        raise Refusal("channel_not_found")
    if place.is_archived:
        raise Refusal("is_archived")
    place.members.add(BOT_USER)
    return info(workspace, values)


def open_direct(workspace: Workspace, values: Json) -> Json:
    person = workspace.people.get(str(values.get("users", "")))
    if person is None:
        raise Refusal("user_not_found")
    return {"id": workspace.direct(person).id}


def person(workspace: Workspace, values: Json, scopes: set[str]) -> Json:
    found = workspace.people.get(str(values.get("user", "")))
    if found is None:
        raise Refusal("user_not_found")
    with_locale = str(values.get("include_locale", "")) in ("1", "true", "True")
    return workspace.person_json(found, scopes=scopes, with_locale=with_locale)


def _need(scopes: set[str], scope: str) -> None:
    if scope not in scopes:
        raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(scopes)))


def _within(lines: list[Json], values: Json) -> list[Json]:
    oldest = float(values.get("oldest") or 0)
    latest = float(values.get("latest") or 9e12)
    return [one for one in lines if oldest < float(one["ts"]) < latest]


def _page(lines: list[Json], values: Json) -> Json:
    size = min(int(values.get("limit") or 100), 999)
    start = int(base64.b64decode(str(values["cursor"]))) if values.get("cursor") else 0
    some = [_public(one, values) for one in lines[start : start + size]]
    more = start + size < len(lines)
    cursor = base64.b64encode(str(start + size).encode()).decode() if more else ""
    return {"messages": some, "has_more": more, "response_metadata": {"next_cursor": cursor}}


def _public(message: Json, values: Json) -> dict[str, Any]:
    hidden = {"_request", "channel", "channel_type"}
    if str(values.get("include_all_metadata", "")) not in ("1", "true", "True"):
        hidden.add("metadata")
    return {name: value for name, value in message.items() if name not in hidden}
