"""A Node program that serves a provider, from its first line of output to its end."""

import os
import socket
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.needs import emulators
from tests.running import until

HERE = Path(__file__).parent
END_WAIT_S = 10.0


def free_ports() -> int:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


@contextmanager
def served(words: Sequence[str], *, ready: str, log: Path, **variables: str) -> Generator[None]:
    """`node WORDS…`, until the block ends. `ready` is in the line it prints when it serves.

    Node itself is started, not npx and no shell: a signal to those would not reach it.
    """
    node = emulators()
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(node), *words],
            env={"PATH": os.environ["PATH"], **variables},
            cwd=HERE, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def is_ready() -> bool:
        assert process.poll() is None, f"{words[0]} ended: {log.read_text()}"
        return ready in log.read_text()

    try:
        until(is_ready, f"{words[0]} serves")
        yield
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(END_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
