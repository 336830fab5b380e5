"""The fakes' faults do what they say, over real HTTP."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.faults import Answer, Cut, Fault, Faults, Garbled, Held
from tests.fakes.serving import served


class Counter:
    """A provider that counts what it processed."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.processed = 0
        self.has_processed = asyncio.Event()
        self.app = web.Application()
        self.app.router.add_post("/send", self._send)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        async def call() -> web.StreamResponse:
            self.processed += 1
            self.has_processed.set()
            return web.json_response({"ok": True})

        return await self.faults.around(request, "send", call)


async def _status(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client, client.post(f"{url}/send") as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("fault", "processed"),
    [(Cut(processed=False), 0), (Cut(processed=True), 1), (Cut(processed=True, after_bytes=3), 1)],
)
async def test_a_cut_connection_gives_no_answer(fault: Fault, processed: int):
    """Whether the call was processed is known to the provider alone."""
    provider = Counter()
    provider.faults.plan("send", fault)
    async with served(provider.app) as url:
        with pytest.raises(aiohttp.ClientError):
            await _status(url)

    assert provider.processed == processed


async def test_faults_come_in_order_and_end():
    """An answer of its own, then nonsense after the work, then all is well."""
    provider = Counter()
    provider.faults.plan("send", Answer(503, "{}"), Garbled())
    async with served(provider.app) as url:
        first, second, third = [await _status(url) for _ in range(3)]

    assert first == (503, "{}")
    assert second[1].startswith("<html>")
    assert third == (200, '{"ok": true}')
    assert provider.processed == 2


async def test_a_held_answer_waits():
    """The call is done, the answer comes when the test says so."""
    provider, released = Counter(), asyncio.Event()
    provider.faults.plan("*", Held(released))
    async with served(provider.app) as url:
        asking = asyncio.create_task(_status(url))
        await provider.has_processed.wait()
        assert not asking.done()
        released.set()

        assert (await asking)[0] == 200
