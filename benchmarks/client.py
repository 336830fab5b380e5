"""The load: a process of its own that speaks plain HTTP/1.1 over kept connections.

It is given a `Job` as JSON on standard input and prints a `Result` as JSON. It is as bare as it
can be: on two cores a comfortable client would be what is measured.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

import msgspec
import uvicorn

from benchmarks.figures import Figures
from benchmarks.hook import sign

QUESTION = "How long do I have to return something I bought?"
TURNS_PER_VISITOR = 5  # a usual conversation, and below the limit that stops two bots talking
ANSWER_WAIT_S = 20


class Job(msgspec.Struct, kw_only=True):
    """`count` things to do, `clients` at once. `name` keeps the ids of one job from another's.

    hooks: signed webhooks. turns: a message in, its reply read. talk: a message in, whatever comes.
    """

    load: Literal["hooks", "turns", "talk"]
    port: int
    clients: int
    count: int
    name: str


class Result(msgspec.Struct, kw_only=True):
    """`lost` was acknowledged and is not there, or was never answered; 0 or the run is void."""

    done: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    lost: int
    synchronous: int
    journal: str


class Connection(asyncio.Protocol):
    """One kept connection: a request goes out whole, its answer comes back whole."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        _, _, length = head.lower().partition(b"content-length: ")
        size = int(length.split(b"\r\n", 1)[0] or 0)
        if len(rest) >= size:
            self._buffer = b""
            self._answer.set_result((int(head[9:12]), rest[:size]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server hung up"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to one whole request."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # pyright: ignore[reportAttributeAccessIssue]
        return await self._answer

    def close(self) -> None:
        self._transport.close()


async def connect(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port
    )
    return connection


def request(verb: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{verb} {path} HTTP/1.1", "Host: localhost"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


# Signed webhooks: one request each


def hooks(job: Job) -> Iterator[bytes]:
    """Different events of as many chats as there are clients, signed."""
    stamp = str(int(time.time()))
    for n in range(job.count):
        event = {"event_id": f"{job.name}-{n}", "chat": f"c{n % job.clients}", "text": QUESTION}
        body = json.dumps(event).encode()
        yield request("POST", "/hook", body, X_Timestamp=stamp, X_Signature=sign(body, stamp))


async def send_hooks(connection: Connection, waiting: Iterator[bytes]) -> list[float]:
    """How long each took that was acknowledged."""
    times: list[float] = []
    for one in waiting:
        began = time.perf_counter()
        status, _ = await connection.ask(one)
        if status == 200:
            times.append(time.perf_counter() - began)
    return times


# Whole turns: a message in, and reading on until the reply is there


async def visitors(job: Job) -> list[str]:
    """Tokens of new visitors, enough for the job."""
    connection = await connect(job.port)
    ask = request("POST", "/chat/sessions", b"{}")
    tokens: list[str] = []
    for _ in range(-(-job.count // TURNS_PER_VISITOR)):
        _, body = await connection.ask(ask)
        tokens.append(json.loads(body)["token"])
    connection.close()
    return tokens


async def take_turns(connection: Connection, waiting: Iterator[str], *, wait_s: int) -> list[float]:
    """How long each turn took whose reply was seen."""
    times: list[float] = []
    for token in waiting:
        for n in range(TURNS_PER_VISITOR):
            began = time.perf_counter()
            if await _turn(connection, token, n, wait_s):
                times.append(time.perf_counter() - began)
    return times


async def _turn(connection: Connection, token: str, n: int, wait_s: int) -> bool:
    body = json.dumps({"client_message_id": f"m{n}", "text": QUESTION}).encode()
    bearer = f"Bearer {token}"
    status, taken = await connection.ask(
        request("POST", "/chat/messages", body, Authorization=bearer)
    )
    if status != 201:
        return False
    after = json.loads(taken)["seq"]
    path = f"/chat/messages?after={after}&wait={wait_s}"
    status, page = await connection.ask(request("GET", path, Authorization=bearer))
    return status == 200 and any(item["author"] == "bot" for item in json.loads(page)["items"])


# Either


async def run(job: Job) -> Result:
    """Do the job; only what happens between the first request and the last answer is timed."""
    connections = [await connect(job.port) for _ in range(job.clients)]
    work: list[Awaitable[list[float]]]
    if job.load == "hooks":
        requests = list(hooks(job))
        wanted, rows_each, waiting = len(requests), 1, iter(requests)
        work = [send_hooks(one, waiting) for one in connections]
    else:
        tokens = await visitors(job)
        wanted, rows_each, new = len(tokens) * TURNS_PER_VISITOR, 2, iter(tokens)
        wait_s = ANSWER_WAIT_S if job.load == "turns" else 0
        work = [take_turns(one, new, wait_s=wait_s) for one in connections]
    before = await figures(job.port)
    began = time.perf_counter()
    times = sorted(took for some in await asyncio.gather(*work) for took in some)
    seconds = time.perf_counter() - began
    after = await figures(job.port)
    for connection in connections:
        connection.close()
    stored = after.stored - before.stored
    return Result(
        done=len(times), seconds=seconds, cpu_s=after.cpu_s - before.cpu_s,
        p50_ms=1_000 * statistics.median(times or [0.0]),
        p99_ms=1_000 * (times or [0.0])[len(times) * 99 // 100],
        lost=max(wanted - len(times), wanted * rows_each - stored),
        synchronous=after.synchronous, journal=after.journal,
    )  # fmt: skip


async def figures(port: int) -> Figures:
    """What the server says of itself; nothing if it is a `tandem serve`, which has no such page."""
    connection = await connect(port)
    status, body = await connection.ask(request("GET", "/figures"))
    connection.close()
    if status != 200:
        return Figures(cpu_s=0.0, synchronous=0, journal="", stored=0)
    return msgspec.json.decode(body, type=Figures)


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    factory: Callable[[], Any] | None = uvicorn.Config(None).get_loop_factory()  # pyright: ignore[reportArgumentType]
    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(run(job))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
