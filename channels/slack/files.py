"""Files both ways, as bytes and never as public links.

Out: an address, the bytes, then completing, which is the one step that people see. The SDK's own
upload loses the file's id when it fails between them, so each step is a call of ours. Completing
may say ok without sharing: only the file's own list of places proves it.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from channels.slack import blocks
from channels.slack.api import Api
from channels.slack.errors import FormatRefused
from channels.slack.fields import Json, inside, many, word
from gateway.errors import Ambiguous, ChannelError, Refused, Unavailable
from gateway.files import Files
from gateway.messages import Address, Attachment, OutboundMessage, Receipt

SEND_WAIT_S = 45.0  # in all: a delivery is looked after by somebody else from 60 on
SHARES_LOOKS_S = (0.0, 0.5, 1.0, 2.0, 4.0)  # waits before each look for the shared message


class Uploads:
    """Sends messages with files."""

    def __init__(
        self,
        api: Api,
        files: Files,
        *,
        looks_s: Sequence[float] = SHARES_LOOKS_S,
        send_wait_s: float = SEND_WAIT_S,
    ) -> None:
        self._api = api
        self._files = files
        self._looks_s = looks_s
        self._send_wait_s = send_wait_s

    async def send(self, place: Address, message: OutboundMessage) -> Receipt:
        """Text and files as one message. Raises a leaf of ChannelError."""
        uploaded: list[dict[str, str]] = []
        try:
            async with asyncio.timeout(self._send_wait_s):
                handed_in = [await self._hand_in(file) for file in message.attachments]
                uploaded += handed_in
                await self._show(place, message, uploaded)
                return Receipt((await self._shared(place, uploaded[0]["id"]),))
        except TimeoutError:
            kind = Ambiguous if uploaded else Unavailable
            raise kind("handing the files in took too long") from None

    async def _show(
        self, place: Address, message: OutboundMessage, files: Sequence[dict[str, str]]
    ) -> None:
        try:
            await self._complete(place, files, blocks=json.dumps(blocks.blocks(message)))
        except FormatRefused:
            await self._complete(place, files, initial_comment=blocks.plain_text(message))

    async def _hand_in(self, file: Attachment) -> dict[str, str]:
        """One file, seen by nobody yet. Doubt does no harm here: it is simply handed in again."""
        try:
            content = await asyncio.to_thread(self._files.load, file.reference)
        except FileNotFoundError:
            raise Refused(f"the file {file.name} is not kept any more") from None
        if not content:
            raise Refused(f"the file {file.name} is empty")
        name = file.name or "file"
        try:
            given = await self._api.call(
                "files.getUploadURLExternal", filename=name, length=str(len(content))
            )
            await self._api.upload(str(given["upload_url"]), content)
        except Ambiguous as error:
            raise Unavailable(f"the file was not handed in ({error})") from None
        return {"id": str(given["file_id"]), "title": name}

    async def _complete(self, place: Address, files: Sequence[dict[str, str]], **said: Any) -> None:
        await self._api.call(
            "files.completeUploadExternal", files=json.dumps(files), channel_id=place.chat,
            thread_ts=place.thread or None, **said,
        )  # fmt: skip

    async def _shared(self, place: Address, file_id: str) -> str:
        """The message that shows the file. Raises Ambiguous, whatever goes wrong in looking: Slack
        took it, and it may still come."""
        for wait_s in self._looks_s:
            await asyncio.sleep(wait_s)
            try:
                file = inside(await self._api.call("files.info", file=file_id), "file")
            except ChannelError as error:
                raise Ambiguous(f"Slack took the file and does not say where ({error})") from None
            if ts := _share_of(file, place.chat):
                return ts
        raise Ambiguous("Slack took the file and has not shown it")


def _share_of(file: Json, chat: str) -> str | None:
    shares = inside(file, "shares")
    for kind in ("public", "private"):
        for share in many(inside(shares, kind), chat):
            return word(share, "ts")
    return None


async def fetch(api: Api, attachment: Attachment, *, bytes_max: int) -> bytes:
    """The bytes of a customer's file. Raises a leaf of ChannelError."""
    file = inside(await api.call("files.info", file=attachment.reference), "file")
    if int(file.get("size") or 0) > bytes_max:
        raise Refused(f"the file is larger than {bytes_max} bytes")
    url = word(file, "url_private_download") or word(file, "url_private")
    if not url:
        raise Refused("Slack does not give this file out")
    return await api.download(url, bytes_max=bytes_max)
