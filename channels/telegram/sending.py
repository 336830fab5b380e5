"""A message on its way to Telegram: words with spans, buttons, files. Once, without any retry."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import structlog
from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaDocument,
    InputMediaPhoto,
    Message,
    MessageEntity,
    ReplyParameters,
)

from channels.telegram.api import NO_PREVIEW, Api
from channels.telegram.markup import Formatted, formatted
from channels.telegram.outcomes import FormatRefused, ImageRefused, LengthRefused, NoText, Same
from gateway.errors import Ambiguous, ChannelError, Missing, Refused
from gateway.files import Files
from gateway.messages import Address, Attachment, Button, OutboundMessage, Receipt
from gateway.render import split, units

log = structlog.get_logger()

TEXT_UNITS_MAX = 4_096
CAPTION_UNITS_MAX = 1_024
PHOTO_BYTES_MAX = 10_000_000
ALBUM_MAX = 10
STEP_WAIT_S = 1.2  # between two messages to one chat, which takes one a second
ROW_CHARS_MAX = 30  # of the labels that share a row
LABEL_CHARS_MAX = 128
_PHOTOS = ("image/jpeg", "image/png")

Step = Callable[[], Awaitable[Sequence[Message]]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Content:
    """One of our own files, loaded."""

    attachment: Attachment
    content: bytes

    @property
    def is_photo(self) -> bool:
        return self.attachment.media_type in _PHOTOS and len(self.content) <= PHOTO_BYTES_MAX

    def upload(self, *, in_album: bool = False) -> InputFile:
        name = self.attachment.name or "file"
        return InputFile(self.content, filename=name, attach=in_album)


class Sender:
    """Sends for one bot; `files` keeps what agents attached."""

    def __init__(self, api: Api, files: Files, *, sleep: Sleep) -> None:
        self._api = api
        self._files = files
        self._sleep = sleep

    async def send(self, address: Address, message: OutboundMessage) -> Receipt:
        to = _where(address) | _replying(message)
        contents = [await self._load(one) for one in message.attachments]
        steps = self._steps(to, message, contents)
        if not steps:
            raise Refused("there is nothing in it to be shown")
        sent: list[str] = []
        for step in steps:
            if sent:
                await self._sleep(STEP_WAIT_S)
            try:
                sent += [str(one.message_id) for one in await step()]
            except ChannelError as error:
                if not sent:
                    raise
                # A retry would show the first part twice.
                raise Ambiguous(f"only a part of it arrived ({error})") from None
        return Receipt(tuple(sent))

    async def edit(self, address: Address, external_id: str, message: OutboundMessage) -> None:
        """Safe to repeat: a message that reads like this already is done."""
        target = {"chat_id": _where(address)["chat_id"], "message_id": _number(external_id)}
        target["reply_markup"] = keyboard(message.buttons)
        try:
            await _plainly(formatted(message.text), lambda shown: self._change(target, shown))
        except Same:
            return

    async def delete(self, address: Address, external_id: str) -> None:
        with self._api.calling():
            await self._api.bot.delete_message(_where(address)["chat_id"], _number(external_id))

    async def typing(self, address: Address) -> None:
        with self._api.calling():
            await self._api.bot.send_chat_action(action="typing", **_where(address))

    async def _change(self, target: dict[str, Any], shown: Formatted) -> Sequence[Message]:
        try:
            with self._api.calling():
                await self._api.bot.edit_message_text(
                    shown.text, entities=_entities(shown), link_preview_options=NO_PREVIEW, **target
                )
        except NoText:
            with self._api.calling():
                await self._api.bot.edit_message_caption(
                    caption=shown.text, caption_entities=_entities(shown), **target
                )
        return ()

    def _steps(
        self, to: dict[str, Any], message: OutboundMessage, contents: list[_Content]
    ) -> list[Step]:
        """The calls that it takes: one, unless words are too many for a file's caption or have
        buttons that an album cannot carry."""
        words = formatted(message.text)
        to_words = to | {"reply_markup": keyboard(message.buttons)}
        if not contents:
            return [
                lambda part=part: self._words(to_words, part)
                for part in ([words] if words.text else [])
            ]
        fits = units(words.text, "utf16") <= CAPTION_UNITS_MAX
        if len(contents) == 1 and fits:
            return [lambda: self._file(to_words, contents[0], words)]
        caption = words if fits and not message.buttons else Formatted("")
        steps: list[Step] = []
        for first in range(0, len(contents), ALBUM_MAX):
            several = contents[first : first + ALBUM_MAX]
            steps.append(lambda several=several, on=caption: self._album(to, several, on))
            caption = Formatted("") if caption.text else caption
        if words.text and not (fits and not message.buttons):
            steps.append(lambda: self._words(to_words, words))
        return steps

    async def _words(self, to: dict[str, Any], words: Formatted) -> Sequence[Message]:
        try:
            return await _plainly(words, lambda shown: self._post(to, shown))
        except LengthRefused:  # longer by Telegram's own count than by ours
            return await self._shorter(to, words.text)

    async def _post(self, to: dict[str, Any], shown: Formatted) -> Sequence[Message]:
        with self._api.calling():
            return [
                await self._api.bot.send_message(
                    text=shown.text, entities=_entities(shown), link_preview_options=NO_PREVIEW,
                    **to,
                )
            ]  # fmt: skip

    async def _shorter(self, to: dict[str, Any], text: str) -> Sequence[Message]:
        """In smaller pieces; the buttons are below the last one."""
        *others, last = split(text, units(text, "utf16") * 3 // 4, "utf16")
        pieces = [(to | {"reply_markup": None}, one) for one in others] + [(to, last)]
        sent: list[Message] = []
        for where, piece in pieces:
            try:
                sent += await self._post(where, Formatted(piece))
            except ChannelError as error:
                if not sent:
                    raise
                raise Ambiguous(f"only a part of it arrived ({error})") from None
            if piece is not last:
                await self._sleep(STEP_WAIT_S)
        return sent

    async def _file(
        self, to: dict[str, Any], file: _Content, words: Formatted
    ) -> Sequence[Message]:
        async def post(shown: Formatted, *, as_photo: bool) -> Sequence[Message]:
            caption = {"caption": shown.text or None, "caption_entities": _entities(shown)}
            with self._api.calling():
                if as_photo:
                    return [await self._api.bot.send_photo(photo=file.upload(), **caption, **to)]
                return [await self._api.bot.send_document(document=file.upload(), **caption, **to)]

        async def either(shown: Formatted) -> Sequence[Message]:
            try:
                return await post(shown, as_photo=file.is_photo)
            except ImageRefused:
                if not file.is_photo:
                    raise
                return await post(shown, as_photo=False)

        return await _plainly(words, either)

    async def _album(
        self, to: dict[str, Any], several: list[_Content], words: Formatted
    ) -> Sequence[Message]:
        """Pictures together as pictures; with anything else among them, all as files."""
        if len(several) == 1:
            return await self._file(to, several[0], words)
        kind = InputMediaPhoto if all(one.is_photo for one in several) else InputMediaDocument

        async def post(shown: Formatted) -> Sequence[Message]:
            media = [kind(one.upload(in_album=True)) for one in several[:-1]]
            last = kind(several[-1].upload(in_album=True), caption=shown.text or None,
                        caption_entities=_entities(shown))  # fmt: skip
            with self._api.calling():
                return await self._api.bot.send_media_group(media=[*media, last], **to)

        return await _plainly(words, post)

    async def _load(self, attachment: Attachment) -> _Content:
        try:
            content = await asyncio.to_thread(self._files.load, attachment.reference)
        except FileNotFoundError:
            raise Refused("the attached file is not kept any more") from None
        return _Content(attachment, content)


async def _plainly(
    words: Formatted, post: Callable[[Formatted], Awaitable[Sequence[Message]]]
) -> Sequence[Message]:
    """With its formatting; if that is certainly refused, once more without."""
    try:
        return await post(words)
    except FormatRefused as error:
        if not words.spans:
            raise
        log.warning("formatting_refused", error=str(error))
        return await post(Formatted(words.text))


def keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """Buttons in rows: short ones side by side, as a rating's stars; long ones below each other."""
    if not buttons:
        return None
    row, used, rows = 0, 0, list[tuple[int, Button]]()
    for button in buttons:
        size = len(button.label)
        if used and used + size > ROW_CHARS_MAX:
            row, used = row + 1, 0
        used += size
        rows.append((row, button))
    return InlineKeyboardMarkup([
        [
            InlineKeyboardButton(_short(button.label), callback_data=button.action)
            for _, button in together
        ]
        for _, together in groupby(rows, key=lambda one: one[0])
    ])  # fmt: skip


def _short(label: str) -> str:
    return label if len(label) <= LABEL_CHARS_MAX else label[: LABEL_CHARS_MAX - 1] + "…"


def _entities(words: Formatted) -> list[MessageEntity] | None:
    return [
        MessageEntity(span.kind, span.start, span.length, url=span.url or None)
        for span in words.spans
    ] or None


def _where(address: Address) -> dict[str, Any]:
    topic = address.thread.partition(".")[0]
    try:
        to = {"chat_id": int(address.chat)}
        return to | ({"message_thread_id": int(topic)} if topic.strip("0") else {})
    except ValueError:
        raise Refused("this is no place of Telegram's") from None


def _replying(message: OutboundMessage) -> dict[str, Any]:
    """Below the message that is answered, where that is one of this chat and still there."""
    if not message.reply_to or not message.reply_to.isdigit():
        return {}
    answered = ReplyParameters(int(message.reply_to), allow_sending_without_reply=True)
    return {"reply_parameters": answered}


def _number(external_id: str) -> int:
    if not external_id.isdigit():
        raise Missing("this is no message of Telegram's")
    return int(external_id)
