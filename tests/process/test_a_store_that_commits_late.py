"""A disk so slow that commits come after whoever asked for them has given up."""

import pytest

from tests.process.far_end import FarEnd
from tests.process.provider import Chat
from tests.process.server import Deployment, until

pytestmark = pytest.mark.process

SOON_S = 25  # less than any lease: nothing may have to wait for one to end


def test_late_commits_leave_no_work_that_nobody_does(shop: Deployment, far_end: FarEnd) -> None:
    """The provider is told to come back; what was claimed meanwhile is done, and done once."""
    gateway = shop.gateway("B6=sleep:0.5", DATABASE__COMMIT_WAIT_S="0.2")
    chats = [Chat(shop, f"late-{number}") for number in range(6)]
    for chat in chats:
        chat.write("How long can I return a lamp?")

    def settled() -> bool:
        for chat in chats:
            chat.deliver()
        return all(chat.is_settled for chat in chats)

    until(settled, lambda: f"all to settle: {[chat.left() for chat in chats]}", within_s=SOON_S)
    gateway.kill()

    for chat in chats:
        chat.check(far_end)
