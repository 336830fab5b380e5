"""Health that a load balancer and a person can believe."""

import asyncio

from litestar import Litestar
from litestar.testing import AsyncTestClient

from gateway.errors import BadToken
from gateway.http import Health, HealthLimits, Probe, health_routes
from tests.gateway.world import ANA, World


async def ask(world: World, *, stopping: bool = False, librarian: Probe | None = None):
    """The status code and body of /health/ready."""
    stop = asyncio.Event()
    if stopping:
        stop.set()
    health = Health(
        world.store, world.clock, stop, limits=HealthLimits(), surfaces=tuple(world.channels),
        stands_in={"librarian": librarian} if librarian else {},
    )  # fmt: skip
    async with AsyncTestClient(Litestar(health_routes(health), openapi_config=None)) as client:
        reply = await client.get("/health/ready")
        return reply.status_code, reply.json()


async def test_a_working_gateway_is_ready(world: World) -> None:
    """Every part is named and ok."""
    code, body = await ask(world)

    assert (code, body["status"]) == (200, "ready")
    assert body["parts"] == {"store": "ok", "queues": "ok"}


async def test_work_that_lies_around_makes_it_red_and_is_named(world: World) -> None:
    """An event that nobody read for a minute is a broken promise."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="anybody?"))
    world.clock.turn(seconds=61)
    code, body = await ask(world)

    assert (code, body["status"]) == (503, "down")
    assert body["parts"]["queues"] == "an event waiting for 61 s"


async def test_a_line_behind_one_that_must_wait_is_no_broken_promise(world: World) -> None:
    """A channel rests after a refused token: the server stays in rotation for the others."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
    world.memory.fail_next(BadToken("revoked"))
    await world.worker.settle()
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    for _ in range(3):
        world.clock.turn(seconds=61)
        world.memory.fail_next(BadToken("revoked"))
        await world.outbox.drain()
    code, body = await ask(world)

    assert (code, body["parts"]["queues"]) == (200, "ok")


async def test_what_waits_for_a_channel_that_is_off_is_no_broken_promise(world: World) -> None:
    """It goes out when the channel is on again."""
    await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
    world.memory.fail_next(BadToken("revoked"))
    await world.worker.settle()
    world.clock.turn(seconds=600)
    on = await ask(world)
    del world.channels["memory"]
    off = await ask(world)

    assert (on[0], off[0]) == (503, 200)


async def test_without_the_librarian_people_still_answer_so_it_is_degraded(world: World) -> None:
    """The chat stays in rotation, and the reason is there to read."""

    async def down() -> str:
        raise ConnectionRefusedError("no socket")

    code, body = await ask(world, librarian=down)

    assert (code, body["status"]) == (200, "degraded")
    assert body["parts"]["librarian"] == "ConnectionRefusedError: no socket"


async def test_a_store_that_is_gone_makes_it_red(world: World) -> None:
    """No 2xx can be promised without it."""
    await asyncio.to_thread(world.store.database.close)
    code, body = await ask(world)

    assert (code, body["status"]) == (503, "down")
    assert body["parts"]["store"] != "ok"


async def test_a_stopping_server_says_so(world: World) -> None:
    """Traffic goes elsewhere before the last request is answered."""
    code, body = await ask(world, stopping=True)

    assert (code, body["parts"]["server"]) == (503, "it is stopping")
