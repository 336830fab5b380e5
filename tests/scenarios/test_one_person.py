"""What a customer notices who goes on on another channel."""

import re

from gateway.history import items_after
from gateway.messages import Item
from gateway.models import Conversation
from tests.gateway.world import ANA, World


def code_in(items: list[Item]) -> str:
    """The one-time code of the newest link among `items`."""
    links = [found[1] for item in items if (found := re.search(r"start=([\w-]{32})", item.text))]
    return links[-1]


async def a_link(world: World, *, to: str = "memory", visitor: str = "v1") -> str:
    """A visitor of the website asks to go on elsewhere; the code of the link they are told."""
    world.memory.door = "https://memory.example/door"
    return code_in(await world.ask(f"/{to}", visitor=visitor))


async def push(world: World, **fields: object) -> None:
    """Something arrives on the pushed channel, and everything settles."""
    await world.ingress.store(world.memory.event_of(**fields))
    await world.worker.settle()
    await world.outbox.drain()


async def test_a_talk_that_began_on_the_website_goes_on_elsewhere(world: World) -> None:
    """By the link: the talk is one, an answer comes where the customer wrote, the website too."""
    await world.ask("How long can I return it?")
    code = await a_link(world)
    await push(world, chat="c1", code=code, verified=True)
    await push(world, chat="c1", text="And how do I send it?")

    assert [text.split(".")[0] for text in world.memory.texts()] == [
        "We go on in memory with your conversation from the chat on our website",
        "Within 30 days [1]",
    ]
    conversation = await world.conversation("c1")
    items = await world.store.read(lambda s: items_after(s, conversation.contact_id))
    assert [item.seq for item in items] == [1, 2, 3, 4, 6, 7, 8]  # 5 is a note for agents
    assert [item.author for item in items] == [
        "customer", "bot", "customer", "system", "system", "customer", "bot",
    ]  # fmt: skip


async def test_a_persons_answer_reaches_the_new_channel(world: World) -> None:
    """The agent who has the talk need not know that the customer went elsewhere."""
    await world.ask("How long can I return it?")
    await push(world, chat="c1", code=await a_link(world))
    await push(world, chat="c1", text="/human")

    def reply(session, conversation: Conversation) -> None:
        from gateway.conversations import Draft

        world.conversations.claim(session, conversation, ANA)
        world.conversations.say(session, conversation, Draft(text="Hello!", author=ANA))

    await world.act(reply, "c1")
    await world.outbox.drain()

    assert world.memory.texts()[-1] == "Hello!"
