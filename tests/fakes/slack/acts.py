"""What people do in the workspace."""

import copy
from typing import Any

from tests.fakes.slack.events import Parcel
from tests.fakes.slack.screen import Shown, shown
from tests.fakes.slack.server import SlackServer
from tests.fakes.slack.workspace import (
    APP,
    BOT,
    TEAM,
    File,
    Json,
    Person,
    Place,
)


class Acts:
    """The hands and eyes of people. Each act is told to the app before it returns."""

    def __init__(self, server: SlackServer) -> None:
        self.server = server
        self.workspace = server.workspace
        self.events = server.events

    def person(self, name: str, **more: Any) -> Person:
        return self.workspace.add_person(name, **more)

    def channel(self, name: str, **more: Any) -> Place:
        return self.workspace.add_channel(name, **more)

    # Saying

    async def say(
        self, person: Person, text: str, place: Place | None = None, *, thread: str = "",
        **more: Any,
    ) -> str:  # fmt: skip
        """Write a message, in a direct message where no place is named; its ts."""
        place = place or self.workspace.direct(person)
        message = self._message(person, place, text, **more)
        if thread:
            message["thread_ts"] = thread
        place.messages.append(message)
        await self.events.posted(place, message)
        return message["ts"]

    async def broadcast(self, person: Person, text: str, place: Place, thread: str) -> str:
        """A reply that is shown in the channel, too: it is told twice."""
        message = self._message(person, place, text, thread_ts=thread, subtype="thread_broadcast")
        place.messages.append(message)
        await self.events.posted(place, message)
        await self.events.posted(place, message)
        return message["ts"]

    async def share(
        self, person: Person, name: str, content: bytes, text: str = "", media: str = "text/plain"
    ) -> File:
        """Upload a file into the direct message."""
        file = File(self.workspace.new_id("F"), name, media, len(content), content)
        self.workspace.files[file.id] = file
        raw = self.workspace.file_json(file, self.server.url)
        await self.say(person, text, subtype="file_share", files=[raw])
        return file

    async def bot_says(self, text: str, place: Place) -> None:
        """Another app posts."""
        message: Json = {
            "type": "message", "subtype": "bot_message", "bot_id": "B0OTHER", "text": text,
            "ts": self.workspace.new_ts(), "username": "other",
        }  # fmt: skip
        place.messages.append(message)
        await self.events.posted(place, message)

    async def edit(self, place: Place, ts: str, text: str) -> None:
        message = self._find(place, ts)
        before = copy.deepcopy(message)
        message["text"] = text
        message["edited"] = {"user": message["user"], "ts": self.workspace.new_ts()}
        await self.events.changed(place, before, message)

    async def unfurl(self, place: Place, ts: str) -> None:
        """Slack shows a preview below a message: a change without other words."""
        message = self._find(place, ts)
        before = copy.deepcopy(message)
        message["attachments"] = [{"title": "A page", "from_url": "https://example.com"}]
        await self.events.changed(place, before, message)

    async def delete(self, place: Place, ts: str) -> None:
        """A message goes; the root of a thread leaves a stone behind."""
        message = self._find(place, ts)
        if any(one.get("thread_ts") == ts and one["ts"] != ts for one in place.messages):
            before = copy.deepcopy(message)
            message |= {"subtype": "tombstone", "text": "This message was deleted.",
                        "user": "USLACKBOT"}  # fmt: skip
            await self.events.changed(place, before, message)
            return
        place.messages.remove(message)
        await self.events.deleted(place, message)

    async def press(self, person: Person, place: Place, label: str) -> None:
        """Press the newest button with that label."""
        message, element, block = next(
            (message, element, block)
            for message in reversed(place.messages)
            for block in message.get("blocks", ())
            if block["type"] == "actions"
            for element in block["elements"]
            if element["text"]["text"] == label
        )
        container = {"type": "message", "message_ts": message["ts"], "channel_id": place.id,
                     "is_ephemeral": False}  # fmt: skip
        if "thread_ts" in message:
            container["thread_ts"] = message["thread_ts"]
        await self.events.send(Parcel(kind="interactive", payload={
            "type": "block_actions", "team": {"id": TEAM, "domain": "tandem"},
            "user": {"id": person.id, "username": person.name, "team_id": person.team},
            "api_app_id": APP, "token": "unused", "container": container,
            "trigger_id": self.workspace.new_id("Tr"),
            "channel": {"id": place.id, "name": place.name or "directmessage"},
            "message": {k: v for k, v in message.items() if k != "_request"},
            "response_url": "https://hooks.slack.example/actions",
            "actions": [{"action_id": element["action_id"], "block_id": block["block_id"],
                         "text": element["text"], "value": element["value"], "type": "button",
                         "action_ts": self.workspace.new_ts()}],
        }))  # fmt: skip

    # Seeing

    def screen(self, place: Place, thread: str = "") -> list[Shown]:
        """What the app posted there, as people see it."""
        return [
            shown(one) for one in place.messages
            if one.get("bot_id") == BOT and one.get("thread_ts", "") == thread
        ]  # fmt: skip

    def texts(self, place: Place, thread: str = "") -> list[str]:
        return [one.text for one in self.screen(place, thread)]

    def _message(self, person: Person, place: Place, text: str, **more: Any) -> Json:
        message: Json = {
            "type": "message", "user": person.id, "text": text, "team": person.team,
            "ts": self.workspace.new_ts(), "client_msg_id": self.workspace.new_id("m"), **more,
        }  # fmt: skip
        if person.team != TEAM:
            message |= {"user_team": person.team, "source_team": person.team}
        return message

    def _find(self, place: Place, ts: str) -> Json:
        message = place.message(ts)
        assert message is not None, f"there is no message {ts}"
        return message
