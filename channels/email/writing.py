"""A reply as a mail: plain text, in the thread of what it answers, and marked as ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from channels.email.reading import ADDRESS, OURS, Headers, base_subject
from gateway.messages import OutboundMessage

REFERENCES_MAX = 20
# One field is one line: some programs lose a thread whose ids are folded. 7 bits pass every server.
_POLICY = SMTP.clone(max_line_length=998, cte_type="7bit")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class File:
    """An attachment with its bytes."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Who writes to whom, and in answer to what; `subject` is for a talk that has none."""

    sender: str
    sender_name: str
    recipient: str
    subject: str
    answers: Headers
    moment: datetime


def message_id(delivery_id: str, sender: str) -> str:
    """The id of the mail of a delivery: always the same, so that it can be looked for."""
    return f"<{OURS}{delivery_id}@{sender.rpartition('@')[2].lower()}>"


def compose(message: OutboundMessage, envelope: Envelope, files: Sequence[File]) -> bytes:
    """The mail as bytes. Raises ValueError for an address that no header can carry."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = _mailbox(envelope.sender_name, envelope.sender)
    mail["To"] = _mailbox("", envelope.recipient)
    mail["Subject"] = _subject(envelope)
    mail["Date"] = format_datetime(envelope.moment)
    mail["Message-ID"] = message_id(message.delivery_id, envelope.sender)
    above = envelope.answers
    if above.message_id:
        mail["In-Reply-To"] = above.message_id
        kept = (*above.references[-(REFERENCES_MAX - 1) :], above.message_id)
        mail["References"] = " ".join(dict.fromkeys((*above.references[:1], *kept)))
    # RFC 3834: automatic answers are kept from meeting each other. The gateway does not say whether
    # a text is the bot's or a person's, and a person's loses nothing by it.
    mail["Auto-Submitted"] = "auto-replied"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    mail.set_content(message.text)
    for file in files:
        kind = file.media_type if _MEDIA_TYPE.fullmatch(file.media_type) else ""
        main, _, sub = (kind or "application/octet-stream").partition("/")
        if main in ("multipart", "message"):
            main, sub = "application", "octet-stream"
        name = "".join(sign if sign.isprintable() else "_" for sign in file.name) or "file"
        mail.add_attachment(file.content, maintype=main, subtype=sub, filename=name)
    mail["Content-Language"] = message.language  # last: setting a text takes out all such fields
    return mail.as_bytes()


def _mailbox(name: str, address: str) -> Mailbox:
    local, _, domain = address.rpartition("@")
    if not ADDRESS.fullmatch(address) or not local.isascii():
        raise ValueError(f"{address!r} is no address that every server knows")
    return Mailbox(display_name=name, username=local, domain=domain.encode("idna").decode())


def _subject(envelope: Envelope) -> str:
    base = base_subject(envelope.answers.subject)
    return f"Re: {base}" if base else envelope.subject
