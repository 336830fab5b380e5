"""What each channel can do, as the table of docs/channels.md: `python -m tests.channels.abilities`
prints it. It is made from the channels themselves, so the page cannot promise more than they do."""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from channels import Parts, Standing, open_channels
from gateway.feed import Feed
from gateway.files import Files
from gateway.ports import (
    Channel,
    Deletes,
    Edits,
    Fetches,
    Introduces,
    Invites,
    Reconciles,
    Reports,
    Types,
)
from gateway.store import Store
from storage.database import Database
from storage.ids import utc_now
from tests.channels.contract import names, section
from tests.gateway.world import phrases

Tell = Callable[[Channel], str]


def _text(channel: Channel) -> str:
    can = channel.capabilities
    unit = "UTF-16 units" if can.unit == "utf16" else "characters"
    return f"{can.text_units_max:,} {unit}"


def _buttons(channel: Channel) -> str:
    most = channel.capabilities.buttons_max
    return f"up to {most}" if most else "as numbered lines"


def _files(channel: Channel) -> str:
    most = channel.capabilities.attachment_bytes_max
    return f"up to {most // 1_000_000} MB" if most else "no"


def _proof(channel: Channel) -> str:
    if channel.capabilities.pulled:
        return "not needed: it reads our store"
    if isinstance(channel, Reconciles):
        return "is asked for"
    return "none: shown as unknown"


def _rates(channel: Channel) -> str:
    words = {"account": "in all", "chat": "a chat", "shared_chat": "a shared chat"}
    rates = (f"{rate.per_s:.2g}/s {words[rate.scope]}" for rate in channel.capabilities.rates)
    return ", ".join(rates) or "none"


def _yes(has: Callable[[Channel], bool]) -> Tell:
    return lambda channel: "yes" if has(channel) else "no"


ABILITIES: dict[str, Tell] = {
    "longest text, then parts": _text,
    "formatting": lambda channel: channel.capabilities.markup,
    "buttons": _buttons,
    "files to the customer": _files,
    "files from the customer": _yes(lambda channel: isinstance(channel, Fetches)),
    "our messages can be edited": _yes(lambda c: c.capabilities.edits and isinstance(c, Edits)),
    "our messages can be deleted": _yes(
        lambda c: c.capabilities.deletes and isinstance(c, Deletes)
    ),
    "shows that somebody types": _yes(lambda c: c.capabilities.typing and isinstance(c, Types)),
    "the bot's text replaces a placeholder": _yes(lambda c: c.capabilities.placeholders),
    "proof of an unconfirmed send": _proof,
    "can be entered by a link": _yes(lambda channel: isinstance(channel, Invites)),
    "knows more of an account": _yes(lambda channel: isinstance(channel, Introduces)),
    "own line in health": _yes(lambda channel: isinstance(channel, Reports)),
    "sends at most": _rates,
}
_FROM_OUR_STORE = {"our messages can be edited", "our messages can be deleted",
                   "shows that somebody types"}  # fmt: skip


def table(channels: dict[str, Channel]) -> str:
    """The abilities of `channels` as Markdown."""
    shown = [name for name in channels if name != "memory"]
    head = ["", *shown]
    rows = [
        [ability, *(_told(ability, tell, channels[name]) for name in shown)]
        for ability, tell in ABILITIES.items()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def _told(ability: str, tell: Tell, channel: Channel) -> str:
    can = channel.capabilities
    if can.pulled and ability in _FROM_OUR_STORE:  # it reads the change itself: no call is made
        return "yes" if (can.edits, can.deletes, can.typing) == (True, True, True) else "no"
    return tell(channel)


def built(folder: Path) -> dict[str, Channel]:
    """Every channel there is, from the smallest section it works with."""
    parts = Parts(
        store=Store(Database(f"sqlite:///{folder / 'none.sqlite'}"), Feed()),
        ingress=None,  # pyright: ignore[reportArgumentType] - nothing comes in here
        crossings=None,  # pyright: ignore[reportArgumentType] - and nobody goes elsewhere
        clock=utc_now, stopping=asyncio.Event(), standing=lambda *_: Standing(),
        files=Files(folder), phrases=phrases(),
    )  # fmt: skip
    return open_channels({name: section(name) for name in names()}, parts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(table(built(Path(folder))) + "\n")
