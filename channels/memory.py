"""The channel that is nowhere: it keeps what it was told to send, and events are pushed into it.

The twin of every real channel. The demo and the tests of everything to the left run on it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from channels import ChannelSettings, Parts
from gateway.errors import ChannelError, Refused
from gateway.messages import (
    ACTIONS,
    Address,
    Attachment,
    Capabilities,
    ChatMoved,
    Inbound,
    InboundMessage,
    OutboundMessage,
    RawEvent,
    Reachability,
    Receipt,
    Sender,
)
from gateway.ports import Intake
from storage.ids import new_id
from storage.text import repair_text

NAME = "memory"
ABLE_TO_ALL = Capabilities(
    text_units_max=20_000,
    buttons_max=10,
    markup="plain",
    attachment_bytes_max=20_000_000,
    edits=True,
    deletes=True,
    typing=True,
)


class Settings(ChannelSettings):
    """The twin needs nothing."""

    account: str = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Something the channel was told to do, in the order it was told."""

    verb: Literal["send", "edit", "delete", "typing"]
    address: Address
    external_id: str = ""
    message: OutboundMessage | None = None


class MemoryChannel:
    """A channel whose far end is a list. `proof` is what it can find out about an ambiguous send:
    "absent", or None for networks that keep no history."""

    def __init__(
        self, *, name: str = NAME, account: str = "main", capabilities: Capabilities = ABLE_TO_ALL
    ) -> None:
        self.name = name
        self.account = account
        self.capabilities = capabilities
        self.sent: list[Sent] = []
        self.proof: Literal["absent"] | None = None
        self.on_send: Callable[[OutboundMessage], Awaitable[object]] | None = None
        self.was_sent = asyncio.Event()
        self.files: dict[str, bytes | ChannelError] = {}
        self.profiles: dict[str, dict[str, Any] | ChannelError] = {}
        self.failed = 0
        self.door: str | None = None  # an address that invitations lead to; None: there is none
        self._fails: list[ChannelError] = []
        self._edit_fails: list[ChannelError] = []
        self._pushed: asyncio.Queue[RawEvent] = asyncio.Queue()

    def routes(self) -> Sequence[Any]:
        return ()

    def fail_next(self, *errors: ChannelError) -> None:
        """Let the next calls fail, one error each, before anything is done."""
        self._fails += errors

    def fail_edits(self, *errors: ChannelError) -> None:
        """Let the next edits fail, one error each."""
        self._edit_fails += errors

    # In

    def push(self, event: RawEvent) -> None:
        """Let an event arrive, as raw as a provider would send it."""
        self._pushed.put_nowait(event)

    async def run(self, receive: Intake) -> None:
        while True:
            event = await self._pushed.get()
            await receive.store(event)
            self._pushed.task_done()

    async def settled(self) -> None:
        """Wait until all that was pushed has been stored. Needs a running `run`."""
        await self._pushed.join()

    def parse(self, event: RawEvent) -> Inbound | None:
        """What an event of `event_of`'s form says; None for our own echo and other kinds."""
        fields = json.loads(event.body)
        address = Address(
            channel=event.channel, account=event.account, chat=fields["chat"],
            thread=fields.get("thread", ""),
        )  # fmt: skip
        match fields.get("type"):
            case "moved":
                return ChatMoved(address=address, to_chat=fields["to"])
            case "reachable":
                return Reachability(address=address, reachable=fields["reachable"])
            case "message" if not fields.get("echo"):
                return self._message(address, fields)
            case _:
                return None

    def _message(self, address: Address, fields: dict[str, Any]) -> InboundMessage:
        action = fields.get("action")
        return InboundMessage(
            address=address,
            external_id=fields["id"],
            sender=Sender(
                external_id=fields["from"], name=repair_text(fields.get("name", "")),
                verified=bool(fields.get("verified")), email=fields.get("email", ""),
            ),
            text=repair_text(fields.get("text", "")),
            attachments=tuple(Attachment(**file) for file in fields.get("attachments", ())),
            action=action if action in ACTIONS else None,
            edits=fields.get("edits"),
            deletes=fields.get("deletes"),
            reply_to=fields.get("reply_to"),
            album=fields.get("album", ""),
            code=fields.get("code", ""),
            addressed=fields.get("addressed", True),
        )  # fmt: skip

    def event_of(self, **fields: Any) -> RawEvent:
        """An event with `fields`: type, chat, from, id, text, action, attachments, edits, …"""
        whole: dict[str, Any] = {"type": "message", "id": new_id()} | fields
        whole.setdefault("from", whole.get("chat", ""))
        return RawEvent(
            channel=self.name,
            account=self.account,
            external_id=whole.get("event_id", whole["id"]),
            body=json.dumps(whole, ensure_ascii=False, sort_keys=True).encode(),
        )

    async def introduce(self, sender: Sender) -> Sender:
        """What the far end knows of an account, if the test told it something."""
        known = self.profiles.get(sender.external_id, {})
        if isinstance(known, ChannelError):
            raise known
        return replace(sender, **known)

    async def fetch(self, attachment: Attachment, *, bytes_max: int) -> bytes:
        """The bytes that the test put behind a reference. Raises Refused, or what it put there."""
        found = self.files.get(attachment.reference, Refused("the far end has no such file"))
        if isinstance(found, ChannelError):
            raise found
        if len(found) > bytes_max:
            raise Refused(f"the file has more than {bytes_max} bytes")
        return found

    # Out

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        receipt = Receipt((new_id(),))
        self._keep(Sent(verb="send", address=address, external_id=receipt.external_ids[0],
                        message=message))  # fmt: skip
        if self.on_send is not None:
            await self.on_send(message)
        self.was_sent.set()
        return receipt

    async def edit(self, address: Address, external_id: str, message: OutboundMessage) -> None:
        if self._edit_fails:
            raise self._edit_fails.pop(0)
        self._keep(Sent(verb="edit", address=address, external_id=external_id, message=message))

    async def delete(self, address: Address, external_id: str) -> None:
        self._keep(Sent(verb="delete", address=address, external_id=external_id))

    async def typing(self, address: Address) -> None:
        self._keep(Sent(verb="typing", address=address))

    async def reconcile(
        self, address: Address, delivery_id: str
    ) -> Receipt | Literal["absent"] | None:
        return self.proof

    def invitation(self, code: str) -> str | None:
        return self.door and f"{self.door}?start={code}"

    def texts(self) -> list[str]:
        """What was sent, in order."""
        return [one.message.text for one in self.sent if one.verb == "send" and one.message]

    def screen(self, chat: str) -> list[str]:
        """What somebody in `chat` sees now, edits and deletions applied."""
        shown: dict[str, str] = {}
        for one in self.sent:
            if one.address.chat != chat or one.verb == "typing":
                continue
            if one.verb == "delete":
                shown.pop(one.external_id, None)
            elif one.message is not None:
                shown[one.external_id] = one.message.text
        return list(shown.values())

    def can(self, **abilities: Any) -> None:
        """Change some capabilities, e.g. `can(buttons_max=0)`."""
        self.capabilities = replace(self.capabilities, **abilities)

    def _keep(self, what: Sent) -> None:
        if self._fails:
            self.failed += 1
            raise self._fails.pop(0)
        self.sent.append(what)


def build(settings: Settings, parts: Parts) -> MemoryChannel:
    return MemoryChannel(account=settings.account)
