"""How the channel is, remembered from what happened, so that health answers at once.

And the ear: whether a connection that looks alive still brings events. Slack's Socket Mode can be
connected and deaf. A ping and its pong (the line looks after them every five seconds) prove the
wire, not the subscription behind it, and no call makes Slack send an event that nobody would see.
What can be observed is what should have been heard: every post of ours comes back as an event, and
lines that the history has and no event brought were missed. So each canary, once a minute, asks for
both; two misses in a row mean deaf. A new connection costs nothing, should it have been chance.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.ports import Clock

CLOCK_SKEW_S_MAX = 60.0  # Slack's signatures are refused from 300 s on
ECHO_WAIT = timedelta(seconds=10)
ECHOES_MAX = 100  # awaited at once; the oldest are forgotten
MISSES_MAX = 2


@dataclass(slots=True)
class Ear:
    """Counts canaries in a row that missed something."""

    clock: Clock
    misses: int = 0
    _awaited: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def connected(self) -> None:
        self.misses = 0
        self._awaited.clear()

    def posted(self, chat: str, ts: str) -> None:
        """A post of ours: its echo should come."""
        self._awaited[f"{chat}:{ts}"] = self.clock()
        while len(self._awaited) > ECHOES_MAX:
            self._awaited.pop(next(iter(self._awaited)))

    def heard(self, chat: str, ts: str) -> None:
        """An event of a post or a person came: the ear works."""
        self._awaited.pop(f"{chat}:{ts}", None)
        self.misses = 0

    def late(self) -> dict[str, datetime]:
        """The `ts` of posts whose echo should have come by now, each named once, and since when.
        Another process may have heard it: Slack tells each event over one line only."""
        now = self.clock()
        found = {key: at for key, at in self._awaited.items() if now - at >= ECHO_WAIT}
        for key in found:  # one echo is one miss: some never come, and that alone proves nothing
            del self._awaited[key]
        return {key.partition(":")[2]: at for key, at in found.items()}

    def canary(self, *, missed: bool) -> bool:
        """Count a look; whether the line is deaf by now. Called once a minute."""
        self.misses = self.misses + 1 if missed else 0
        return self.misses >= MISSES_MAX


@dataclass(slots=True)
class Wellness:
    """What an operator should know. Each text is empty while all is well."""

    token: str = ""
    reach: str = ""  # why Slack cannot be asked
    line: str = ""  # why Socket Mode has no connection, or a deaf one
    gap: str = ""  # why lines may be missing
    scopes: set[str] = field(default_factory=set[str])
    skew_s: float = 0.0
    last_event_at: datetime | None = None
    strangers: int = 0  # events of a workspace that is not ours, thrown away
    refused: int = 0  # requests that were not signed by Slack

    def refuse(self) -> bool:
        """Count a request that Slack did not sign; whether it is worth a line in the log, which
        strangers must not be able to flood."""
        self.refused += 1
        return self.refused.bit_count() == 1

    def report(self) -> str:
        """ "ok", or what is wrong and what helps."""
        found = [one for one in (self.token, self.reach, self.line, self.gap) if one]
        if self.scopes:
            named = ", ".join(sorted(self.scopes))
            found.append(f"the app lacks the scopes {named}: add them and install it again")
        if abs(self.skew_s) > CLOCK_SKEW_S_MAX:
            found.append(
                f"the clock of this machine is {self.skew_s:+.0f} s off Slack's: set it, Slack's"
                " events are refused from 300 s on"
            )
        if self.refused and self.last_event_at is None:
            found.append("requests come that were not signed with this signing secret")
        if found and self.last_event_at:
            found.append(f"the last event came at {self.last_event_at:%Y-%m-%d %H:%M:%S} UTC")
        return "; ".join(found) or "ok"
