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
    """`count` things to do, `clients` at once. `name` keeps the ids of one job from another's."""

    load: Literal["hooks", "turns"]
    port: int
    clients: int
    count: int
    name: str


class Result(msgspec.Struct, kw_only=True):
    """`lost` was acknowledged and is not there, or was never answered; 0 or the run is void."""

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


async def take_turns(connection: Connection, waiting: Iterator[str]) -> list[float]:
    """How long each turn took whose reply was seen."""
    times: list[float] = []
    for token in waiting:
        for n in range(TURNS_PER_VISITOR):
            began = time.perf_counter()
            if await _turn(connection, token, n):
                times.append(time.perf_counter() - began)
    return times


async def _turn(connection: Connection, token: str, n: int) -> bool:
    body = json.dumps({"client_message_id": f"m{n}", "text": QUESTION}).encode()
    bearer = f"Bearer {token}"
    status, taken = await connection.ask(
        request("POST", "/chat/messages", body, Authorization=bearer)
    )
    if status != 201:
        return False
    after = json.loads(taken)["seq"]
    path = f"/chat/messages?after={after}&wait={ANSWER_WAIT_S}"
    status, page = await connection.ask(request("GET", path, Authorization=bearer))
    return status == 200 and any(item["author"] == "bot" for item in json.loads(page)["items"])


# Either


async def run(job: Job) -> Result:
    """Do the job; only what happens between the first request and the last answer is timed."""
    connections = [await connect(job.port) for _ in range(job.clients)]
    work: list[Awaitable[list[float]]]
    if job.load == "hooks":
        requests = iter(list(hooks(job)))
        work = [send_hooks(one, requests) for one in connections]
    else:
        tokens = iter(await visitors(job))
        work = [take_turns(one, tokens) for one in connections]
    before = await figures(job.port)
    began = time.perf_counter()
    times = sorted(took for some in await asyncio.gather(*work) for took in some)
    seconds = time.perf_counter() - began
    after = await figures(job.port)
    for connection in connections:
        connection.close()
    wanted = job.count if job.load == "hooks" else 2 * job.count
    unanswered = job.count - len(times)
    return Result(
        seconds=seconds, cpu_s=after.cpu_s - before.cpu_s,
        p50_ms=1_000 * statistics.median(times or [0.0]),
        p99_ms=1_000 * (times or [0.0])[len(times) * 99 // 100],
        lost=max(unanswered, wanted - (after.stored - before.stored)),
        synchronous=after.synchronous, journal=after.journal,
    )  # fmt: skip


async def figures(port: int) -> Figures:
    connection = await connect(port)
    _, body = await connection.ask(request("GET", "/figures"))
    connection.close()
    return msgspec.json.decode(body, type=Figures)


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    factory: Callable[[], Any] | None = uvicorn.Config(None).get_loop_factory()  # pyright: ignore[reportArgumentType]
    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(run(job))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
