"""Slack's own markup, both ways. Pure.

Coming in, `<@U1>`, `<#C1|general>`, `<url|label>` and three entities become plain words. Going out,
nothing of ours may become markup: what is escaped here cannot ping, link or format.
"""

import re
from collections.abc import Iterator

from storage.text import repair_text

_MARKED = re.compile(r"<([^<>]*)>|&(amp|lt|gt);")
_ENTITY = re.compile(r"&(amp|lt|gt);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
# mrkdwn has no way to write these to the letter, so signs stand in that look like them.
_LOOKALIKES = str.maketrans("*_~`", "\u2217\uff3f\u223c\u02cb")
_URL = re.compile(r"https?://[^\s<>\"|\u3000-\u303f\uff00-\uffef]+")
_TRAILING = ".,;:!?)]}'*_~"


def plain(text: str, *, us: str = "") -> str:
    """What a person typed, without our own mention."""
    if us:
        text = re.sub(rf"\s*<@{re.escape(us)}(?:\|[^<>]*)?>[,:，：]?\s*", " ", text)
    return repair_text(_MARKED.sub(_said, text)).strip()


def mentions(text: str, us: str) -> bool:
    """Whether `text` names our bot."""
    return bool(us) and re.search(rf"<@{re.escape(us)}(?:\|[^<>]*)?>", text) is not None


def _said(found: re.Match[str]) -> str:
    if found[2]:
        return _ENTITIES[found[2]]
    target, _, label = found[1].partition("|")
    return _ENTITY.sub(lambda entity: _ENTITIES[entity[1]], _spoken(target, label))


def _spoken(target: str, label: str) -> str:
    sign = target[:1]
    if sign in ("@", "#"):
        return sign + (label.removeprefix(sign) or target[1:])
    if sign == "!":  # here, channel, subteam^S1, date^1392734382^{date}
        return label or "@" + target[1:].partition("^")[0]
    address = target.removeprefix("mailto:").removeprefix("tel:")
    return f"{label} ({address})" if label and label not in (address, target) else address


def escape(text: str) -> str:
    """`text` to the letter where markup is off; where it is on, it still pings nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def literal(text: str) -> str:
    """`text` as people read it where markup is on: not bold, no link, no ping."""
    return escape(text.translate(_LOOKALIKES))


def is_linkable(url: str) -> bool:
    """Whether `url` may stand in a link of ours: an http address that holds no markup."""
    return _URL.fullmatch(url) is not None


def links(text: str) -> Iterator[tuple[str, bool]]:
    """`text` in pieces, each with whether it is an address."""
    done = 0
    for found in _URL.finditer(text):
        url = found[0].rstrip(_TRAILING)
        if text[done : found.start()]:
            yield text[done : found.start()], False
        yield url, True
        done = found.start() + len(url)
    if text[done:]:
        yield text[done:], False
