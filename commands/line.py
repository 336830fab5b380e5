"""Plain HTTP from the command line to a running server: over its admin socket, or its port."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from commands.failures import FAILED, NOT_READY, CommandFailed

WAIT_S = 35.0  # above the longest poll


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=WAIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Server:
    """A server at a socket's path or at an address. Blocks."""

    def __init__(self, where: Path | str, token: str = "") -> None:
        self._where = where
        self.token = token

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON it answers. Raises CommandFailed with its words."""
        connection = self._connection()
        headers = {"content-type": "application/json"} if body is not None else {}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, body=content, headers=headers)
            response = connection.getresponse()
            answer: Any = json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            text = f"the server does not answer ({type(error).__name__})"
            raise CommandFailed(text, NOT_READY) from None
        finally:
            connection.close()
        if response.status >= 400:
            said = (
                cast("dict[str, Any]", answer).get("detail") if isinstance(answer, dict) else None
            )
            raise CommandFailed(str(said or f"the server answered {response.status}"), FAILED)
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        if isinstance(self._where, Path):
            return _Unix(self._where)
        url = urlsplit(self._where)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        return kind(url.hostname or "", url.port, timeout=WAIT_S)
