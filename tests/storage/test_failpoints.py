"""Failpoints: nothing by default, what the variable says otherwise."""

import os
import subprocess
import sys

import pytest

from storage.failpoints import Failure, parse, reach

SCRIPT = """
import asyncio
from storage.failpoints import FailpointReached, reach, reach_async
reach("X1")
asyncio.run(reach_async("X2"))
try:
    reach("X3")
except FailpointReached as error:
    print("raised", error, flush=True)
asyncio.run(reach_async("X4"))
print("alive")
"""


def run(failpoints: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"TANDEM_FAILPOINTS": failpoints}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_a_failpoint_that_nobody_switched_on_does_nothing() -> None:
    """In production every failpoint is passed by."""
    reach("K3")

    assert run("").stdout == "alive\n"


def test_each_action_does_what_it_says() -> None:
    """A sleep passes, a raise can be caught, a crash leaves no time for anything."""
    done = run("X1=sleep:0.01, X2=sleep:0, X3=raise, X4=crash")

    assert done.stdout == "raised X3\n"
    assert done.returncode == -9


def test_a_list_of_failures_is_read() -> None:
    """Names, actions and seconds, with or without spaces."""
    assert parse("K3=crash, O2=sleep:5 ,B4=raise,") == {
        "K3": Failure("crash"),
        "O2": Failure("sleep", 5.0),
        "B4": Failure("raise"),
    }


@pytest.mark.parametrize("text", ["K3", "K3=explode", "K3=sleep:soon"])
def test_a_mistyped_failure_is_refused(text: str) -> None:
    """A test that switches nothing on must not pass for that reason."""
    with pytest.raises(ValueError, match=r"TANDEM_FAILPOINTS|could not convert"):
        parse(text)
