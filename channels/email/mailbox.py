"""Our mailbox over IMAP. Blocks: every call belongs into a thread.

A mail counts as taken once it is marked as seen, and it is marked only after it was committed: a
crash in between brings it again, and its event id absorbs it.
"""

import contextlib
import hashlib
import selectors
import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

from channels.email.reading import ARRIVED, SHORTENED, headers_of
from channels.email.settings import NAME, Settings
from gateway.errors import BadToken, ChannelError, Refused, Unavailable, Unreachable
from gateway.messages import RawEvent

CONNECT_WAIT_S = 10.0
WHOLE, HEADERS, SIZE, DATE = b"BODY[]", b"BODY[HEADER]", b"RFC822.SIZE", b"INTERNALDATE"
LATER = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]")  # RFC 5530: not the login's fault


def digest_of(message_id: str) -> str:
    """How the events of mails with this id begin: they are found by it."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:16]


class Mailbox:
    """One connection to one folder. All raise Unreachable, Unavailable or BadToken."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None  # the library is not typed
        self._validity = 0
        self._idles = False
        self._busy = threading.Lock()
        self._closed = threading.Event()

    def open(self, folder: str, *, readonly: bool = False) -> None:
        """Connect, log in, and choose a folder."""
        settings = self._settings
        with self._busy, _errors(settings.imap_host):
            client = self._client = _connect(settings)
            if settings.imap_security == "starttls":
                client.starttls(ssl.create_default_context())
            _log_in(client, settings)
            chosen = client.select_folder(folder, readonly=readonly)
            self._validity = int(chosen.get(b"UIDVALIDITY", 0))
            self._idles = client.has_capability("IDLE")

    def unseen(self) -> list[int]:
        """The mails that were not taken yet, the oldest first."""
        with self._speaking() as client:
            return sorted(client.search("UNSEEN"))

    def take(self, uid: int) -> RawEvent | None:
        """A mail as it came, still unseen; None when somebody removed it. One that is too large
        comes as its headers alone."""
        with self._speaking() as client:
            known = client.fetch([uid], [SIZE, DATE]).get(uid)
            if known is None:
                return None
            large = known[SIZE] > self._settings.mail_bytes_max
            wanted = HEADERS if large else WHOLE
            found = client.fetch([uid], [wanted.replace(b"BODY", b"BODY.PEEK")]).get(uid)
            if found is None:
                return None
            raw: bytes = found[wanted]
        place = f"{self._validity}:{uid}"
        arrived: datetime = known[DATE]
        headers = {ARRIVED: arrived.astimezone(UTC).isoformat()}
        return RawEvent(
            channel=NAME, account=self._settings.account, body=raw,
            external_id=f"{digest_of(headers_of(raw).message_id or place)}.{place}",
            headers=headers | ({SHORTENED: "yes"} if large else {}),
        )  # fmt: skip

    def mark(self, uid: int) -> None:
        """A mail was taken."""
        with self._speaking() as client:
            client.add_flags([uid], [b"\\Seen"], silent=True)

    def wait(self) -> bool:
        """Wait for something new; at once False where the server cannot say when."""
        if not self._idles:
            return False
        with self._speaking() as client:
            client.idle()
            # The library's own wait stumbles over a line that comes in two pieces. What is said
            # does not matter here: whatever it is, `unseen` asks next.
            with selectors.DefaultSelector() as waiting:
                waiting.register(client.socket(), selectors.EVENT_READ)
                waiting.select(self._settings.poll_s)
            client.idle_done()
        return True

    def raw(self, place: str) -> bytes:
        """The mail at a place that `take` gave. Raises Refused when it is not there any more."""
        validity, _, uid = place.partition(":")
        if int(validity) != self._validity:
            raise Refused("the mailbox was made anew: the mail is not known there any more")
        with self._speaking() as client:
            size = client.fetch([int(uid)], [SIZE]).get(int(uid))
            if size is None:
                raise Refused("the mail is not in the mailbox any more")
            if size[SIZE] > self._settings.mail_bytes_max:
                raise Refused("the mail is too large")
            return client.fetch([int(uid)], [b"BODY.PEEK[]"])[int(uid)][WHOLE]

    def holds(self, message_id: str) -> bool:
        """Whether a mail with that id is in the folder."""
        with self._speaking() as client:
            return bool(client.search(["HEADER", "Message-ID", message_id]))

    def close(self) -> None:
        """End the connection, also under a call that waits in another thread: it raises."""
        self._closed.set()
        client = self._client
        if client is None:
            return
        with contextlib.suppress(OSError):
            client.socket().shutdown(socket.SHUT_RDWR)
        with self._busy, contextlib.suppress(OSError):
            client.shutdown()

    @contextmanager
    def _speaking(self) -> Generator[Any]:
        with self._busy, _errors(self._settings.imap_host):
            if self._client is None or self._closed.is_set():
                raise Unreachable("the mailbox is closed")
            yield self._client


def _connect(settings: Settings) -> Any:
    from imapclient import IMAPClient, SocketTimeout  # pyright: ignore[reportMissingTypeStubs]

    client: Any = IMAPClient(
        settings.imap_host,
        port=settings.imap_port,
        ssl=settings.imap_security == "tls",
        ssl_context=ssl.create_default_context(),  # refuses what nobody vouches for
        timeout=cast("Any", SocketTimeout(CONNECT_WAIT_S, settings.wait_s)),
    )
    client.normalise_times = False  # times with their zone
    return client


def _log_in(client: Any, settings: Settings) -> None:
    from imapclient.exceptions import LoginError  # pyright: ignore[reportMissingTypeStubs]

    try:
        client.login(settings.login, settings.password.get_secret_value())
    except LoginError as error:
        said = str(error)
        if any(word in said.upper() for word in LATER):
            raise Unavailable(f"the mailbox cannot be opened now: {said}") from error
        raise BadToken(f"the mailbox refuses the login: {said}") from error


@contextmanager
def _errors(host: str) -> Generator[None]:
    """What the library and the network raise, as the gateway's errors."""
    from imapclient.exceptions import IMAPClientError  # pyright: ignore[reportMissingTypeStubs]

    try:
        yield
    except ChannelError:
        raise
    except IMAPClientError as error:
        raise Unavailable(f"{host} said: {error}") from error
    except OSError as error:
        raise Unreachable(f"no mailbox at {host}: {error}") from error
