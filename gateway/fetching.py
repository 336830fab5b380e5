"""Keeping the channels that fetch their events at work, each for itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from gateway.errors import BadToken
from gateway.ports import Channel, Intake

log = structlog.get_logger()

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestLimits:
    """How long a channel that broke rests."""

    token_s: float = 60.0  # a refused token heals only by an operator: one probe a minute
    first_s: float = 1.0  # doubled while it keeps breaking
    longest_s: float = 60.0
    works_s: float = 120.0  # having run for so long, it counts as having worked


async def keep_fetching(
    channel: Channel, intake: Intake, limits: RestLimits, *, sleep: Sleep = asyncio.sleep
) -> None:
    """Let `channel` fetch its events until cancelled; return when it has nothing to fetch.

    Whatever it meets, the others go on: it rests, and is started again.
    """
    rest_s = limits.first_s
    while True:
        started = time.monotonic()
        try:
            return await channel.run(intake)
        except BadToken as error:
            log.warning("channel_token_refused", channel=channel.name, reason=str(error))
            await sleep(limits.token_s)
            continue
        except Exception as error:
            log.warning("channel_broke", channel=channel.name, error=type(error).__name__)
        if time.monotonic() - started >= limits.works_s:
            rest_s = limits.first_s
        await sleep(rest_s)
        rest_s = min(limits.longest_s, rest_s * 2)
