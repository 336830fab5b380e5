"""Named places in the code where a test may make the process fail; free of charge otherwise.

`TANDEM_FAILPOINTS="K3=crash,O2=sleep:5,B4=raise"` switches some on for a whole process. The letter
of a name says where it is: I in, B bot, O out, H hand-over, K knowledge.
"""

import asyncio
import functools
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

VARIABLE = "TANDEM_FAILPOINTS"


class FailpointReached(RuntimeError):
    """Raised by a failpoint that is set to `raise`: stands for any error nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What happens at one place. `seconds` is for sleep only."""

    action: Literal["crash", "sleep", "raise"]
    seconds: float = 0.0


def reach(name: str) -> None:
    """Do what `name` is set to; nothing by default. A sleep blocks the thread."""
    if failure := _enabled().get(name):
        if failure.action == "sleep":
            time.sleep(failure.seconds)
        else:
            _fail(name, failure)


async def reach_async(name: str) -> None:
    """Like `reach`, for coroutines: a sleep lets the others run."""
    if failure := _enabled().get(name):
        if failure.action == "sleep":
            await asyncio.sleep(failure.seconds)
        else:
            _fail(name, failure)


def parse(text: str) -> dict[str, Failure]:
    """The failures that `text` asks for. Raises ValueError for anything it does not know."""
    failures: dict[str, Failure] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = part.partition("=")
        action, _, seconds = action.partition(":")
        if action == "crash" or action == "raise":
            failures[name] = Failure(action)
        elif action == "sleep":
            failures[name] = Failure(action, float(seconds))
        else:
            raise ValueError(f"{VARIABLE}: {part!r} is not NAME=crash, NAME=raise or NAME=sleep:S")
    return failures


def _fail(name: str, failure: Failure) -> None:
    if failure.action == "raise":
        raise FailpointReached(name)
    os.kill(os.getpid(), signal.SIGKILL)  # as an out-of-memory kill: no handler, no flush


@functools.cache
def _enabled() -> Mapping[str, Failure]:
    return parse(os.environ.get(VARIABLE, ""))
