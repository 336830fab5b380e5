"""What a stored mail says. Everything in it is hostile: its sizes, its forms and its sender.

`From` is a claim that anybody can make, so nobody is `verified` and no address becomes a verified
e-mail. `Authentication-Results` would not help: who else may write that header depends on every
server that the mail passed. Answers go to the address itself, so a forger never reads them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from email.policy import Compat32
from email.utils import getaddresses
from functools import cached_property
from typing import Literal, TypeAlias, cast

from channels.email.quoting import own_words
from gateway.messages import Address, Attachment, InboundMessage, RawEvent, Sender
from rag.errors import SourceUnreadable
from rag.html import article
from storage.text import repair_text

HEAD_BYTES_MAX = 65_536  # in which a mail's headers end
HEADER_CHARS_MAX = 4_000  # of one header field; the rest of a longer one is not read
BORDERS_MAX = 2_000  # lines that begin like a border between parts
PARTS_MAX = 100
FILES_MAX = 50
TEXT_CHARS_MAX = 40_000
HTML_CHARS_MAX = 50_000
HTML_DEPTH_MAX = 100
NAME_CHARS_MAX = 120
SUBJECT_CHARS_MAX = 300

OURS = "tandem."  # how the ids of our own mails begin
SHORTENED = "shortened"  # the event's header that says: too large, only the mail's headers are here
ARRIVED = "arrived"

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_ID = re.compile(r"<[^<>\s@]{1,200}@[^<>\s@]{1,200}>")
ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@]{1,64}@[^\s<>()\[\],;:\\\"@]{1,189}")
_AGAIN = re.compile(
    r"\s*(?:(?:re|aw|sv|fw|fwd|回复|回覆|答复|转发)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE
)
_NOBODY = re.compile(r"(?:mailer-daemon|postmaster|(?:no|do-?not)[._-]?reply)(?:[+._-].*)?@.*")
_OF_MACHINES = ("List-Id", "List-Unsubscribe", "X-Autoreply", "X-Autorespond")
# Not every codec of Python: some take quadratic time, some are no text at all.
_CHARSET = re.compile(
    r"(?:us-)?ascii|utf-?(?:8|16|32)(?:-?[bl]e)?|(?:iso-?)?(?:8859|2022)-?[\w-]+|latin-?\d+"
    r"|(?:windows|cp|ibm)-?\d+|koi8-[ru]|gbk?|gb-?2312|gb-?18030|hz(?:-gb-2312)?|big5(?:-?hkscs)?"
    r"|euc-?\w+|shift[-_]?jis|tis-?620|mac\w*"
)


_KINDS: dict[str, Literal["image", "voice"]] = {"image": "image", "audio": "voice"}
_Part: TypeAlias = "Message[str, str]"  # no subscript at run time before Python 3.13


class _Bounded(Compat32):
    """Cuts a header field before anybody parses it: the parsers of its parameters are quadratic."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:HEADER_CHARS_MAX]


_POLICY = _Bounded()


class TooManyParts(ValueError):
    """Nobody writes such a mail: taking it apart would take all memory."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The fields that people and programs answer by."""

    message_id: str = ""
    subject: str = ""
    references: tuple[str, ...] = ()


def read(event: RawEvent, *, own_address: str) -> InboundMessage | None:
    """The message in a mail; None for our own mails and for what a machine sent."""
    mail = Mail(event.body)
    writer = mail.writer
    if writer is None or writer.external_id == own_address.lower() or mail.is_automatic:
        return None
    place = event.external_id.split(".", 1)[-1]
    files = tuple(mail.files(place))
    if event.headers.get(SHORTENED):
        files = (Attachment(kind="unsupported", name=mail.headers.subject[:NAME_CHARS_MAX]),)
    return InboundMessage(
        address=Address(channel=event.channel, account=event.account, chat=writer.external_id),
        external_id=mail.headers.message_id or place,
        sender=writer,
        text=mail.text,
        attachments=files,
        reply_to=mail.headers.references[-1] if mail.headers.references else None,
        sent_at=_moment(event.headers.get(ARRIVED, "")),
    )


