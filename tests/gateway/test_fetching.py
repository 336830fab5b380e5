"""A channel that breaks rests and is started again; the others go on."""

from collections.abc import Iterator

import pytest

from channels.memory import MemoryChannel
from gateway.errors import BadToken
from gateway.fetching import RestLimits, keep_fetching
from gateway.ports import Intake


class Breaking(MemoryChannel):
    """Meets one error after another, then has nothing left to fetch."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self._errors: Iterator[Exception] = iter(errors)

    async def run(self, receive: Intake) -> None:
        for error in self._errors:
            raise error


async def rests(*errors: Exception) -> list[float]:
    """How long it rested each time until it worked."""
    rested: list[float] = []

    async def sleep(wait_s: float) -> None:
        rested.append(wait_s)

    intake: Intake = None  # pyright: ignore[reportAssignmentType]
    await keep_fetching(Breaking(*errors), intake, RestLimits(), sleep=sleep)
    return rested


async def test_a_channel_that_works_is_left_alone():
    """It returned: others call it."""
    assert await rests() == []


async def test_a_refused_token_is_probed_once_a_minute():
    """No hammering: only an operator can mend it."""
    assert await rests(*[BadToken("revoked")] * 3) == [60, 60, 60]


async def test_a_channel_that_keeps_breaking_rests_longer_up_to_a_minute():
    """1, 2, 4 … 60, 60 seconds."""
    assert await rests(*[RuntimeError("x")] * 8) == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("error", [BadToken("no"), ValueError("odd")])
async def test_no_error_ends_it(error: Exception):
    """Whatever a channel raises, it is started again."""
    assert len(await rests(error)) == 1
