"""What comes along with a Telegram message: a file that can be fetched, or its typed stand-in."""

from collections.abc import Callable

from telegram import Message

from gateway.messages import Attachment
from storage.text import repair_text, without_hidden

LABEL_CHARS_MAX = 200
UNREAD = "unread_"  # in front of the name of a content that the parser does not know or stand


def label(text: str | None, chars_max: int = LABEL_CHARS_MAX) -> str:
    """A name from outside on one line, without what cannot be seen."""
    return " ".join(without_hidden(repair_text(text or "")).split())[:chars_max]


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    """The one thing that a message carries; several come as an album, one message each."""
    for kind in _KINDS:
        if found := kind(message):
            return (found,)
    if name := _name_of_other(message):
        return (Attachment(kind="unsupported", name=name),)
    return ()


def _photo(message: Message) -> Attachment | None:
    if not message.photo:
        return None
    largest = max(message.photo, key=lambda size: size.width * size.height)
    return Attachment(
        kind="image", media_type="image/jpeg", size_bytes=largest.file_size or 0,
        reference=largest.file_id,
    )  # fmt: skip


def _voice(message: Message) -> Attachment | None:
    if not (voice := message.voice):
        return None
    return Attachment(
        kind="voice", media_type=label(voice.mime_type) or "audio/ogg",
        size_bytes=voice.file_size or 0, reference=voice.file_id,
    )  # fmt: skip


def _sticker(message: Message) -> Attachment | None:
    if not (sticker := message.sticker):
        return None
    return Attachment(
        kind="sticker", name=label(sticker.emoji), size_bytes=sticker.file_size or 0,
        reference=sticker.file_id,
    )  # fmt: skip


def _file(message: Message) -> Attachment | None:
    """A document, a piece of music, a film; an animation is a document, too."""
    found = message.document or message.audio or message.video
    if not found:
        return None
    media_type = label(found.mime_type)
    return Attachment(
        kind="image" if media_type.startswith("image/") else "file",
        name=label(found.file_name), media_type=media_type,
        size_bytes=found.file_size or 0, reference=found.file_id,
    )  # fmt: skip


def _video_note(message: Message) -> Attachment | None:
    if not (note := message.video_note):
        return None
    return Attachment(
        kind="file", media_type="video/mp4", size_bytes=note.file_size or 0,
        reference=note.file_id,
    )  # fmt: skip


def _place(message: Message) -> Attachment | None:
    where = message.venue.location if message.venue else message.location
    if not where:
        return None
    point = f"{where.latitude:.6f}, {where.longitude:.6f}"
    title = message.venue and f"{message.venue.title}, {message.venue.address} ({point})"
    return Attachment(kind="location", name=label(title or point))


def _contact(message: Message) -> Attachment | None:
    if not (card := message.contact):
        return None
    words = (card.first_name, card.last_name, card.phone_number)
    return Attachment(kind="contact", name=label(" ".join(filter(None, words))))


def _question(message: Message) -> Attachment | None:
    if message.poll:
        return Attachment(kind="unsupported", name=label(f"poll: {message.poll.question}"))
    if message.dice:
        return Attachment(kind="unsupported", name=label(f"dice: {message.dice.emoji}"))
    return None


def _name_of_other(message: Message) -> str:
    """What else it carries: a kind that we have no word for, or one newer than the parser."""
    if message.effective_attachment is not None:
        return label(type(message.effective_attachment).__name__.lower())
    if message.text or message.caption:
        return ""
    return label(next(iter(message.api_kwargs), "").removeprefix(UNREAD))


_KINDS: tuple[Callable[[Message], Attachment | None], ...] = (
    _photo, _voice, _sticker, _file, _video_note, _place, _contact, _question,
)  # fmt: skip
