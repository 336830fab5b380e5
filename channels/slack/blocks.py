"""A message as Slack's blocks. Pure.

Words go into `rich_text`, which Slack shows to the letter: no mention, no markup, no preview can
come of them. Only sources are `mrkdwn`, because a small line with links can be nothing else.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from channels.slack import mrkdwn
from channels.slack.fields import Json, inside, many, word
from gateway.messages import Button, OutboundMessage
from rag.types import Citation

T = TypeVar("T")
Block = dict[str, Any]

EVENT_TYPE = "tandem_delivery"  # of the metadata that every post of ours carries
ACTION = "tandem:"  # before the action of a button
BUTTONS_PER_BLOCK = 5
SOURCES_PER_BLOCK = 10
LABEL_CHARS_MAX = 75  # of a button
TITLE_CHARS_MAX = 200  # of a source, in the small line below a text
# Screen readers and notifications read the plain text beside the blocks. Near 13,200 characters
# in all Slack refuses a post, so the plain one gives way, and only where escaping swells it.
PLAIN_CHARS_MAX = 8_000


def metadata(delivery_id: str) -> dict[str, Any]:
    """What our posts can be found by: Slack has no key that makes a repeat harmless."""
    return {"event_type": EVENT_TYPE, "event_payload": {"delivery_id": delivery_id}}


def mark(delivery_id: str) -> str:
    """The same proof as the first block's id: a message with files has no metadata."""
    return f"{EVENT_TYPE}:{delivery_id}"


def is_of(message: Json, delivery_id: str) -> bool:
    """Whether a message from the history is the post of that delivery."""
    payload = inside(inside(message, "metadata"), "event_payload")
    if payload.get("delivery_id") == delivery_id:
        return True
    found = [word(block, "block_id") for block in many(message, "blocks")]
    return any(one.partition("/")[0] == mark(delivery_id) for one in found)


def blocks(message: OutboundMessage) -> list[Block]:
    """Text, sources, buttons, from top to bottom."""
    made = [*_texts(message), *_sources(message.citations), *_buttons(message.buttons)]
    name = mark(message.delivery_id)
    return [{**block, "block_id": f"{name}/{n}"} for n, block in enumerate(made)]


def plain_text(message: OutboundMessage) -> str:
    """What notifications and screen readers say, escaped."""
    text, most = message.text, PLAIN_CHARS_MAX
    while len(escaped := mrkdwn.escape(text)) > most:
        text = text[: min(len(text) - 2, len(text) * most // len(escaped))] + "…"
    return escaped


def _texts(message: OutboundMessage) -> Iterator[Block]:
    text = message.text
    if any(len(button.label) > LABEL_CHARS_MAX for button in message.buttons):
        lines = (f"{n}. {button.label}" for n, button in enumerate(message.buttons, 1))
        text = "\n".join([text, *lines])
    if text:
        section = {
            "type": "rich_text_section",
            "elements": [_piece(*one) for one in mrkdwn.links(text)],
        }
        yield {"type": "rich_text", "elements": [section]}


def _piece(text: str, is_url: bool) -> Block:
    return {"type": "link", "url": text} if is_url else {"type": "text", "text": text}


def _sources(citations: Sequence[Citation]) -> Iterator[Block]:
    for some in _in_groups(citations, SOURCES_PER_BLOCK):
        yield {"type": "context", "elements": [_source(citation) for citation in some]}


def _source(citation: Citation) -> Block:
    title = _cut(citation.title, TITLE_CHARS_MAX)
    if citation.url and mrkdwn.is_linkable(citation.url):
        url = mrkdwn.escape(citation.url)
        return {"type": "mrkdwn", "text": f"[{citation.n}] <{url}|{mrkdwn.literal(title)}>"}
    return {"type": "plain_text", "text": f"[{citation.n}] {title}", "emoji": False}


def _buttons(buttons: Sequence[Button]) -> Iterator[Block]:
    long = any(len(button.label) > LABEL_CHARS_MAX for button in buttons)
    numbered = [
        (f"{n}. {one.label}" if long else one.label, one) for n, one in enumerate(buttons, 1)
    ]
    for some in _in_groups(numbered, BUTTONS_PER_BLOCK):
        yield {"type": "actions", "elements": [_button(label, one) for label, one in some]}


def _button(label: str, button: Button) -> Block:
    text = {
        "type": "plain_text",
        "text": _cut(label or button.action, LABEL_CHARS_MAX),
        "emoji": False,
    }
    return {
        "type": "button", "action_id": f"{ACTION}{button.action}", "value": button.action,
        "text": text,
    }  # fmt: skip


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"


def _in_groups(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
