"""SIGTERM in the middle of it, and a second server on the same folder."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.process.far_end import FarEnd
from tests.process.provider import Chat
from tests.process.server import Deployment, until

pytestmark = pytest.mark.process

STOP_S = 25  # what an operator's supervisor is told to wait
CUSTOMERS = 40
QUESTION = "Who pays the postage of a return?"


def test_stopped_under_load_it_finishes_what_it_has_begun(
    shop: Deployment, far_end: FarEnd
) -> None:
    """After SIGTERM no send is left half done, and the next start goes on where it ended."""
    chats = [Chat(shop, f"busy-{number}") for number in range(CUSTOMERS)]
    far_end.answer_after_s = 0.5
    gateway = shop.gateway()
    with ThreadPoolExecutor(8) as customers:
        writing = [customers.submit(chat.write, QUESTION) for chat in chats]
        until(lambda: sending(shop), "a send to be under way")
        gateway.terminate()
        code = gateway.wait(within_s=STOP_S)
        for one in writing:
            one.result()
    left_sending, stopped = sending(shop), gateway
    far_end.answer_after_s = 0.0
    gateway = shop.gateway()
    for chat in chats:
        chat.settle()
    gateway.kill()
    unknown = shop.rows("SELECT id FROM delivery WHERE state = 'unknown' AND chat LIKE 'busy-%'")

    assert code == 0, gateway.log
    assert left_sending == 0, stopped.log
    assert not unknown
    for chat in chats:
        chat.check(far_end)


def test_a_second_server_on_the_same_folder_says_so_in_one_line(shop: Deployment) -> None:
    """It ends at once, naming the folder and the process that has it; the first goes on."""
    gateway = shop.gateway()
    second = shop.run("serve", "--gateway-only")
    alive = gateway.code is None
    gateway.kill()

    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"tandem: another Tandem (process {gateway.pid}) already uses the data folder {shop.folder}"
    ]
    assert not second.stdout
    assert alive


def sending(shop: Deployment) -> int:
    """How many deliveries are on the wire, as far as the store knows."""
    return len(shop.rows("SELECT id FROM delivery WHERE state = 'sending'"))
