"""Real Tandem processes for tests: the twins of embedder and index keep them light."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands.failures import CommandFailed
from commands.line import Server
from config.folders import Folders

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "cli.py"
WAIT_S = 60.0


def environ(data_dir: Path, **more: str) -> dict[str, str]:
    """The variables of a Tandem on twins, with nothing of this process's own settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    return own | {
        "TANDEM_DATA_DIR": str(data_dir),
        "TANDEM_SERVER__PORT": "0",
        "TANDEM_RAG__EMBEDDER__KIND": "hash",
        "TANDEM_RAG__INDEX__KIND": "memory",
        "COLUMNS": "200",
        **more,
    }


def tandem(
    variables: Mapping[str, str], *words: str, said: str = "", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        env=dict(variables), input=said, capture_output=True, text=True, timeout=WAIT_S, cwd=cwd,
        check=False,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started and says that it is ready."""

    process: subprocess.Popen[str]
    folders: Folders
    url: str
    output: Path

    def ready(self) -> dict[str, Any]:
        """What /health/ready says."""
        return Server(self.url).call("GET", "/health/ready")


@contextmanager
def running(variables: Mapping[str, str], words: Sequence[str] = ("serve",)) -> Generator[Running]:
    """A server with its librarian, until the block ends."""
    folders = Folders(Path(variables["TANDEM_DATA_DIR"]))
    folders.data_dir.mkdir(parents=True, exist_ok=True)
    output = folders.data_dir / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *words],
            env=dict(variables), stdout=file, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        )  # fmt: skip
    try:
        yield Running(process, folders, _url(process, folders, output), output)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Any, what: str) -> Any:
    """The first true value of `condition()`."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"it did not come: {what}")


def _url(process: subprocess.Popen[str], folders: Folders, output: Path) -> str:
    def ask() -> str | None:
        assert process.poll() is None, output.read_text()
        try:
            return Server(folders.admin_socket).call("GET", "/status")["local_url"]
        except CommandFailed:
            return None

    return until(ask, "the admin socket answers")
