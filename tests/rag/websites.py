"""A website on this machine that does what a test told it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HTML = "text/html; charset=utf-8"


@dataclass
class Site:
    """A web server on this machine that answers what it was told to, and remembers the heads."""

    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    endless: bool = False
    port: int = 0

    def put(self, path: str, body: bytes, kind: str = HTML, **headers: str) -> None:
        self.answers[path] = (200, {"content-type": kind} | headers, body)

    def lead(self, path: str, to: str) -> None:
        self.answers[path] = (302, {"location": to}, b"")

    def url(self, path: str, host: str = "shop.test") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        path = head.split()[1]
        status, headers, body = self.answers.get(path, (404, {"content-type": HTML}, b"no"))
        length = {} if self.endless else {"content-length": str(len(body))}
        lines = [f"HTTP/1.1 {status} x", *(f"{k}: {v}" for k, v in (headers | length).items())]
        writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode() + body)
        try:
            while self.endless:
                writer.write(b"<p>more</p>" * 10_000)
                await writer.drain()
            await writer.drain()
        except ConnectionError:
            pass
        writer.close()


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
