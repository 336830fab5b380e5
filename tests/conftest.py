"""What every test shares: no network beyond this machine, and a clock that is turned by hand."""

import datetime as dt
import sys
from typing import Any

import pytest

from tests import needs

assert needs  # first of all: it cleans the environment

_LOCAL = ("127.", "::1", "localhost")


def _only_this_machine(event: str, args: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    address = args[1]
    if isinstance(address, tuple) and not str(address[0]).startswith(_LOCAL):
        raise PermissionError(f"a test tried to reach {address[0]}: the network is off")


sys.addaudithook(_only_this_machine)


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def turn(self, **by: float) -> None:
        """Go on by `timedelta(**by)`."""
        self.now += dt.timedelta(**by)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()
