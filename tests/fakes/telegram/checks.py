"""What Telegram refuses in a message: lengths in UTF-16 units, spans, buttons."""

from collections.abc import Sequence
from typing import Any

from tests.fakes.telegram.failures import bad

TEXT_UNITS_MAX, CAPTION_UNITS_MAX = 4_096, 1_024
BUTTONS_MAX, DATA_BYTES_MAX = 100, 64
_KINDS = {
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold",
    "italic", "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote",
    "code", "pre", "text_link", "text_mention", "custom_emoji",
}  # fmt: skip
_LINKS = ("https://", "http://", "tg://")


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, start: int, length: int) -> str:
    """The words of a span. Raises UnicodeDecodeError when it cuts a character in two."""
    raw = text.encode("utf-16-le")[start * 2 : (start + length) * 2]
    return raw.decode("utf-16-le")


def check_text(text: str, *, units_max: int = TEXT_UNITS_MAX) -> None:
    if not text.strip() and units_max == TEXT_UNITS_MAX:
        raise bad("message text is empty")
    if units(text) > units_max:
        kind = "message" if units_max == TEXT_UNITS_MAX else "message caption"
        raise bad(f"{kind} is too long")


def check_entities(text: str, entities: Sequence[dict[str, Any]]) -> None:
    """Every span lies within the text, on whole characters, and none crosses another."""
    for entity in entities:
        _check_entity(text, entity)
    for one in entities:
        for other in entities:
            if _crosses(one, other):
                raise bad("can't parse entities: spans cross each other")


def _check_entity(text: str, entity: dict[str, Any]) -> None:
    kind, start, length = entity.get("type"), entity.get("offset"), entity.get("length")
    if kind not in _KINDS:
        raise bad(f"can't parse entities: unsupported entity type {kind!r}")
    if not isinstance(start, int) or not isinstance(length, int) or start < 0 or length < 1:
        raise bad("can't parse entities: offset or length is no size")
    if start + length > units(text):
        raise bad("can't parse entities: entity ends outside of the text")
    try:
        words = cut(text, start, length)
    except UnicodeDecodeError:
        raise bad("can't parse entities: entity cuts a character") from None
    if not words.strip():
        raise bad("can't parse entities: entity is empty")
    if kind == "text_link" and not str(entity.get("url", "")).startswith(_LINKS):
        raise bad("can't parse entities: text_link without an address")


def _crosses(one: dict[str, Any], other: dict[str, Any]) -> bool:
    start, end = one["offset"], one["offset"] + one["length"]
    return start < other["offset"] < end < other["offset"] + other["length"]


def check_keyboard(markup: dict[str, Any]) -> None:
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list):
        raise bad("object expected as reply markup")
    buttons = [button for row in rows for button in row]
    if len(buttons) > BUTTONS_MAX:
        raise bad("reply markup is too long")
    for button in buttons:
        if not str(button.get("text", "")).strip():
            raise bad("text buttons are unallowed in the inline keyboard")
        data = button.get("callback_data")
        if data is None and "url" not in button:
            raise bad("text buttons are unallowed in the inline keyboard")
        if data is not None and not 1 <= len(str(data).encode()) <= DATA_BYTES_MAX:
            raise bad("BUTTON_DATA_INVALID")
