"""One try of one delivery: what is said to the channel, and what its answer means.

Reliability classes: A not sent → again, B rejected → by its kind, C ambiguous → reconciled, D
delivered. Where an edit can be repeated but a send cannot be proven, the bot's text goes out
as a short placeholder that is then edited, so that no outcome can double it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from gateway.errors import (
    BadToken,
    Blocked,
    ChannelError,
    Missing,
    Moved,
    RateLimited,
    Refused,
    Unavailable,
    Unreachable,
    WindowClosed,
)
from gateway.messages import Address, OutboundMessage, Receipt
from gateway.ports import Channel, Deletes, Edits, Reconciles
from storage.failpoints import reach_async

log = structlog.get_logger()

Outcome = Literal["A", "B", "C", "D"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours until its lease ends. A result with an older fence is too late."""

    id: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A claimed delivery that may go out now. `by_edit`: as a placeholder that is then edited."""

    claim: Claim
    address: Address
    message: OutboundMessage
    by_edit: bool = False
    placeholder_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a try ended, for the row. State "pending" means again, after `wait_s` if it is known."""

    state: Literal["pending", "delivered", "failed", "unknown", "cancelled"]
    outcome: Outcome
    detail: str = ""
    wait_s: float | None = None
    external_id: str | None = None
    error: ChannelError | None = None  # what the outbox has to act on beyond this row


class Gone(Exception):
    """The row is not ours any more: somebody else owns the conversation, or the lease ended."""


KeepPlace = Callable[[Parcel, str], Awaitable[bool]]
"""Note down the placeholder of a parcel; whether the parcel may still go out."""


class Sending:
    """Talks to the channels. Knows no table."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        moment: Callable[[OutboundMessage], str],
        keep_place: KeepPlace,
        reconcile_waits_s: tuple[float, ...],
    ) -> None:
        self._channels = channels
        self._moment = moment
        self._keep_place = keep_place
        self._waits_s = reconcile_waits_s

    async def deliver(self, parcel: Parcel) -> End:
        """Send it, once. Raises nothing that a channel can raise."""
        try:
            post = self._by_edit if parcel.by_edit else self._send
            external_id = await post(parcel)
            await reach_async("O3")
            return End(state="delivered", outcome="D", external_id=external_id)
        except Gone:
            return End(state="cancelled", outcome="B", detail="somebody else has the conversation")
        except ChannelError as error:
            return await self._judge(parcel, error)
        except Exception as error:  # not one of the mapped ones: nobody knows what arrived
            log.warning("send_failed", delivery=parcel.claim.id, error=type(error).__name__)
            return await self.settle(parcel, type(error).__name__)

    async def _send(self, parcel: Parcel) -> str:
        receipt = await self._channel(parcel).send(parcel.address, parcel.message)
        return ",".join(receipt.external_ids)

    async def _by_edit(self, parcel: Parcel) -> str:
        place = parcel.placeholder_id or await self._hold_place(parcel)
        channel = self._channel(parcel)
        assert isinstance(channel, Edits)  # noqa: S101 - `by_edit` is set for nobody else
        try:
            await channel.edit(parcel.address, place, parcel.message)
        except Missing:  # somebody deleted the placeholder
            return await self._send(parcel)
        return place

    async def _hold_place(self, parcel: Parcel) -> str:
        moment = OutboundMessage(
            text=self._moment(parcel.message), language=parcel.message.language,
            reply_to=parcel.message.reply_to, delivery_id=parcel.message.delivery_id,
        )  # fmt: skip
        receipt = await self._channel(parcel).send(parcel.address, moment)
        place = receipt.external_ids[0]
        if not await self._keep_place(parcel, place):
            await self.take_back(parcel.address, place)
            raise Gone
        return place

    async def take_back(self, address: Address, external_id: str) -> bool:
        """Delete what the channel shows; whether it is gone. A courtesy, never an error."""
        channel = self._channels.get(address.channel)
        if not isinstance(channel, Deletes):
            return True
        try:
            await channel.delete(address, external_id)
        except (Missing, Refused, Blocked):
            return True
        except Exception as error:
            log.info("take_back_failed", channel=address.channel, error=type(error).__name__)
            return False
        return True

    async def _judge(self, parcel: Parcel, error: ChannelError) -> End:
        detail = f"{type(error).__name__}: {error}"
        match error:
            case RateLimited():
                wait_s = max(error.wait_s, 0)
                return End(state="pending", outcome="B", detail=detail, wait_s=wait_s, error=error)
            case Refused() | WindowClosed() | Missing() | Blocked():
                return End(state="failed", outcome="B", detail=str(error), error=error)
            case Moved():
                return End(state="pending", outcome="B", detail=detail, wait_s=0, error=error)
            case BadToken() | Unavailable():
                return End(state="pending", outcome="B", detail=detail, error=error)
            case Unreachable():
                return End(state="pending", outcome="A", detail=detail, error=error)
            case _:
                return await self.settle(parcel, detail)

    async def settle(self, parcel: Parcel, detail: str) -> End:
        """Find out what became of a send that nobody confirmed; never guess.

        Absence counts only if it is found at each of the waits: a far end shows late what it took.
        """
        again = End(state="pending", outcome="C", detail=detail)
        if parcel.by_edit:  # an edit repeats safely, and a second placeholder says nothing twice
            return again
        channel = self._channels[parcel.address.channel]
        if not isinstance(channel, Reconciles):
            return _unknown(detail)
        found: Receipt | Literal["absent"] | None = None
        for wait_s in self._waits_s:
            await asyncio.sleep(wait_s)
            found = await self._ask(channel, parcel)
            if isinstance(found, Receipt):
                ids = ",".join(found.external_ids)
                return End(state="delivered", outcome="C", detail=detail, external_id=ids)
        return again if found == "absent" else _unknown(detail)

    async def _ask(self, channel: Reconciles, parcel: Parcel) -> Receipt | Literal["absent"] | None:
        try:
            return await channel.reconcile(parcel.address, parcel.claim.id)
        except Exception as error:  # cannot be told now, and a guess could double the message
            log.warning("reconcile_failed", delivery=parcel.claim.id, error=type(error).__name__)
            return None

    def _channel(self, parcel: Parcel) -> Channel:
        return self._channels[parcel.address.channel]


def _unknown(detail: str) -> End:
    return End(state="unknown", outcome="C", detail=f"may not have arrived ({detail})")
