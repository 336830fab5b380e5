"""What people see of a message: its words, who is pinged, what is formatted, what is previewed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_PING = re.compile(r"<(?:@[UW][^>]*|!(?:channel|here|everyone)[^>]*|!subteam\^[^>]*)>")
_LINK = re.compile(r"<([^<>|@#!][^<>|]*)(?:\|([^<>]*))?>")
_BOLD = re.compile(r"(?<![\w*])\*(?=\S)[^*\n]+(?<=\S)\*(?![\w*])")
_ITALIC = re.compile(r"(?<![\w_])_(?=\S)[^_\n]+(?<=\S)_(?![\w_])")
_STRUCK = re.compile(r"(?<![\w~])~(?=\S)[^~\n]+(?<=\S)~(?![\w~])")
_CODE = re.compile(r"`[^`\n]+`")
_NAMES = re.compile(r"(?<!\w)@[A-Za-z][\w.-]*")


@dataclass
class Shown:
    """A message on a screen."""

    text: str = ""
    buttons: list[str] = field(default_factory=list[str])
    links: list[str] = field(default_factory=list[str])
    pings: list[str] = field(default_factory=list[str])
    markup: list[str] = field(default_factory=list[str])
    previews: bool = False


def shown(message: Json) -> Shown:
    """Blocks where there are any, else the text. Pings of the text count beside blocks, too."""
    screen = Shown()
    request = message.get("_request", {})
    plain = message.get("text") or ""
    blocks = message.get("blocks") or []
    lines = [line for block in blocks for line in _block(block, screen)]
    marked = request.get("mrkdwn") not in (False, "false")
    spoken = _mrkdwn(plain, Shown() if blocks or not marked else screen)
    screen.pings += [one for one in _PING.findall(plain) if one not in screen.pings]
    if request.get("link_names") in (True, 1, "1", "true"):
        screen.pings += _NAMES.findall(plain)
    screen.text = "\n".join(lines) if blocks else spoken
    screen.previews = (
        "bot_id" in message
        and not message.get("files")
        and not (request.get("unfurl_links") is False and request.get("unfurl_media") is False)
    )
    return screen


def _block(block: Json, screen: Shown) -> Iterator[str]:
    match block["type"]:
        case "rich_text":
            for section in block["elements"]:
                yield "".join(_rich(one, screen) for one in section["elements"])
        case "section":
            yield _object(block["text"], screen)
        case "context":
            yield "  ".join(_object(one, screen) for one in block["elements"])
        case "actions":
            screen.buttons += [one["text"]["text"] for one in block["elements"]]
        case other:
            raise AssertionError(f"the screen does not know {other} blocks")


def _rich(element: Json, screen: Shown) -> str:
    match element["type"]:
        case "text":
            if element.get("style"):
                screen.markup.append(element["text"])
            return element["text"]
        case "link":
            screen.links.append(element["url"])
            return element.get("text") or element["url"]
        case "user" | "usergroup" | "broadcast":
            screen.pings.append(str(element))
            return "@"
        case other:
            raise AssertionError(f"the screen does not know {other} elements")


def _object(text: Json, screen: Shown) -> str:
    return text["text"] if text["type"] == "plain_text" else _mrkdwn(text["text"], screen)


def _mrkdwn(text: str, screen: Shown) -> str:
    screen.pings += _PING.findall(text)
    screen.links += [found[0] for found in _LINK.findall(text)]
    text = _LINK.sub(lambda found: found[2] or found[1], text)
    for pattern in (_BOLD, _ITALIC, _STRUCK, _CODE):
        screen.markup += pattern.findall(text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
