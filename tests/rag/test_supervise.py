"""The librarian process comes back when it dies, and never outlives its parent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rag.supervise import RestartLimits, Supervised

QUICK = RestartLimits(wait_s_min=0.01, wait_s_max=0.02, stop_wait_s=0.3)
PATIENT = "import time; time.sleep(60)"


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - processes offer nothing to wait for
            await asyncio.sleep(0.01)


async def test_a_killed_child_is_started_again() -> None:
    """kill -9 gives a new process with another id."""
    child = Supervised([sys.executable, "-c", PATIENT], limits=QUICK)
    task = asyncio.create_task(child.run())
    await _until(lambda: child.pid)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await _until(lambda: child.pid not in (None, first))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert child.starts == 2
    assert child.pid is None


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    """SIGTERM first; who ignores it does not hold up the end."""
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    child = Supervised([sys.executable, "-c", code], limits=QUICK)
    task = asyncio.create_task(child.run())
    await _until(ready.exists)
    pid = child.pid
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert pid is not None
    assert _state(pid) == "gone"


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    """kill -9 of the parent leaves no orphan behind."""
    child = (
        "import os, sys, time, pathlib; from rag.supervise import die_with;"
        "die_with(int(sys.argv[1])); pathlib.Path(sys.argv[2]).write_text(str(os.getpid()));"
        "time.sleep(60)"
    )
    note = tmp_path / "pid"
    parent = (
        "import os, subprocess, sys, time, pathlib;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid()), {str(note)!r}]);"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    while not note.exists() or not note.read_text():
        assert process.poll() is None
    pid = int(note.read_text())
    process.kill()
    process.wait()
    state = _state(pid)
    while state not in ("gone", "Z"):  # a zombie is dead: whoever adopted it has yet to notice
        state = _state(pid)

    assert state in ("gone", "Z")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"
