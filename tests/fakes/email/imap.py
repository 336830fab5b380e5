"""pymap as the server of our mailbox: a process of its own, with mails in memory."""

import imaplib
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.running import until

END_WAIT_S = 10.0
START = "from pymap.main import main; main()"


@dataclass(frozen=True, slots=True)
class ImapServer:
    """The mailbox at `port`; these calls block, as the mail program of its owner would."""

    port: int
    user: str
    password: str

    def deliver(self, mail: bytes, folder: str = "INBOX", flags: str = "") -> None:
        """A mail arrives."""
        with self._entered() as client:
            client.append(folder, flags, "", mail)

    def make(self, folder: str) -> None:
        with self._entered() as client:
            client.create(folder)

    def unseen(self) -> int:
        """How many mails of the inbox nobody has read."""
        with self._entered() as client:
            client.select("INBOX", readonly=True)
            return len(client.search(None, "UNSEEN")[1][0].split())

    def empty(self) -> None:
        """Somebody tidies up: all mails go."""
        with self._entered() as client:
            client.select("INBOX")
            client.store("1:*", "+FLAGS", r"(\Deleted)")
            client.expunge()

    @contextmanager
    def _entered(self) -> Generator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=END_WAIT_S) as client:
            client.login(self.user, self.password)
            yield client


@contextmanager
def imap_served(user: str, password: str, log: Path, *, port: int = 0) -> Generator[ImapServer]:
    """A server until the block ends. A port of an earlier one makes it look restarted: its mails
    are gone, and the mailbox has another UIDVALIDITY."""
    server = ImapServer(port or _free_port(), user, password)
    with log.open("a") as file:
        process = subprocess.Popen(
            [
                sys.executable, "-c", START, "--host", "127.0.0.1", "--port", str(server.port),
                "--no-tls", "dict", "--demo-user", user, "--demo-password", password,
            ],
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as trying:
            return trying.connect_ex(("127.0.0.1", server.port)) == 0

    try:
        until(answers, "the mailbox answers")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
