"""Where buttons are shown as numbered lines, a number presses one."""

from sqlmodel import col, select

from gateway.models import Message
from gateway.states import State
from tests.gateway.world import World, unsure


async def come(world: World, text: str) -> None:
    await world.ingress.store(world.memory.event_of(chat="c1", text=text))
    await world.worker.settle()


async def lines(world: World) -> list[Message]:
    return await world.store.read(
        lambda s: list(s.exec(select(Message).order_by(col(Message.seq))))
    )


async def test_a_number_chooses_the_suggestion_of_that_line(world: World) -> None:
    """The bot offered two; "2" asks the second, in its words."""
    world.answerer.reply = lambda question: unsure("How long?", "How much?")
    world.memory.can(buttons_max=0)
    await come(world, "delivery")
    offered = world.memory.texts()[-1]
    await come(world, "2.")
    chosen = (await lines(world))[-2]

    assert "2. How much?" in offered
    assert (chosen.text, chosen.action) == ("How much?", "choose-2")


async def test_the_number_of_the_last_line_calls_a_person(world: World) -> None:
    """Helpful, not helpful, a person: 3 is the person."""
    world.memory.can(buttons_max=0)
    await come(world, "How long?")
    await come(world, " 3 ")
    conversation = await world.conversation("c1")

    assert conversation.state == State.WAITING


async def test_a_number_beyond_the_lines_is_only_a_number(world: World) -> None:
    """ "9" of three lines, and "12", are said as they are."""
    world.memory.can(buttons_max=0)
    await come(world, "How long?")
    await come(world, "9")
    await come(world, "12")
    said = [(one.text, one.action) for one in await lines(world) if one.author == "customer"]

    assert said[1:] == [("9", None), ("12", None)]
