"""Where a person can go on: the channels that can be entered by a link."""

from collections.abc import Collection, Mapping
from typing import cast

from gateway.messages import ACTIONS, Action, InboundMessage
from gateway.ports import Channel, Invites

_BUTTON = "continue_on-"


class Entrances:
    """The channels with a door. The mapping may be filled after this was made."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels

    def address(self, channel: str, code: str) -> str | None:
        """The link that brings its reader to `channel` with `code`; None where there is no door,
        or nobody knows (yet) where it is."""
        way_in = self._channels.get(channel)
        return way_in.invitation(code) if isinstance(way_in, Invites) else None

    def buttons(self, besides: Collection[str]) -> tuple[Action, ...]:
        """What can be pressed to go on elsewhere than on `besides`."""
        return tuple(
            cast("Action", _BUTTON + name)
            for name in self._channels
            if name not in besides
            and _BUTTON + name in ACTIONS
            and self.address(name, "code") is not None
        )

    def wanted(self, inbound: InboundMessage) -> str | None:
        """The channel that a customer wants to go on in: by the button, or by typing "/NAME"."""
        if inbound.action is not None:
            _, marked, name = inbound.action.partition(_BUTTON)
            return name if marked else None
        word = inbound.text.strip().lower()
        typed = word.removeprefix("/")
        return typed if word.startswith("/") and typed in self._channels else None