def headers_of(raw: bytes) -> Headers:
    """The headers of a mail of which `raw` is at least the beginning. Never raises: taking a mail
    in, and answering it, must not depend on how it is made."""
    end = _END_OF_HEADERS.search(raw, 0, HEAD_BYTES_MAX)
    try:
        return Mail(raw[: end.end() if end else HEAD_BYTES_MAX]).headers
    except Exception:  # what cannot be read is set aside when it is parsed, with its reason
        return Headers()


def base_subject(subject: str) -> str:
    """Without the marks that answers and forwards put before it."""
    return _AGAIN.sub("", subject, count=1).strip()


class Mail:
    """One mail, taken apart once. Raises TooManyParts, or RecursionError for parts in parts."""

    def __init__(self, raw: bytes) -> None:
        if raw.count(b"\n--") > BORDERS_MAX:
            raise TooManyParts("more borders between parts than a mail has")
        self._mail = message_from_bytes(raw, policy=_POLICY)
        for part in self._mail.walk():
            # The library decodes by whatever codec a part names, when it is only asked for bytes.
            if (charset := part.get_content_charset()) and not _CHARSET.fullmatch(charset):
                part.del_param("charset")

    def header(self, name: str) -> str:
        """The first field of that name, decoded, on one line."""
        wanted = name.lower()
        for found, value in self._mail.raw_items():
            if found.lower() == wanted:
                return _one_line(_decoded(str(value)))
        return ""

    @cached_property
    def headers(self) -> Headers:
        above = _ID.findall(self.header("References")) + _ID.findall(self.header("In-Reply-To"))
        own = _ID.search(self.header("Message-ID"))
        return Headers(
            message_id=own.group() if own else "",
            subject=self.header("Subject")[:SUBJECT_CHARS_MAX],
            references=tuple(dict.fromkeys(reversed(above)))[::-1],
        )

    @cached_property
    def writer(self) -> Sender | None:
        """Who gets the answer: the address for answers if there is one, else the sender's."""
        for field in ("Reply-To", "From"):
            for name, address in getaddresses([self.header(field)]):
                if ADDRESS.fullmatch(address):
                    shown = "" if "@" in name else name.strip()[:NAME_CHARS_MAX]
                    return Sender(external_id=address.lower(), name=shown)
        return None

    @property
    def is_automatic(self) -> bool:
        """Bounces, out-of-office notes, lists and our own mails: answering those makes loops."""
        told = self.header("Auto-Submitted").split(";")[0].strip().lower()
        return (
            told not in ("", "no")
            or self.header("Precedence").lower() in ("bulk", "junk", "list", "auto_reply")
            or any(map(self.header, _OF_MACHINES))
            or self.header("Return-Path").replace(" ", "") == "<>"
            or self._mail.get_content_type() == "multipart/report"
            or self.headers.message_id.startswith(f"<{OURS}")
            or (self.writer is not None and bool(_NOBODY.fullmatch(self.writer.external_id)))
        )

    @property
    def text(self) -> str:
        """What its writer said. A first mail's subject is part of it: many ask only there."""
        plain = [self._words(part) for part in self._texts("text/plain")]
        said = own_words("\n\n".join(filter(None, (one.strip() for one in plain))))
        if not said:
            pages = [_from_html(self._words(part)) for part in self._texts("text/html")]
            said = own_words("\n\n".join(filter(None, pages)))
        subject = self.headers.subject
        if subject and not self.headers.references and not _AGAIN.match(subject):
            said = f"{subject}\n\n{said}".strip()
        return said[:TEXT_CHARS_MAX]

    def files(self, place: str) -> Iterator[Attachment]:
        """What is no text, as stand-ins whose reference says where the bytes are."""
        found = 0
        for number, part in self._leaves():
            if found < FILES_MAX and _is_file(part):
                found += 1
                kind = part.get_content_type()
                yield Attachment(
                    kind=_KINDS.get(part.get_content_maintype(), "file"),
                    name=_name(part), media_type=kind, size_bytes=len(_bytes(part)),
                    reference=f"{place}:{number}",
                )  # fmt: skip

    def content(self, number: int) -> bytes | None:
        """The bytes of a part; None when there is no such part."""
        return next((_bytes(part) for found, part in self._leaves() if found == number), None)

    def _texts(self, kind: str) -> Iterator[_Part]:
        for _, part in self._leaves():
            if part.get_content_type() == kind and not _is_file(part):
                yield part

    def _leaves(self) -> Iterator[tuple[int, _Part]]:
        """The parts that hold something, in order; a mail within the mail is one of them."""
        open_parts, number = [self._mail], 0
        while open_parts and number < PARTS_MAX:
            part = open_parts.pop()
            inner = part.get_payload()
            if isinstance(inner, list) and part.get_content_maintype() == "multipart":
                open_parts += reversed(cast("list[_Part]", inner))
                continue
            yield number, part
            number += 1

    def _words(self, part: _Part) -> str:
        raw = _bytes(part)[: TEXT_CHARS_MAX * 8]
        text = repair_text(_text(raw, part.get_content_charset() or ""))
        if str(part.get_param("format", "")).lower() == "flowed":
            text = _unfolded(text)
        return text[: TEXT_CHARS_MAX * 2]


