"""The Chroma server as a child process: started, watched, restarted, and thrown away.

One owner for one folder: a second process on it would read stale data and slow down every write.
It asks for no credentials, so it listens on loopback only, on a port of its own choosing.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from rag.errors import IndexUnavailable
from storage.ids import new_id

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChromaLimits:
    """Of the server, and of the calls to it."""

    ready_wait_s: float = 30.0  # it takes 2-4 s on an idle machine
    stop_wait_s: float = 5.0
    restart_wait_s_max: float = 30.0
    query_wait_s: float = 3.0
    write_wait_s: float = 30.0
    rows_per_call: int = 1_000  # 5,461 is Chroma's own limit
    timeouts_max: int = 3  # in a row; then it hangs, and is killed


class ChromaServer:
    """`chroma run` on `folder`. Use it from the event loop of the main thread: on Linux the child
    dies with the thread that started it, so a killed librarian leaves no orphan."""

    def __init__(self, folder: Path, limits: ChromaLimits | None = None) -> None:
        self.folder = folder
        self.limits = limits or ChromaLimits()
        self.generation = 0  # of the running server: clients of an earlier one are stale
        self._port: int | None = None
        self._process: Process | None = None
        self._ready = asyncio.Event()
        self._tried = asyncio.Event()  # an attempt to start ended, well or not
        self._watch: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = f"port {self._port}" if self._ready.is_set() else "not ready"
        return f"<ChromaServer {self.folder} {state}>"

    @property
    def port(self) -> int:
        """Where it listens. Raises IndexUnavailable while it is not ready."""
        if self._port is None or not self._ready.is_set():
            raise IndexUnavailable("the vector index is starting")
        return self._port

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it, if need be, and keep it running. Raises IndexUnavailable if this attempt
        fails; more follow by themselves."""
        if self._watch is None:
            await asyncio.to_thread(_remove_leftovers, self.folder)
            self._watch = asyncio.create_task(self._keep_running())
        if not self._ready.is_set():
            self._tried.clear()
            await self._tried.wait()
        if not self._ready.is_set():
            raise IndexUnavailable("the vector index did not start")

    def kill(self) -> None:
        """End a server that hangs; a new one follows by itself."""
        self._ready.clear()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """End it for good."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        self._ready.clear()
        await self._end_process()

    async def wipe(self) -> None:
        """Start anew on an empty folder, whatever state the old one is in."""
        await self.stop()
        await asyncio.to_thread(_set_aside, self.folder)
        await self.start()

    async def _keep_running(self) -> None:
        wait_s = 0.5
        try:
            while True:
                try:
                    await self._launch()
                    wait_s = 0.5
                    code = await self._process.wait() if self._process else None
                    log.warning("index server ended", code=code)
                except IndexUnavailable as error:
                    log.warning("index server did not start", reason=str(error))
                    self._tried.set()
                self._ready.clear()
                await self._end_process()
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, self.limits.restart_wait_s_max)
        finally:
            await self._end_process()

    async def _launch(self) -> None:
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        self._port = _free_port()
        try:
            self._process = await asyncio.create_subprocess_exec(
                _executable(),
                *("run", "--path", str(self.folder)),
                *("--host", "127.0.0.1", "--port", str(self._port)),
                stdin=DEVNULL,
                stdout=DEVNULL,  # it prints at each request, and stalls on a full pipe
                stderr=DEVNULL,
                env=_environment(),
                preexec_fn=_die_with_parent(),
            )
        except OSError as error:
            raise IndexUnavailable(f"the vector index cannot be started: {error}") from error
        await self._until_ready(self._process, self._port)
        self.generation += 1
        self._ready.set()
        self._tried.set()

    async def _until_ready(self, process: Process, port: int) -> None:
        url = f"http://127.0.0.1:{port}/api/v2/heartbeat"
        try:
            async with (
                asyncio.timeout(self.limits.ready_wait_s),
                httpx.AsyncClient(trust_env=False) as client,
            ):
                while process.returncode is None:
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get(url)).status_code == 200:
                            return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise IndexUnavailable("the vector index does not answer") from None
        raise IndexUnavailable(f"the vector index ended at once with code {process.returncode}")

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self.limits.stop_wait_s):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _executable() -> str:
    beside = Path(sys.executable).with_name("chroma")
    return str(beside) if beside.exists() else shutil.which("chroma") or "chroma"


def _environment() -> dict[str, str]:
    """Ours without our secrets, and quiet."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    return ours | {"RUST_LOG": "warn"}


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: nothing may be loaded after it

    def ask_to_die() -> None:
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    return ask_to_die


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _set_aside(folder: Path) -> None:
    # Renaming works however broken the content is; deleting may then take its time.
    if folder.exists():
        aside = folder.with_name(f"{folder.name}.old-{new_id()}")
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    for aside in folder.parent.glob(f"{folder.name}.old-*"):
        shutil.rmtree(aside, ignore_errors=True)
