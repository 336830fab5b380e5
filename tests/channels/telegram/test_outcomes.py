"""Every error of the vendor's package means something to us, by what may have arrived."""

import datetime as dt
import inspect

import pytest
import telegram.error
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    PassportDecryptionError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from channels.telegram import outcomes, wire
from channels.telegram.outcomes import FormatRefused, LengthRefused, NoText, Same, translated
from channels.telegram.wire import Flooded, NotNow, NotSent, TooLarge, Unclear
from gateway.errors import (
    Ambiguous,
    BadToken,
    Blocked,
    ChannelError,
    Missing,
    Moved,
    RateLimited,
    Refused,
    Unavailable,
    Unreachable,
)

MEANT: dict[type[TelegramError], tuple[TelegramError, type[ChannelError]]] = {
    TelegramError: (TelegramError("odd"), Ambiguous),
    NetworkError: (NetworkError("reset"), Ambiguous),
    TimedOut: (TimedOut(), Ambiguous),
    BadRequest: (BadRequest("Chat not found"), Refused),
    Forbidden: (Forbidden("Forbidden: bot was blocked by the user"), Blocked),
    InvalidToken: (InvalidToken(), BadToken),
    EndPointNotFound: (EndPointNotFound("no such method"), BadToken),
    Conflict: (Conflict("Conflict: terminated by other getUpdates request"), Unavailable),
    ChatMigrated: (ChatMigrated(-100_5), Moved),
    PassportDecryptionError: (PassportDecryptionError("odd"), Ambiguous),
    NotSent: (NotSent("ConnectError"), Unreachable),
    Unclear: (Unclear("ReadError"), Ambiguous),
    NotNow: (NotNow("HTTP 503"), Unavailable),
    TooLarge: (TooLarge("too large"), Refused),
    Flooded: (Flooded(3.0), RateLimited),
}


def errors_of(module: object) -> set[type[TelegramError]]:
    return {
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, TelegramError)
    }


def test_every_error_there_is_has_a_meaning():
    """A new class in the package, or of ours, turns this red until somebody has thought of it."""
    there = errors_of(telegram.error) | errors_of(wire) | errors_of(outcomes)

    assert there == {*MEANT, RetryAfter}


@pytest.mark.parametrize("kind", MEANT, ids=lambda kind: kind.__name__)
def test_an_error_means_what_may_have_arrived(kind: type[TelegramError]):
    """In the words of the core, and with nothing behind it that names an address."""
    error, meant = MEANT[kind]
    with pytest.raises(ChannelError) as caught, translated():
        raise error

    assert type(caught.value) is meant
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.filterwarnings("ignore:.*retry_after.*:DeprecationWarning")
def test_the_packages_own_wait_is_understood_without_its_warning():
    """Our wire answers for it, but who knows what the package raises by itself one day."""
    with pytest.warns(telegram.warnings.PTBDeprecationWarning):
        error = RetryAfter(dt.timedelta(seconds=17))
    with pytest.raises(RateLimited) as caught, translated():
        raise error

    assert caught.value.wait_s == 17


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Message is not modified: specified new message content …", Same),
        ("Message to edit not found", Missing),
        ("Message can't be edited", Missing),
        ("MESSAGE_ID_INVALID", Missing),
        ("Message to delete not found", Missing),
        ("Can't parse entities: unsupported start tag", FormatRefused),
        ("Message is too long", LengthRefused),
        ("Message caption is too long", LengthRefused),
        ("There is no text in the message to edit", NoText),
        ("PHOTO_INVALID_DIMENSIONS", outcomes.ImageRefused),
        ("Message thread not found", Refused),
        ("Not enough rights to send text messages to the chat", Refused),
    ],
)  # fmt: skip
def test_a_refusal_is_told_by_its_words(said: str, meant: type[ChannelError]):
    """Telegram has one code for all of them."""
    with pytest.raises(ChannelError) as caught, translated():
        raise BadRequest(said)

    assert type(caught.value) is meant


@pytest.mark.parametrize("error", [KeyError("message_id"), TypeError("x"), ValueError("x")])
def test_an_answer_that_cannot_be_read_may_mean_that_it_arrived(error: Exception):
    """It said "ok", and the rest is strange."""
    with pytest.raises(Ambiguous), translated():
        raise error
