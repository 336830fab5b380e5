"""The network at the other end of the wire channel: what it has shown, in order, for good."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Shown:
    """A text that a customer has on the screen."""

    id: str
    chat: str
    text: str
    delivery: str


class FarEnd:
    """Shows at once whatever it is sent; its answers can be late, or be held back chat by chat."""

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self.answer_after_s = 0.0
        self._changed = threading.Condition()
        self._held: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        cast("Any", self._server).far_end = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def hold(self, chat: str) -> None:
        """Show what comes for `chat`, and do not answer until `let_go`."""
        self._held.add(chat)

    def let_go(self) -> None:
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def deliveries(self, chat: str) -> list[str]:
        """Our ids of what that customer has on the screen, oldest first."""
        return [one.delivery for one in list(self.shown) if one.chat == chat]

    def stop(self) -> None:
        self.let_go()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, fields: dict[str, str]) -> str:
        """Put a message on its customer's screen; its id, when this network gets round to it."""
        with self._changed:
            shown = Shown(f"far-{len(self.shown)}", **fields)
            self.shown.append(shown)
            self._changed.wait_for(lambda: shown.chat not in self._held)
        time.sleep(self.answer_after_s)
        return shown.id

    def find(self, delivery: str) -> str | None:
        return next((one.id for one in list(self.shown) if one.delivery == delivery), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self._far_end.show(json.loads(body)))

    def do_GET(self) -> None:
        (delivery,) = parse_qs(urlsplit(self.path).query)["delivery"]
        self._answer(self._far_end.find(delivery))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing on the terminal."""

    @property
    def _far_end(self) -> FarEnd:
        return cast("Any", self.server).far_end

    def _answer(self, found: str | None) -> None:
        body = json.dumps({"id": found}).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # whoever asked has died meanwhile
            self.close_connection = True
