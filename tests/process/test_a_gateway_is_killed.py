"""kill -9 at every step of a message: nothing accepted is lost, nothing is shown twice."""

import pytest

from tests.process.far_end import FarEnd
from tests.process.provider import Chat, Left
from tests.process.server import Deployment, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

QUESTION = "How long can I return a lamp?"

# Where it dies, and what is left of the message then. Each start takes up what the death before it
# left, and the order sees to it that this leads past no failpoint of the new one.
DEATHS = {
    "O4": Left("done", "done", "sending"),  # sent, the response read, not noted down
    "O3": Left("done", "done", "sending"),  # sent, the response not read
    "O2": Left("done", "done", "sending"),  # not a byte sent
    "B1": Left("done", "running", ""),  # the turn claimed
    "I6": Left("new", "", ""),  # inside receive
    "I4": Left("new", "", ""),  # the raw event committed, nobody told
    "": Left("done", "done", "sending"),  # the far end is slow to answer; killed from outside
    "O1": Left("done", "done", "leased"),
    "B5": Left("done", "running", ""),  # the answer complete, not committed
    "I7": Left("done", "scheduled", ""),  # received, nobody woken up
    "I3": Left(),  # nothing committed
}


def test_whatever_step_it_dies_at_every_customer_hears_something_once(
    shop: Deployment, far_end: FarEnd
) -> None:
    """Eleven customers, each of whom sees the server killed at another step of their message."""
    chats: list[Chat] = []
    for failpoint, left in DEATHS.items():
        gateway = shop.gateway(f"{failpoint}=crash" if failpoint else "")
        for earlier in chats:
            earlier.settle()
        chat = Chat(shop, f"dies-at-{failpoint}")
        chats.append(chat)
        if failpoint:
            chat.write(QUESTION)
        else:
            chats.append(mute := Chat(shop, "no-history", section="mute"))
            hold(far_end, chat, mute)
            gateway.kill()
            far_end.let_go()
        assert gateway.wait() == -9, gateway.log
        assert chat.left() == left, failpoint
    gateway = shop.gateway()
    for chat in chats:
        chat.settle()
    gateway.kill()

    for chat in chats:
        chat.check(far_end)


def hold(far_end: FarEnd, *chats: Chat) -> None:
    """Until each of them sees the answer that the far end has not acknowledged: one that hangs
    holds up nobody else."""
    for chat in chats:
        far_end.hold(chat.name)
        chat.write(QUESTION)
        until(lambda chat=chat: far_end.deliveries(chat.name), f"{chat.name} to see the answer")
