"""A real server for browsers: uvicorn in a thread of this process, with a loop of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvicorn
from litestar import Litestar

T = TypeVar("T")


class Served:
    """An app on a free port of this machine, from `start` to `stop`. `stopping` is what its long
    polls wait for: without it the end waits for theirs."""

    def __init__(self, app: Litestar, stopping: asyncio.Event | None = None) -> None:
        self._stopping = stopping
        self._config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="warning", access_log=False, lifespan="on",
            proxy_headers=False, ws_max_size=65_536, ws_per_message_deflate=False,
            ws="websockets-sansio",
        )  # fmt: skip
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, port: int = 0) -> None:
        """Serve; `port` 0 takes a free one."""
        self._config.port = port
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready.clear()
        self._thread.start()
        assert self._ready.wait(30), "the server did not start"

    def stop(self) -> None:
        """End at once, as a restart would: sockets are closed with 1012. Ended already: nothing."""
        if not self._thread.is_alive():
            return
        if self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._server.should_exit = True
        self._thread.join(30)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's own loop, where its database lives."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = uvicorn.Server(self._config)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._server.serve())
            group.create_task(self._announce())

    async def _announce(self) -> None:
        while not self._server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self._ready.set()
