"""`tandem chat` beside a running server: a visitor of its web chat, people included."""

import asyncio
import contextlib
from typing import Any

from commands.deployment import Deployment
from commands.failures import CommandFailed
from commands.line import Server
from commands.questions import print_citations, read_line
from commands.screen import hint, say
from rag.types import Citation
from storage.ids import new_id

_POLL_WAIT_S = 3  # short: leaving waits for the poll that is under way
_RETRY_S = 1.0


async def converse(deployment: Deployment) -> None:
    """Talk until an empty line. What others write is printed when it comes."""
    status = await asyncio.to_thread(Server(deployment.folders.admin_socket).call, "GET", "/status")
    url: str = status["local_url"]
    opened = await asyncio.to_thread(Server(url).call, "POST", "/chat/sessions", {})
    visitor = Server(url, opened["token"])
    hint(f"Connected to {url}. An empty line ends it; a number presses a button.")
    conversation = _Conversation(visitor, int(opened["after"]))
    listening = asyncio.create_task(conversation.listen())
    try:
        while text := await read_line():
            await conversation.say(text)
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


class _Conversation:
    """What was read so far, and the buttons under the last message."""

    def __init__(self, server: Server, after: int) -> None:
        self._server = server
        self._after = after
        self._buttons: list[dict[str, str]] = []

    async def say(self, text: str) -> None:
        body: dict[str, str] = {"client_message_id": new_id()}
        if text.isdecimal() and 1 <= int(text) <= len(self._buttons):
            body["action"] = self._buttons[int(text) - 1]["action"]
        else:
            body["text"] = text
        try:
            await asyncio.to_thread(self._server.call, "POST", "/chat/messages", body)
        except CommandFailed as error:
            hint(str(error))

    async def listen(self) -> None:
        """Print what comes, for ever."""
        while True:
            path = f"/chat/messages?after={self._after}&wait={_POLL_WAIT_S}"
            try:
                news: Any = await asyncio.to_thread(self._server.call, "GET", path)
            except CommandFailed as error:
                hint(str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            self._after = news["next"]
            for item in news["items"]:
                self._print(item)

    def _print(self, item: dict[str, Any]) -> None:
        if item["author"] == "customer":
            return
        say(f"{item.get('agent') or item['author']}: {item['text']}")
        print_citations([Citation(**citation) for citation in item.get("citations", ())])
        self._buttons = item.get("buttons") or self._buttons
        for number, button in enumerate(item.get("buttons", ()), start=1):
            say(f"  {number}  {button['label']}")
