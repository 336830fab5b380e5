"""The way in: an event is committed before anybody is told that it arrived.

Channels whose answer carries nothing (`store`) leave the reading to the worker. The web, whose
answer carries `seq`, commits the raw event and its reading together (`take`).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select, update

from gateway.errors import Conflict
from gateway.messages import InboundMessage, RawEvent
from gateway.models import InboxEvent
from gateway.ports import Clock
from gateway.router import Received, Router
from gateway.store import Store, insert_once, touch
from storage.database import Unavailable
from storage.failpoints import reach
from storage.ids import new_id


@dataclass(frozen=True, slots=True)
class _Unread:
    """The raw event is kept, but reading it failed: the sweeper goes on."""

    error: Exception


class Ingress:
    """What channels hand their events to."""

    def __init__(self, store: Store, router: Router, clock: Clock) -> None:
        self._store = store
        self._router = router
        self._clock = clock

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
        """Commit a raw event and its reading in one transaction (T1 and T2).

        The same event again gives the same answer. Raises Conflict when it has another content,
        TooMuch for a passed limit, Overloaded or Unavailable when it is not (yet) taken in.
        """
        now = self._clock()
        outcome = await self._store.write(lambda session: self._take(session, event, message, now))
        if isinstance(outcome, _Unread):
            raise Unavailable("the message is kept and will be read in a moment") from outcome.error
        return outcome

    def _take(
        self, session: Session, event: RawEvent, message: InboundMessage, now: datetime
    ) -> Received | _Unread:
        if not keep_event(session, event, now, state="done"):
            return self._again(session, event, message)
        reach("I6")
        try:
            with session.begin_nested():
                return self._router.receive(session, message)
        except Exception as error:  # the raw event stays: nothing accepted is lost
            _leave_to_worker(session, event)
            return _Unread(error)

    def _again(
        self, session: Session, event: RawEvent, message: InboundMessage
    ) -> Received | _Unread:
        body = session.exec(select(InboxEvent.body).where(*_key(event))).one()
        if body != event.body:
            raise Conflict("this client_message_id was used for another message")
        known = self._router.known(session, message)
        return known or _Unread(LookupError("it was kept before, and is not read yet"))


def keep_event(session: Session, event: RawEvent, now: datetime, *, state: str = "new") -> bool:
    """Insert a raw event unless it is there; whether it was not."""
    return insert_once(session, InboxEvent, {
        "id": new_id(), "channel": event.channel, "account": event.account,
        "external_id": event.external_id, "headers": dict(event.headers), "body": event.body,
        "state": state, "attempts": 0, "crashes": 0, "received_at": now,
    })  # fmt: skip


def _leave_to_worker(session: Session, event: RawEvent) -> None:
    session.connection().execute(update(InboxEvent).where(*_key(event)).values(state="new"))
    touch(session, "events")


def _key(event: RawEvent) -> tuple[ColumnElement[bool], ...]:
    return (
        col(InboxEvent.channel) == event.channel,
        col(InboxEvent.account) == event.account,
        col(InboxEvent.external_id) == event.external_id,
    )
