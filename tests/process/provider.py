"""The network's other direction: events that are delivered until they are acknowledged."""

import contextlib
import sqlite3
from dataclasses import dataclass, field

import httpx

from tests.process.far_end import FarEnd
from tests.process.server import Deployment, until

_OPEN = {
    "event": "SELECT id FROM inbox_event WHERE state = 'new' AND channel = ? AND"
    " json_extract(body, '$.chat') = ?",
    "turn": "SELECT t.id FROM turn t JOIN conversation c ON c.id = t.conversation_id"
    " WHERE t.state IN ('scheduled', 'running') AND c.reply_channel = ? AND c.reply_chat = ?",
    "delivery": "SELECT id FROM delivery WHERE state IN ('pending', 'leased', 'sending')"
    " AND surface = ? AND chat = ?",
}


@dataclass(frozen=True, slots=True)
class Left:
    """The newest event, turn and outgoing delivery of a chat, by their states; "" for none."""

    event: str = ""
    turn: str = ""
    delivery: str = ""


@dataclass
class Chat:
    """One customer on the wire, with everything that the provider knows of the talk."""

    shop: Deployment
    name: str
    section: str = "wire"
    written: list[str] = field(default_factory=list[str])
    _pending: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def write(self, text: str) -> None:
        """The customer writes; the provider delivers it, now or later."""
        self.written.append(text)
        event = {"id": f"{self.name}-{len(self.written)}", "chat": self.name, "text": text}
        self._pending.append(event)
        self.deliver()

    def deliver(self) -> None:
        """Deliver, in order, what has not been acknowledged yet."""
        with contextlib.suppress(httpx.TransportError):
            while self._pending and self._is_taken(self._pending[0]):
                del self._pending[0]

    def _is_taken(self, event: dict[str, str]) -> bool:
        url = f"{self.shop.url}/{self.section}/events"
        return httpx.post(url, json=event, trust_env=False, timeout=10).status_code == 200

    @property
    def is_settled(self) -> bool:
        """Whether all was acknowledged and nothing of it is left to do."""
        place = (self.section, self.name)
        return not self._pending and not any(self.shop.rows(sql, *place) for sql in _OPEN.values())

    def left(self) -> Left:
        """How far the newest message got."""
        place = (self.section, self.name)
        return Left(
            self._newest("SELECT state FROM inbox_event WHERE channel = ? AND"
                         " json_extract(body, '$.chat') = ?", *place),
            self._newest("SELECT t.state FROM turn t JOIN conversation c ON"
                         " c.id = t.conversation_id WHERE c.reply_channel = ?"
                         " AND c.reply_chat = ?", *place),
            self._newest("SELECT d.state FROM delivery d JOIN message m ON m.id = d.message_id"
                         " WHERE m.author <> 'customer' AND d.surface = ? AND d.chat = ?",
                         *place),
        )  # fmt: skip

    def reply(self) -> sqlite3.Row:
        """The newest message to the customer."""
        return self.shop.rows(
            "SELECT m.* FROM message m JOIN delivery d ON d.message_id = m.id"
            " WHERE m.author <> 'customer' AND d.surface = ? AND d.chat = ? ORDER BY m.seq",
            self.section, self.name,
        )[-1]  # fmt: skip

    def _newest(self, sql: str, *values: str) -> str:
        rows = self.shop.rows(f"SELECT * FROM ({sql})", *values)
        return rows[-1]["state"] if rows else ""

    def settle(self) -> None:
        """Until nothing is left to do; the provider delivers again what was not acknowledged."""

        def settled() -> bool:
            self.deliver()
            return self.is_settled

        until(settled, lambda: f"{self.name} to settle: {self.left()}")

    def check(self, far_end: FarEnd) -> None:
        """Nothing accepted is lost, nothing is twice, in `seq` order, and somebody answered."""
        rows = self.shop.rows(
            "SELECT d.id, m.seq, m.author, m.text, d.state FROM message m"
            " JOIN delivery d ON d.message_id = m.id WHERE d.surface = ? AND d.chat = ?"
            " ORDER BY m.seq, d.part", self.section, self.name,
        )  # fmt: skip
        said = [row for row in rows if row["author"] != "customer"]

        assert [row["text"] for row in rows if row["author"] == "customer"] == self.written
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1)), self.name
        assert {row["state"] for row in said} <= {"delivered", "unknown"}, self.name
        assert far_end.deliveries(self.name) == [row["id"] for row in said], self.name
        assert said, f"nobody answered {self.name}"
