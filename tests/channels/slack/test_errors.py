"""Every way in which a call can fail is one of ours: may it have been done, or not?"""

import inspect
from typing import Any

import aiohttp
import pytest
from slack_sdk import errors as sdk
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from channels.slack import Settings
from channels.slack.api import Api
from channels.slack.errors import Answered, Sent, by_answer, mapped, retry_after_s
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
from storage.ids import utc_now
from tests.fakes.faults import Answer, Cut, Garbled
from tests.fakes.serving import served
from tests.fakes.slack import BOT_TOKEN, SlackServer, refused

CODES = {
    "invalid_auth": BadToken, "not_authed": BadToken, "account_inactive": BadToken,
    "token_revoked": BadToken, "token_expired": BadToken, "fatal_error": Ambiguous,
    "internal_error": Ambiguous, "ratelimited": RateLimited, "service_unavailable": Unavailable,
    "request_timeout": Unavailable, "channel_not_found": Blocked, "is_archived": Blocked,
    "not_in_channel": Blocked, "message_not_found": Missing, "msg_too_long": Refused,
    "missing_scope": Refused, "invalid_blocks": Refused, "no_text": Refused,
    "something_new": Refused,
}  # fmt: skip
STATUSES = {
    429: RateLimited, 500: Ambiguous, 502: Ambiguous, 503: Ambiguous, 504: Ambiguous,
    400: Unavailable, 401: Unavailable, 403: Unavailable, 404: Unavailable, 200: Ambiguous,
}  # fmt: skip


def sdk_classes() -> list[type[Exception]]:
    return [
        one for _, one in inspect.getmembers(sdk, inspect.isclass)
        if issubclass(one, sdk.SlackClientError) and one is not sdk.SlackClientError
    ]  # fmt: skip


def aiohttp_classes() -> list[type[Exception]]:
    return [
        one for _, one in inspect.getmembers(aiohttp, inspect.isclass)
        if issubclass(one, aiohttp.ClientError)
    ]  # fmt: skip


def raised(kind: type[Exception]) -> Exception:
    """One of each, made without its arguments where it wants some."""
    if kind is sdk.SlackApiError:
        return _api_error({"ok": False, "error": "internal_error"})
    error = kind.__new__(kind)
    Exception.__init__(error, "x")
    return error


def _api_error(data: dict[str, Any], status: int = 200) -> sdk.SlackApiError:
    response = AsyncSlackResponse(
        client=None, http_verb="POST", api_url="", req_args={}, data=data, headers={},
        status_code=status,
    )  # fmt: skip
    return sdk.SlackApiError("no", response)


@pytest.mark.parametrize("kind", sdk_classes(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_is_mapped(kind: type[Exception]):
    """A new class in a new version turns this red until somebody has thought about it."""
    from channels.slack.errors import LOCAL

    with pytest.raises(ChannelError), mapped(Sent()):
        raise raised(kind)
    assert kind in LOCAL or kind is sdk.SlackApiError


@pytest.mark.parametrize("kind", [*aiohttp_classes(), TimeoutError, OSError, AttributeError])
@pytest.mark.parametrize(("left", "meaning"), [(False, Unreachable), (True, Ambiguous)])
def test_what_the_network_does_is_judged_by_whether_bytes_left(
    kind: type[Exception], left: bool, meaning: type[ChannelError]
):
    """Not a byte: safe to repeat. One byte: nobody knows."""
    with pytest.raises(ChannelError) as caught, mapped(Sent(bytes_left=left)):
        raise raised(kind)

    assert type(caught.value) is meaning


@pytest.mark.parametrize(("code", "meaning"), CODES.items())
def test_slack_s_refusals_go_by_their_code(code: str, meaning: type[ChannelError]):
    """What an operator, an agent or nobody can do about it."""
    assert isinstance(by_answer(Answered(200, code)), meaning)


@pytest.mark.parametrize(("status", "meaning"), STATUSES.items())
def test_an_answer_without_slack_s_words_goes_by_its_status(
    status: int, meaning: type[ChannelError]
):
    """A proxy's page says nothing of what Slack did."""
    assert type(by_answer(Answered(status, ""))) is meaning


def test_503_with_a_time_is_a_clear_no():
    """The far end says "not now": nothing was done."""
    assert type(by_answer(Answered(503, "", headers={"Retry-After": "3"}))) is Unavailable


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("7", 7), (None, 5), ("", 5), ("soon", 5), ("-3", 5), ("0", 1), ("3601", 3_600),
     ("9" * 30, 5), ("1e3", 5), ("٣", 5), (" 8 ", 8)],
)  # fmt: skip
def test_any_retry_after_is_a_wait(said: str | None, wait_s: float):
    """Five seconds where it is no number, an hour at most."""
    assert retry_after_s({} if said is None else {"retry-after": said}) == wait_s


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (Cut(processed=False), Ambiguous), (Cut(processed=True), Ambiguous),
        (Cut(processed=True, after_bytes=10), Ambiguous), (Garbled(), Ambiguous),
        (Garbled(body="[]", content_type="application/json"), Ambiguous),
        (Garbled(body="ok", content_type="text/plain"), Ambiguous),
        (Answer(500, "{"), Ambiguous), (Answer(429, "slow", content_type="text/html"), RateLimited),
        (Answer(200, refused("not_in_channel")), Blocked),
    ],
)  # fmt: skip
async def test_a_failed_call_is_made_once(fault: Any, meaning: type[ChannelError]):
    """No layer below repeats it: a lost answer must not become a second post."""
    server = SlackServer()
    async with served(server.app) as server.url:
        api = Api(token=BOT_TOKEN, url=server.api_url, clock=utc_now)
        server.faults.plan("chat.postMessage", fault)
        with pytest.raises(meaning):
            await api.call("chat.postMessage", channel="C1", text="x")
        await api.close()

    assert len(server.called("chat.postMessage")) == 1


async def test_nobody_listening_is_unreachable():
    """Connection refused: not a byte left."""
    server = SlackServer()
    async with served(server.app) as server.url:
        url = server.api_url
    api = Api(token=BOT_TOKEN, url=url, clock=utc_now)
    with pytest.raises(Unreachable):
        await api.call("chat.postMessage", channel="C1", text="x")
    await api.close()


async def test_a_name_that_does_not_resolve_is_unreachable():
    """DNS fails before anything is sent."""
    api = Api(token=BOT_TOKEN, url="http://no-such-host.invalid/api/", clock=utc_now)
    with pytest.raises(Unreachable):
        await api.call("auth.test")
    await api.close()


def test_the_settings_hide_their_secrets():
    """Not even a printed object shows a token."""
    settings = Settings(bot_token="xoxb-1-2-secret", signing_secret="s" * 32)

    assert "secret" not in repr(settings).replace("signing_secret", "")
