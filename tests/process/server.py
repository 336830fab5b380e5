"""Real Tandem processes: started, killed, started again, and looked at from outside.

A `Deployment` is a data folder and a port. Its processes are found dead or alive by the kernel's
own lists, and its stores are only ever read here.
"""

import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from commands.failures import CommandFailed
from commands.line import Server
from config.folders import Folders

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
TANDEM = str(Path(sys.executable).with_name("tandem"))
PATIENCE_S = 60.0  # in which a customer must hear something, on however busy a machine
POLL_S = 0.02
LOG_CHARS_MAX = 4_000


def until(
    find: Callable[[], T], what: str | Callable[[], str], *, within_s: float = PATIENCE_S
) -> T:
    """The first true value of `find`. Fails, naming `what` it waited for, after `within_s`."""
    give_up = time.monotonic() + within_s
    while not (found := find()):
        if time.monotonic() > give_up:
            pytest.fail(f"waited {within_s:g} s for {what if isinstance(what, str) else what()}")
        time.sleep(POLL_S)
    return found


class Process:
    """A running `tandem …` with all its children and theirs."""

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self._popen = popen
        self._log = log

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._popen.poll()

    @property
    def log(self) -> str:
        """What it printed, the end of it where it is long."""
        return self._log.read_text(errors="replace")[-LOG_CHARS_MAX:]

    def family(self) -> dict[int, str]:
        """The processes below this one by their ids, each with its command line."""
        return _below(self.pid)

    def member(self, word: str) -> int | None:
        """The id of the process below this one whose command line has `word` in it."""
        return next((pid for pid, line in self.family().items() if word in line), None)

    def kill(self) -> None:
        """kill -9; afterwards nothing that it started may be left."""
        family = self.family()
        self._popen.kill()
        self.wait()
        until(lambda: not [pid for pid in family if is_alive(pid)], f"the end of {family}")

    def terminate(self) -> None:
        """SIGTERM: it is asked to end."""
        self._popen.terminate()

    def wait(self, *, within_s: float = PATIENCE_S) -> int:
        """The code it exits with by itself; -9 after a failpoint's crash."""
        return self._popen.wait(within_s)

    def clean_up(self) -> None:
        """End it with everything below it, in whatever state a failed test left them."""
        family = self.family()
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Deployment:
    """A data folder and a port, and whatever processes work on them at the moment.

    `settings` are environment names without their prefix: `CHANNELS__WEB__ENABLED="false"`.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = _quiet_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {"RAG__EMBEDDER__KIND": "hash", "RAG__SAMPLE": "false", **settings}
        self._processes: list[Process] = []

    @property
    def librarian_socket(self) -> Path:
        return Folders(self.folder).librarian_socket

    def environ(self, failpoints: str = "", **more: str) -> dict[str, str]:
        """What a process of this deployment is started with; `more` are settings."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
        settings = {f"TANDEM_{name}": value for name, value in (self._settings | more).items()}
        return ours | settings | {
            "TANDEM_DATA_DIR": str(self.folder), "TANDEM_SERVER__PORT": str(self.port),
            "TANDEM_FAILPOINTS": failpoints, "PYTHONPATH": str(ROOT),
        }  # fmt: skip

    def start(self, *words: str, failpoints: str = "", **more: str) -> Process:
        """`tandem WORDS`, not waited for. What it prints goes to a file of its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{len(self._processes)}-{words[0]}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [TANDEM, *words], cwd=self.folder, env=self.environ(failpoints, **more),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        process = Process(popen, log)
        self._processes.append(process)
        return process

    def serve(self, *words: str, failpoints: str = "", **more: str) -> Process:
        """`tandem serve WORDS`, listening."""
        process = self.start("serve", *words, failpoints=failpoints, **more)
        until(lambda: self._answers() or process.code is not None, "the server to listen")
        assert process.code is None, process.log
        return process

    def gateway(self, failpoints: str = "", **more: str) -> Process:
        """The gateway process alone, listening."""
        return self.serve("--gateway-only", failpoints=failpoints, **more)

    def librarian(self, failpoints: str = "") -> Process:
        """The librarian process alone, its models loaded."""
        process = self.start("librarian", failpoints=failpoints)
        until(lambda: self._is_ready() or process.code is not None, "the librarian to be ready")
        assert process.code is None, process.log
        return process

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command from its start to its end."""
        return subprocess.run(
            [TANDEM, *words], cwd=self.folder, env=self.environ(), check=False,
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip

    def librarian_state(self) -> dict[str, Any]:
        """What the librarian says of itself; {} while nobody answers."""
        with contextlib.suppress(CommandFailed):
            return Server(self.librarian_socket).call("GET", "/health")
        return {}

    def health(self) -> dict[str, str]:
        """What the gateway says of each part: "ok" or what is wrong; {} while nobody answers."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/ready", trust_env=False).json()["parts"]
        return {}

    def rows(self, sql: str, *values: object, store: str = "gateway") -> list[sqlite3.Row]:
        """What a store holds right now. "gateway" or "knowledge", read-only."""
        address = f"file:{self.folder / store}.db?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()

    def clean_up(self) -> None:
        for process in self._processes:
            process.clean_up()

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/live", trust_env=False).status_code == 200
        return False

    def _is_ready(self) -> bool:
        return bool(self.librarian_state().get("ready"))


@contextlib.contextmanager
def deployed(folder: Path, **settings: str) -> Iterator[Deployment]:
    """A deployment whose processes are gone afterwards, whatever happens."""
    deployment = Deployment(folder, **settings)
    try:
        yield deployment
    finally:
        deployment.clean_up()


def is_alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _below(pid: int) -> dict[int, str]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{child}/cmdline").read_bytes()
                found[child] = line.replace(b"\0", b" ").decode(errors="replace").strip()
                waiting.append(child)
    return found


def _quiet_port() -> int:
    """A free port below those the kernel gives to outgoing connections: a restart finds it free."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
