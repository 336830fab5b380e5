"""Each item once, in order, whatever breaks in between."""

import asyncio
import json
import random
import socket as sockets
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from channels.web.outgoing import Outgoing, TooFarBehind
from storage.database import Database
from tests.browser.serving import Served
from tests.channels.customers import PollReader, SocketReader, begin, post
from tests.channels.site import Site
from tests.conftest import TurnedClock

CUTS = 50


async def test_socket_and_poll_see_the_same_items_once_over_fifty_cuts_and_a_restart(
    served: Served, site: Site, clock: TurnedClock
):
    """Two readers of one visitor, one on sockets that are cut and one on polls, while bot and
    people write; the server is replaced half-way."""
    token = await begin(served)
    await post(served, token, "c-0", text="a person, please")
    served.do(site.claim())
    by_socket, by_poll = SocketReader(served, token), PollReader(served, token)
    dice = random.Random(7)
    said = 3
    for cut in range(CUTS):
        if cut == CUTS // 2:
            served, site = _restarted(served, site, clock)
            by_socket.served = by_poll.served = served
        more = dice.randint(1, 3)
        for number in range(more):
            served.do(site.say(f"line {cut}.{number}"))
        said += more
        await asyncio.gather(by_socket.read(items=dice.randint(0, more)), by_poll.read(0))
    await by_socket.read(items=said - len(by_socket.seen))
    await by_poll.read(0)
    served.stop()
    site.world.store.database.close()

    assert [seq for seq, _ in by_socket.seen] == list(range(1, said + 1))
    assert by_socket.seen == by_poll.seen


def _restarted(served: Served, site: Site, clock: TurnedClock) -> tuple[Served, Site]:
    """Another server on the same store, as after a deployment."""
    served.stop()
    again = Site(Database(site.world.store.database.url), clock)
    replaced = Served(again.app)
    replaced.start()
    return replaced, again


async def test_a_reader_who_does_not_read_is_let_go(tight: Served, tight_site: Site):
    """Far behind and not catching up: the socket is closed, and a new one goes on from there."""
    token = await begin(tight)
    await post(tight, token, "c-0", text="a person, please")
    tight.do(tight_site.claim())
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
    raw.connect(("127.0.0.1", tight.port))
    async with connect("ws://127.0.0.1/chat/socket", sock=raw, proxy=None, max_queue=1) as slow:
        await slow.send(json.dumps({"token": token, "after": 0}))
        for number in range(80):
            tight.do(tight_site.say(f"{number} " + "字" * 39_000))
        await asyncio.sleep(1.0)  # five times the patience it is shown
        with pytest.raises(ConnectionClosed):  # reading at last, it finds an early end
            await _receive(slow, frames=90)
    again = SocketReader(tight, token)
    await again.read(items=83)

    assert [seq for seq, _ in again.seen] == list(range(1, 84))


async def _receive(connection: ClientConnection, *, frames: int) -> None:
    for _ in range(frames):
        await connection.recv()


@pytest.fixture
def tight_site(database: Database, clock: TurnedClock) -> Site:
    return Site(database, clock, behind_bytes_max=65_536, behind_wait_s=0.2)


@pytest.fixture
def tight(tight_site: Site) -> Iterator[Served]:
    served = Served(tight_site.app)
    served.start()
    yield served
    served.stop()


async def test_frames_go_out_in_order():
    """What is put first is sent first."""
    sent: list[bytes] = []

    async def send(frame: bytes) -> None:
        await asyncio.sleep(0)
        sent.append(frame)

    outgoing = Outgoing(send, bytes_max=10, wait_s=5)
    running = asyncio.create_task(outgoing.run())
    for number in range(100):
        await outgoing.put(b"%03d" % number)
    while len(sent) < 100:  # noqa: ASYNC110
        await asyncio.sleep(0)
    running.cancel()

    assert sent == [b"%03d" % number for number in range(100)]


async def test_a_full_queue_gives_up_after_its_wait():
    """A far end that takes nothing holds at most the limit and one frame."""

    async def never(frame: bytes) -> None:
        await asyncio.Event().wait()

    outgoing = Outgoing(never, bytes_max=10, wait_s=0.01)
    running = asyncio.create_task(outgoing.run())
    await outgoing.put(b"x" * 8)
    await outgoing.put(b"x" * 8)
    with pytest.raises(TooFarBehind, match="16 bytes"):
        await outgoing.put(b"x")
    running.cancel()
