"""Keeps a child process running: started again when it dies, ended with its parent."""

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

log = structlog.get_logger()
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartLimits:
    """Waits double from `wait_s_min` to `wait_s_max`; a child that lived `steady_s` starts over."""

    wait_s_min: float = 0.5
    wait_s_max: float = 30.0
    steady_s: float = 60.0
    stop_wait_s: float = 10.0  # between SIGTERM and SIGKILL


class Supervised:
    """One child process and the task that keeps it running."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        limits: RestartLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = tuple(command)
        self._environ = None if environ is None else dict(environ)
        self._limits = limits or RestartLimits()
        self._clock = clock
        self._child: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Of the child that runs now."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    async def run(self) -> None:
        """Run the child until cancelled; then it is asked to end, and ended."""
        wait_s = self._limits.wait_s_min
        try:
            while True:
                started = self._clock()
                try:
                    code = await self._run_once()
                except OSError as error:  # no memory, no descriptors: perhaps later
                    code = str(error)
                if self._clock() - started >= self._limits.steady_s:
                    wait_s = self._limits.wait_s_min
                log.warning("child ended", command=self._command[-1], code=code, wait_s=wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, self._limits.wait_s_max)
        finally:
            await self._stop()

    async def _run_once(self) -> int:
        self.starts += 1
        # A session of its own: Ctrl and C in the terminal reach the parent alone, which ends it.
        self._child = await asyncio.create_subprocess_exec(
            *self._command, env=self._environ, start_new_session=True
        )
        return await self._child.wait()

    async def _stop(self) -> None:
        child = self._child
        if child is None or child.returncode is not None:
            return
        child.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(child.wait()), self._limits.stop_wait_s)
        except TimeoutError:
            log.warning("child killed", command=self._command[-1], pid=child.pid)
            child.kill()
            await child.wait()


def die_with(parent: int) -> None:
    """Let the kernel kill this process when `parent`, which started it, is gone.

    Called by the child itself, so that nothing runs between fork and exec in a parent with threads.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it went before we asked
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
