"""How the bot is, from memory, in words that say what to do. Pure but for the clock it is given."""

from datetime import datetime, timedelta
from typing import Literal

from gateway.ports import Clock

SKEW_MAX = timedelta(minutes=5)
SILENCE_MAX = timedelta(seconds=60)

Part = Literal["token", "polling", "webhook"]


class Condition:
    """What the calls to Telegram have shown so far."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._troubles: dict[Part, str] = {}
        self._answered_at: datetime | None = None
        self._silent_since: datetime | None = clock()  # nobody has answered yet
        self._why_silent = "no call was made"
        self._ahead = timedelta(0)

    def answered(self) -> None:
        """A call was answered as it should be."""
        self._answered_at, self._silent_since = self._clock(), None

    def unanswered(self, why: str) -> None:
        """A call ended without a useful answer."""
        self._silent_since = self._silent_since or self._clock()
        self._why_silent = why

    def ails(self, part: Part, trouble: str) -> None:
        """Something is wrong until `well` says otherwise. `trouble` says what to do."""
        self._troubles[part] = trouble

    def well(self, part: Part) -> None:
        self._troubles.pop(part, None)

    def saw_date(self, theirs: datetime) -> None:
        """What Telegram's clock said a moment ago."""
        self._ahead = self._clock() - theirs

    def said(self) -> str:
        """ "ok", or everything that is wrong."""
        found = [*self._troubles.values(), *self._silence(), *self._skew()]
        return "; ".join(found) or "ok"

    def _silence(self) -> list[str]:
        since = self._silent_since
        if since is None or self._clock() - since <= SILENCE_MAX:
            return []
        last = f"{self._answered_at:%Y-%m-%d %H:%M} UTC" if self._answered_at else "never so far"
        said = f"Telegram does not answer ({self._why_silent}); it last did: {last}."
        return [f"{said} Check that this machine reaches the setting channels.telegram.api_url"]

    def _skew(self) -> list[str]:
        if abs(self._ahead) <= SKEW_MAX:
            return []
        minutes = abs(self._ahead).total_seconds() / 60
        direction = "ahead of" if self._ahead > timedelta(0) else "behind"
        said = f"this machine's clock is {minutes:.0f} minutes {direction} Telegram's"
        return [f"{said}: set it right, best by NTP"]
