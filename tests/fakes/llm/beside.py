"""A fake model in a thread of its own, for tests whose other half is a process or a browser."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager

from tests.fakes.llm.server import FakeModel
from tests.fakes.serving import served


class ModelBeside:
    """A served model: `url` is its base address. Its events are set through `let`."""

    def __init__(self, model: FakeModel) -> None:
        self.model = model
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def let(self, event: asyncio.Event) -> None:
        """Set an event that a reply waits for."""
        self._loop.call_soon_threadsafe(event.set)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30), "the model did not start"

    def stop(self) -> None:
        self.let(self._end)
        self._thread.join(30)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with served(self.model.app) as url:
            self.url = f"{url}/v1"
            self._ready.set()
            await self._end.wait()


@contextmanager
def beside(model: FakeModel) -> Generator[ModelBeside]:
    """`model`, served until the block ends."""
    running = ModelBeside(model)
    running.start()
    try:
        yield running
    finally:
        running.stop()
