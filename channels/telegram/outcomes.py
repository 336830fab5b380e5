"""What a call's failure means for us: every error of the vendor's package is mapped here, once."""

import re
from collections.abc import Generator
from contextlib import contextmanager

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)

from channels.telegram.wire import Flooded, NotNow, NotSent, TooLarge, seconds
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

REVOKED = (
    "Telegram refuses the token: get the valid one from @BotFather and set channels.telegram.token"
)
_GONE = (
    "message to edit not found", "message to delete not found", "message can't be edited",
    "message_id_invalid", "message identifier is not specified", "message not found",
)  # fmt: skip
_FORMAT = re.compile(r"can't parse (?:\w+ )?entit|entity|entities|message_entit", re.IGNORECASE)
_LONG = re.compile(r"(?:message|caption)(?: is |_)too[ _]long|message_too_long", re.IGNORECASE)
_IMAGE = re.compile(r"photo|image|wrong type of the web page", re.IGNORECASE)


class FormatRefused(Refused):
    """Certainly not taken, for its formatting: the same words may go once more as they are."""


class LengthRefused(Refused):
    """Certainly not taken, for its length."""


class ImageRefused(Refused):
    """Certainly not taken as a picture: the same bytes may go once more as a file."""


class NoText(Refused):
    """The message is a file with a caption: that is what can be changed."""


class Same(ChannelError):
    """The message already reads like this."""


@contextmanager
def translated() -> Generator[None]:
    """Around one call of the vendor's package: raises leaves of ChannelError alone."""
    try:
        yield
    except TelegramError as error:
        raise meaning(error) from None  # what is behind it may name an address with the token
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # It was answered with "ok", and the rest of the answer is not what the library knows.
        raise Ambiguous(f"an answer that cannot be read ({type(error).__name__})") from None


def meaning(error: TelegramError) -> ChannelError:
    """By the question whether it may have arrived. What nobody knows is ambiguous."""
    match error:
        case NotSent():
            return Unreachable(f"Telegram cannot be reached ({error.message})")
        case NotNow():
            return Unavailable(f"Telegram does not answer for now ({error.message})")
        case TooLarge():
            return Refused(error.message)
        case Flooded():
            return RateLimited(error.message, wait_s=error.wait_s)
        case RetryAfter():
            found = re.search(r"-?\d+(?:\.\d+)?", error.message)
            return RateLimited(error.message, wait_s=seconds(found[0] if found else None))
        case InvalidToken() | EndPointNotFound():
            return BadToken(REVOKED)
        case Forbidden():
            return Blocked(f"Telegram: {error.message}")
        case ChatMigrated():
            return Moved("the group has become a supergroup", to_chat=str(error.new_chat_id))
        case Conflict():
            return Unavailable(f"Telegram: {error.message}")
        case BadRequest():
            return _of_bad_request(error.message)
        case _:
            return Ambiguous(f"Telegram: {error.message}")


def _of_bad_request(message: str) -> ChannelError:
    said = message.lower()
    if "not modified" in said:
        return Same(message)
    if "no text in the message" in said:
        return NoText(message)
    if any(gone in said for gone in _GONE):
        return Missing(message)
    if _LONG.search(said):
        return LengthRefused(message)
    if _FORMAT.search(said):
        return FormatRefused(message)
    if _IMAGE.search(said):
        return ImageRefused(message)
    return Refused(f"Telegram: {message}")
