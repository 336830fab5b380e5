"""One HTTP request for one call, and what is known of it when it fails: did bytes leave?

The vendor's package takes what comes in from here. It never sees what it would misread: a wait of
any shape, a server's error page, an answer without a result.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, cast

import httpx
from telegram.error import NetworkError, TelegramError
from telegram.request import BaseRequest, RequestData

CONNECT_WAIT_S = 5.0
WRITE_WAIT_S = 10.0
UPLOAD_WAIT_S = 60.0  # of a request that carries a file
POOL_WAIT_S = 1.0
CONNECTIONS_MAX = 64
ANSWER_BYTES_MAX = 21_000_000  # a file has 20 MB at most, a hundred updates far less
RETRY_WAIT_S = 5.0  # where the far end asks to wait and does not say how long
RETRY_WAIT_S_MAX = 3_600.0

_SENDING = "send_request_headers.started"  # of httpcore's trace: from here on bytes may have left

TellDate = Callable[[datetime], None]


class NotSent(NetworkError):
    """Not a byte left."""


class Unclear(NetworkError):
    """Bytes left, and no answer came that says what became of them."""


class NotNow(NetworkError):
    """Answered on the way, or by Telegram itself, that it was not done."""


class TooLarge(NetworkError):
    """Our request, or the answer to it, is larger than what is taken."""


class Flooded(TelegramError):
    """We are to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"asked to wait {wait_s:g} s")
        self.wait_s = wait_s


class Wire(BaseRequest):
    """The library's way to the network. Raises the errors above, never one with an address in it:
    Telegram's addresses carry the token."""

    def __init__(self, *, read_wait_s: float, tell_date: TellDate) -> None:
        self._read_wait_s = read_wait_s
        self._tell_date = tell_date
        self._client: httpx.AsyncClient | None = None
        self._calls = 0
        self._kept = False

    @property
    def read_timeout(self) -> float:
        return self._read_wait_s

    async def initialize(self) -> None:
        """Connections are kept from now on, until `shutdown`."""
        self._kept = True

    async def shutdown(self) -> None:
        """End the connections; those of calls that are on their way end with the last of them."""
        self._kept = False
        await self._close_unused()

    @asynccontextmanager
    async def _lent(self) -> AsyncGenerator[httpx.AsyncClient]:
        """The client, for one call."""
        if self._client is None:
            self._client = httpx.AsyncClient(limits=httpx.Limits(max_connections=CONNECTIONS_MAX))
        self._calls += 1
        try:
            yield self._client
        finally:
            self._calls -= 1
            await self._close_unused()

    async def _close_unused(self) -> None:
        if self._client is not None and not self._kept and not self._calls:
            client, self._client = self._client, None
            await client.aclose()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        *_waits: Any,
        **waits: Any,
    ) -> tuple[int, bytes]:
        """Status and body of an answer that the library can read. Raises the errors above.

        Of the waits that the library hands down only `read_timeout` is listened to.
        """
        left: list[str] = []

        async def trace(event: str, _info: object) -> None:
            if event.endswith(_SENDING):
                left.append(event)

        files = request_data.multipart_data if request_data else None
        try:
            async with self._lent() as client, client.stream(
                method, url, data=request_data.json_parameters if request_data else None,
                files=cast("Any", files or None),
                timeout=self._waits(waits.get("read_timeout"), upload=bool(files)),
                extensions={"trace": trace},
            ) as response:  # fmt: skip
                body = await _whole(response, is_file=method == "GET")
        except httpx.HTTPError as error:
            raise (Unclear if left else NotSent)(type(error).__name__) from None
        if (date := _date(response)) is not None:
            self._tell_date(date)
        return response.status_code, _readable(method, response, body)

    def _waits(self, read_wait: object, *, upload: bool) -> httpx.Timeout:
        given = isinstance(read_wait, int | float)
        return httpx.Timeout(
            connect=CONNECT_WAIT_S, pool=POOL_WAIT_S,
            read=float(read_wait) if given else self._read_wait_s,
            write=UPLOAD_WAIT_S if upload else WRITE_WAIT_S,
        )  # fmt: skip

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        """As the library's own, which would write a body that is no JSON into the log."""
        try:
            return json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise TelegramError("Invalid server response") from None


async def _whole(response: httpx.Response, *, is_file: bool) -> bytes:
    taken = bytearray()
    async for piece in response.aiter_bytes():
        taken += piece
        if len(taken) > ANSWER_BYTES_MAX:
            kind = TooLarge if is_file else Unclear
            raise kind(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
    return bytes(taken)


def _readable(method: str, response: httpx.Response, body: bytes) -> bytes:
    """`body`, if the library reads it rightly; else what it means is raised here."""
    status = response.status_code
    if method == "GET":  # a file
        if status != HTTPStatus.OK:
            raise NotNow(f"the file cannot be fetched: HTTP {status}")
        return body
    said = _table(body)
    if response.is_success:
        if said is None or said.get("ok") is not True or "result" not in said:
            raise Unclear("answered without a result")
        return body
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        told = _inner(said, "parameters").get("retry_after", response.headers.get("retry-after"))
        raise Flooded(seconds(told))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise TooLarge("more than Telegram takes")
    if response.is_server_error:
        refused = status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in response.headers
        raise (NotNow if refused else Unclear)(f"HTTP {status}")
    if said is None:
        raise NotNow(f"HTTP {status} from something that is not Telegram")
    return _plain(said)


def _plain(said: dict[str, Any]) -> bytes:
    """An error without parameters of a shape that the library does not expect."""
    to_chat = _inner(said, "parameters").get("migrate_to_chat_id")
    return json.dumps({
        "ok": False, "description": str(said.get("description", ""))[:500],
        "parameters": {"migrate_to_chat_id": to_chat} if isinstance(to_chat, int) else None,
    }).encode()  # fmt: skip


def _table(body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None


def _inner(said: dict[str, Any] | None, name: str) -> dict[str, Any]:
    inner = (said or {}).get(name)
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}


def seconds(told: object) -> float:
    """A wait of any shape as one between 0 and an hour; 5 s where it says nothing."""
    try:
        wait_s = float(str(told))
    except ValueError:
        return RETRY_WAIT_S
    if not wait_s >= 0:  # negative, or not a number
        return RETRY_WAIT_S
    return min(wait_s, RETRY_WAIT_S_MAX)


def _date(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
