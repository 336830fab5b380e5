"""What a failed call means: every error of the SDK and of aiohttp below it, as one of ours.

The question is always *may it have been done?* Slack's clear refusals go by their code. Where no
answer came, the trace decides: as long as not a byte left, nothing can have been done.
"""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from slack_sdk import errors as sdk

from gateway.errors import (
    Ambiguous,
    BadToken,
    Blocked,
    ChannelError,
    Missing,
    RateLimited,
    Refused,
    Unavailable,
    Unreachable,
)

RETRY_AFTER_S = 5.0  # where Slack says "too fast" without a usable number
RETRY_AFTER_S_MAX = 3_600.0

_DEAD = {
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired",
    "org_login_required", "team_access_not_granted", "app_uninstalled", "no_permission",
}  # fmt: skip
_DOUBTFUL = {"fatal_error", "internal_error"}  # "some aspect may have succeeded", says Slack
_LATER = {"service_unavailable", "request_timeout", "team_added_to_org", "accesslimited"}
_TOO_FAST = {"ratelimited", "rate_limited"}
_SHUT = {
    "is_archived": "the channel is archived",
    "not_in_channel": "the app was removed from this channel",
    "channel_not_found": "the channel is gone, or the app may not see it any more",
    "user_disabled": "the account of this customer is deactivated",
    "user_not_found": "there is no such account any more",
    "cannot_dm_bot": "bots do not take messages",
}
_GONE = {"message_not_found", "thread_not_found", "no_such_message"}
_SAID = {
    "msg_too_long": "it is longer than Slack takes",
    "msg_blocks_too_long": "it is longer than Slack takes",
    "no_text": "it is empty",
    "edit_window_closed": "Slack does not let it be changed any more",
    "cant_update_message": "Slack does not let it be changed",
    "cant_delete_message": "Slack does not let it be taken back",
    "messages_tab_disabled": "the app does not take direct messages: switch its Messages tab on",
    "restricted_action": "this workspace does not let the app post there",
    "file_not_found": "the file is not there any more",
}
# What is raised before anything is sent, or tells nothing of a call.
LOCAL: Mapping[type[Exception], type[ChannelError]] = {
    sdk.BotUserAccessError: Refused,
    sdk.SlackRequestError: Refused,
    sdk.SlackObjectFormationError: Refused,
    sdk.SlackClientConfigurationError: Refused,
    sdk.SlackClientNotConnectedError: Unreachable,
    sdk.SlackTokenRotationError: BadToken,
}


@dataclass(slots=True)
class Sent:
    """What the trace saw of one call."""

    bytes_left: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """Slack's answer to a call that did not succeed. `code` is empty where it was no JSON."""

    status: int
    code: str
    needed: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class MissingScope(Refused):
    """The app lacks a scope; `scope` is Slack's name of it."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"the Slack app lacks the scope {scope}")
        self.scope = scope


class FormatRefused(Refused):
    """The blocks are not to Slack's liking: the words may be sent once more without them."""


@contextmanager
def mapped(sent: Sent) -> Generator[None]:
    """Raise a leaf of ChannelError for whatever goes wrong inside."""
    try:
        yield
    except ChannelError:
        raise
    except sdk.SlackApiError as error:
        raise by_answer(_answered(error)) from None  # its text holds the whole answer
    except sdk.SlackClientError as error:
        raise LOCAL.get(type(error), Ambiguous)(type(error).__name__) from None
    except Exception as error:
        kind = Ambiguous if sent.bytes_left else Unreachable
        raise kind(type(error).__name__) from None  # an address may stand in the text


def by_answer(said: Answered) -> ChannelError:
    """What Slack's answer means."""
    if said.status == 429 or said.code in _TOO_FAST:
        return RateLimited("Slack asks to wait", wait_s=retry_after_s(said.headers))
    if said.code:
        return _by_code(said)
    if said.status == 503 and "retry-after" in {name.lower() for name in said.headers}:
        return Unavailable("503 with Retry-After")
    if 400 <= said.status < 500:  # not Slack's own words: something before it turned us away
        return Unavailable(f"HTTP {said.status} without an answer from Slack")
    return Ambiguous(f"HTTP {said.status} without an answer from Slack")


def _by_code(said: Answered) -> ChannelError:
    code = said.code
    if code in _DEAD:
        return BadToken(f"Slack refuses the token: {code}")
    if code in _DOUBTFUL:
        return Ambiguous(code)
    if code in _LATER:
        return Unavailable(code)
    if code in _SHUT:
        return Blocked(_SHUT[code])
    if code in _GONE:
        return Missing(code)
    if code == "missing_scope":
        return MissingScope(said.needed or "(not named)")
    if code in ("invalid_blocks", "invalid_blocks_format"):
        return FormatRefused(code)
    return Refused(_SAID.get(code, f"Slack refuses it: {code[:80]}"))


def retry_after_s(headers: Mapping[str, str]) -> float:
    """How long Slack wants us to wait: missing, words and nonsense are five seconds, an hour is
    the most."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    if not re.fullmatch(r"\s*[0-9]{1,20}\s*", said, re.ASCII):
        return RETRY_AFTER_S
    return min(max(float(said), 1.0), RETRY_AFTER_S_MAX)


def _answered(error: sdk.SlackApiError) -> Answered:
    """The SDK hangs its own response on the error, or aiohttp's where the body was no JSON."""
    response: Any = error.response
    status = getattr(response, "status_code", None) or getattr(response, "status", 0)
    raw = getattr(response, "data", None)
    data = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    code, needed = data.get("error"), data.get("needed")
    return Answered(
        int(status), str(code) if code else "", str(needed) if needed else "",
        dict(getattr(response, "headers", None) or {}),
    )  # fmt: skip
