"""Servers under measurement: started, waited for, loaded by a client process, and ended."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.client import Job, Result

ROOT = Path(__file__).resolve().parents[1]
START_WAIT_S = 60.0
STOP_WAIT_S = 30.0
LOAD_WAIT_S = 300.0


class Void(Exception):
    """A run that proves nothing: something acknowledged was lost, or a side was not durable."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `ready_s` passed from its start to its first good answer."""

    pid: int
    port: int
    ready_s: float

    def rss_mb(self) -> float:
        """Resident memory of the process now."""
        pages = Path(f"/proc/{self.pid}/statm")
        if pages.exists():
            return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        told = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, check=True, text=True
        )
        return int(told.stdout) / 2**10

    def talk(self, count: int) -> None:
        """Let some customers say something, whoever answers them."""
        self._run(Job(load="talk", port=self.port, clients=8, count=count, name="talk"))

    def load(self, job: Job) -> Result:
        """Let a client process do `job` here. Raises Void."""
        result = self._run(job)
        if result.lost:
            raise Void(f"{result.lost} of {job.count} {job.load} were lost")
        if (result.synchronous, result.journal) != (2, "wal"):
            raise Void(f"commits with synchronous={result.synchronous}, {result.journal}")
        return result

    def _run(self, job: Job) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.client"], input=msgspec.json.encode(job),
            stdout=subprocess.PIPE, check=True, timeout=LOAD_WAIT_S, cwd=ROOT,
        )  # fmt: skip
        return msgspec.json.decode(done.stdout, type=Result)


@contextmanager
def measured(app: str, folder: Path) -> Iterator[Server]:
    """A server of `benchmarks.serve`: product.hook, product.chat, floor.hook or floor.chat."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serve", app, str(folder), str(port)]
    with running(command, port, path="/figures", environ={}) as server:
        yield server


@contextmanager
def gateway(folder: Path, environ: dict[str, str]) -> Iterator[Server]:
    """`tandem serve --gateway-only`, exactly as an operator starts it."""
    port = free_port()
    settings = {"TANDEM_DATA_DIR": str(folder), "TANDEM_SERVER__PORT": str(port), **environ}
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--gateway-only"]
    with running(command, port, path="/health/ready", environ=settings) as server:
        yield server


@contextmanager
def running(
    command: Sequence[str], port: int, *, path: str, environ: dict[str, str]
) -> Iterator[Server]:
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environ, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(process, f"http://127.0.0.1:{port}{path}")
        yield Server(process.pid, port, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(STOP_WAIT_S)


def _wait_for(process: "subprocess.Popen[bytes]", url: str) -> None:
    give_up = time.monotonic() + START_WAIT_S
    while process.poll() is None and time.monotonic() < give_up:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"nothing answers at {url}; exit status {process.poll()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