def _is_file(part: _Part) -> bool:
    if part.get_content_disposition() == "attachment" or part.get_filename():
        return True
    return part.get_content_type() not in ("text/plain", "text/html")


def _name(part: _Part) -> str:
    name = _one_line(_decoded(str(part.get_filename() or "")))
    return re.split(r"[/\\]", name)[-1][:NAME_CHARS_MAX]


def _bytes(part: _Part) -> bytes:
    inner = part.get_payload()
    if isinstance(inner, list):  # a mail within the mail
        return b"".join(one.as_bytes() for one in cast("list[_Part]", inner))
    raw = part.get_payload(decode=True)
    return raw if isinstance(raw, bytes) else b""


def _from_html(page: str) -> str:
    """A page as text: its quotes become lines with ">"."""
    try:
        return article(page[:HTML_CHARS_MAX], depth_max=HTML_DEPTH_MAX)[1].strip()
    except SourceUnreadable:
        return ""


def _unfolded(text: str) -> str:
    """RFC 3676: a line that ends with a space goes on in the next one."""
    lines: list[str] = []
    goes_on = False
    for line in text.split("\n"):
        bare = line.removeprefix(" ")
        if goes_on and not bare.startswith(">") and bare != "-- ":
            lines[-1] += bare
        else:
            lines.append(bare)
        goes_on = bare.endswith(" ") and bare != "-- " and not bare.startswith(">")
    return "\n".join(lines)


def _decoded(value: str) -> str:
    """A field's encoded words as text; what cannot be decoded stays as it is."""
    try:
        pieces = decode_header(_text(value.encode("utf-8", "surrogateescape"), ""))
    except ValueError:
        return value
    return "".join(
        _text(piece, charset or "") if isinstance(piece, bytes) else piece
        for piece, charset in pieces
    )


def _text(raw: bytes, charset: str) -> str:
    """`raw` in its charset. Without a known one it is UTF-8, or else Chinese as of old."""
    name = charset.strip().lower()
    if name in ("gb2312", "gb_2312-80", "gbk", "x-gbk"):
        name = "gb18030"  # which holds the others, and is what is meant
    if _CHARSET.fullmatch(name):
        try:
            return raw.decode(name, "replace")
        except (LookupError, ValueError):
            pass
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")


def _one_line(text: str) -> str:
    return " ".join(repair_text(text).split())


def _moment(said: str) -> datetime | None:
    """When the mail server took it: its own clock, not the sender's."""
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None
