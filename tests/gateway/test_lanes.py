"""Lanes under trouble: whoever waits in one is not counted for what happens to another."""

from sqlmodel import Session, col, select

from gateway.models import InboxEvent, Message
from gateway.worker import Worker, WorkerLimits
from tests.gateway.world import World


def worker(world: World, **limits: float) -> Worker:
    """A worker of the same gateway, with other limits."""
    return Worker(
        world.store, world.router, world.running, world.outbox,
        channels=world.channels, limits=WorkerLimits(retry_s=0.0, **limits),  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


async def write(world: World, *texts: str, chat: str = "c1") -> None:
    for text in texts:
        await world.ingress.store(world.memory.event_of(chat=chat, text=text))


async def counted(world: World) -> set[tuple[str, int]]:
    """State and crashes of every event."""
    return await world.store.read(
        lambda s: {(event.state, event.crashes) for event in s.exec(select(InboxEvent))}
    )


async def lines(world: World) -> list[str]:
    """What customers have said, in order."""
    return await world.store.read(
        lambda s: list(
            s.exec(
                select(Message.text).where(Message.author == "customer").order_by(col(Message.seq))
            )
        )
    )


async def test_a_customer_who_writes_more_than_a_lane_holds_is_read_to_the_end(
    world: World,
) -> None:
    """What has to wait outside its lane is not taken for what ended a process."""
    texts = [f"line {number}" for number in range(10)]
    await write(world, *texts)
    await worker(world, lane_max=2).settle()

    assert await lines(world) == texts
    assert await counted(world) == {("done", 1)}


async def test_lines_behind_one_that_fails_keep_their_order_and_their_count(world: World) -> None:
    """The first line fails four times; those behind wait for it, and are blamed for nothing."""
    receive, left = world.router.receive, [4]

    def fail_first(session: Session, message: object) -> object:
        if getattr(message, "text", "") == "first" and left[0]:
            left[0] -= 1
            raise RuntimeError("nobody foresaw this")
        return receive(session, message)  # pyright: ignore[reportArgumentType]

    world.router.receive = fail_first  # pyright: ignore[reportAttributeAccessIssue]
    await write(world, "first", "second", "third")
    await world.worker.settle()

    assert await lines(world) == ["first", "second", "third"]
    assert await counted(world) == {("done", 1)}
