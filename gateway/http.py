"""Health that tells the truth. The only file of the gateway that knows a web framework.

`live` says that the event loop turns. `ready` is 503 when a promise to customers is broken (the
store cannot be written, work lies around); a part that others stand in for (the librarian: people
answer meanwhile) makes it "degraded", with the part's name and reason, and stays 200 so that no
load balancer takes a working chat away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from gateway.models import Delivery, InboxEvent, Turn
from gateway.ports import Clock
from gateway.store import Store

Probe = Callable[[], Awaitable[str]]
"""Asks a part how it is: "ok", or a reason that a person can act on."""

Status = Literal["ready", "degraded", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """From when on waiting work breaks a promise."""

    event_age_max_s: float = 60.0
    turn_age_max_s: float = 120.0
    delivery_age_max_s: float = 120.0
    probe_wait_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """The whole, and each part by name: "ok" or what is wrong with it."""

    status: Status
    parts: Mapping[str, str]


class Health:
    """Asks every part. `stands_in` are parts whose loss others make good; `surfaces` are the
    channels that are on: what waits for another one is no broken promise of this server."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        stopping: asyncio.Event,
        *,
        stands_in: Mapping[str, Probe],
        surfaces: tuple[str, ...],
        limits: HealthLimits,
    ) -> None:
        self._store = store
        self._clock = clock
        self._stopping = stopping
        self._stands_in = stands_in
        self._surfaces = surfaces
        self._limits = limits

    async def readiness(self) -> Readiness:
        promises = {"store": await self._asked(self._writable)}
        if promises["store"] == "ok":
            promises["queues"] = await self._asked(self._queues)
        if self._stopping.is_set():
            promises["server"] = "it is stopping"
        others = {name: await self._asked(probe) for name, probe in self._stands_in.items()}
        broken = any(state != "ok" for state in promises.values())
        degraded = any(state != "ok" for state in others.values())
        status: Status = "down" if broken else "degraded" if degraded else "ready"
        return Readiness(status, promises | others)

    async def _asked(self, probe: Probe) -> str:
        try:
            async with asyncio.timeout(self._limits.probe_wait_s):
                return await probe()
        except TimeoutError:
            return f"no answer in {self._limits.probe_wait_s:g} s"
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    async def _writable(self) -> str:
        await self._store.write(_touch_nothing)
        return "ok"

    async def _queues(self) -> str:
        """The oldest work of each kind; the index of each makes this a look at one row."""
        now, limits = self._clock(), self._limits
        oldest = await self._store.read(lambda session: _oldest(session, self._surfaces))
        allowed = (limits.event_age_max_s, limits.turn_age_max_s, limits.delivery_age_max_s)
        late = [
            f"{name} waiting for {(now - since).total_seconds():.0f} s"
            for (name, since), most in zip(oldest.items(), allowed, strict=True)
            if since is not None and now - since > timedelta(seconds=most)
        ]
        return ", ".join(late) or "ok"


def _touch_nothing(session: Session) -> None:
    """Begin and commit: SQLite takes the write lock for it, PostgreSQL a connection."""
    session.connection()


def _oldest(session: Session, surfaces: tuple[str, ...]) -> dict[str, datetime | None]:
    ahead = aliased(Delivery)
    waits_its_turn = (
        select(ahead.id)
        .where(
            ahead.conversation_id == Delivery.conversation_id,
            ahead.destination == Delivery.destination,
            ahead.ord < Delivery.ord,
            col(ahead.state).in_(("pending", "leased", "sending")),
        )
        .exists()
    )
    return {
        "an event": session.exec(
            select(func.min(InboxEvent.received_at)).where(
                InboxEvent.state == "new", InboxEvent.due == None  # noqa: E711 - SQL's IS NULL
            )
        ).one(),
        "a turn": session.exec(
            select(func.min(Turn.due)).where(Turn.state == "scheduled")
        ).one(),
        "a delivery": session.exec(
            select(Delivery.due)
            .where(
                Delivery.state == "pending", col(Delivery.surface).in_(surfaces), ~waits_its_turn
            )
            .order_by(col(Delivery.due))
            .limit(1)
        ).first(),
    }  # fmt: skip


def health_routes(health: Health) -> list[HTTPRouteHandler]:
    """`/health/live` and `/health/ready`, for load balancers and people."""

    @get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[Readiness]:
        found = await health.readiness()
        return Response(found, status_code=503 if found.status == "down" else 200)

    return [live, ready]
