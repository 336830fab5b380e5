"""The way in: an event is committed before anybody is told that it arrived.

Channels whose answer carries nothing (`store`) leave the reading to the worker. The web, whose
answer carries `seq`, commits the raw event and its reading together (`take`).
"""

from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from gateway.errors import Conflict, TooMuch
from gateway.messages import InboundMessage, RawEvent
from gateway.models import InboxEvent
from gateway.ports import Clock
from gateway.router import Received, Router
from gateway.running import RunningTurns
from gateway.store import Store, insert_once, touch
from gateway.turns import Begin
from storage.database import DatabaseError, Unavailable
from storage.failpoints import reach
from storage.ids import new_id

KEPT = "the message is kept and will be read in a moment"


class Ingress:
    """What channels hand their events to."""

    def __init__(self, store: Store, router: Router, running: RunningTurns) -> None:
        self._store = store
        self._router = router
        self._running = running
        self._clock: Clock = running.clock

    async def store(self, event: RawEvent) -> None:
        """Commit a raw event (T1). A repeat is absorbed by its unique key.

        Raises Overloaded or Unavailable: answer 503 and Retry-After, never 2xx.
        """
        now = self._clock()
        reach("I3")

        def keep(session: Session) -> None:
            keep_event(session, event, now)
            touch(session, "events")

        await self._store.write(keep)
        reach("I4")

    async def take(self, event: RawEvent, message: InboundMessage) -> Received:
        """Commit a raw event and its reading in one transaction (T1 and T2), and the start of the
        bot's turn with them where it can run at once (T3).

        The same event again gives the same answer. Raises Conflict when it has another content,
        TooMuch for a passed limit, Overloaded or Unavailable when it is not (yet) taken in.
        """
        try:
            with self._running.place() as begin:
                return await self._store.write(
                    lambda session: self._take(session, event, message, begin),
                    committed=self._go_on,
                )
        except (Conflict, TooMuch, DatabaseError):
            raise
        except Exception as error:  # kept raw, the worker goes on: nothing accepted is lost
            await self.store(event)
            raise Unavailable(KEPT) from error

    def _take(
        self, session: Session, event: RawEvent, message: InboundMessage, begin: Begin | None
    ) -> Received:
        if not keep_event(session, event, self._clock(), state="done"):
            return self._again(session, event, message)
        reach("I6")
        return self._router.receive(session, message, begin=begin)

    def _go_on(self, received: Received) -> None:
        if received.begun is not None:
            self._running.go_on(received.begun)

    def _again(self, session: Session, event: RawEvent, message: InboundMessage) -> Received:
        body = session.exec(select(InboxEvent.body).where(*_key(event))).one()
        if body != event.body:
            raise Conflict("this client_message_id was used for another message")
        if known := self._router.known(session, message):
            return known
        raise Unavailable(KEPT)


def keep_event(session: Session, event: RawEvent, now: datetime, *, state: str = "new") -> bool:
    """Insert a raw event unless it is there; whether it was not."""
    return insert_once(session, InboxEvent, {
        "id": new_id(), "channel": event.channel, "account": event.account,
        "external_id": event.external_id, "headers": dict(event.headers), "body": event.body,
        "state": state, "attempts": 0, "crashes": 0, "received_at": now,
    })  # fmt: skip


def _key(event: RawEvent) -> tuple[ColumnElement[bool], ...]:
    return (
        col(InboxEvent.channel) == event.channel,
        col(InboxEvent.account) == event.account,
        col(InboxEvent.external_id) == event.external_id,
    )
