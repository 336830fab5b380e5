"""What our mails look like, and that no customer can write their headers."""

import datetime as dt
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from pydantic import ValidationError

from channels.email.reading import Headers, headers_of, read
from channels.email.settings import Settings
from channels.email.writing import REFERENCES_MAX, Envelope, File, compose
from gateway.messages import OutboundMessage
from tests.channels.post import CUSTOMER, OURS, event, settings

NINE = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


def sent(text: str = "Within 30 days.", *files: File, **more: Any) -> EmailMessage:
    envelope = Envelope(**{
        "sender": OURS, "sender_name": "Shop", "recipient": CUSTOMER, "subject": "Your message",
        "answers": Headers(), "moment": NINE,
    } | more)  # fmt: skip
    raw = compose(OutboundMessage(text=text, delivery_id="d1"), envelope, files)
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()
    return mail


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content().replace("\r\n", "\n")


@pytest.mark.parametrize("text", ["Within 30 days.", "三十天之内。" * 500, "x" * 5_000, ".\n..\n"])
def test_a_text_arrives_as_it_was_written(text: str):
    """Chinese, lines longer than mails allow, and full stops that end a mail."""
    assert text_of(sent(text)).rstrip("\n") == text.rstrip("\n")


def test_a_mail_says_that_a_program_sent_it():
    """So that no other program answers; our own mails are known by their id."""
    mail = sent()

    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["Message-ID"] == "<tandem.d1@shop.example>"
    assert mail["Date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert read(event(mail), own_address="somebody@else.example") is None


def test_a_thread_stays_one_thread():
    """The first and the newest ids are kept, each in one piece, however many there were."""
    ids = tuple(f"<{'x' * 150}{n}@example.com>" for n in range(40))
    mail = sent(answers=Headers(message_id="<new@example.com>", subject="Re: x", references=ids))
    references = str(mail["References"]).split()

    assert mail["In-Reply-To"] == "<new@example.com>"
    assert (references[0], references[-2:]) == (ids[0], [ids[-1], "<new@example.com>"])
    assert len(references) == REFERENCES_MAX + 1
    assert set(references) <= {*ids, "<new@example.com>"}


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("A parcel", "Re: A parcel"),
        ("Re: A parcel", "Re: A parcel"),
        ("AW: RE: Re[2]: 包裹", "Re: 包裹"),
        ("回复：包裹", "Re: 包裹"),
        ("", "Your message"),
        ("Re:", "Your message"),
    ],
)
def test_a_subject_has_one_re(subject: str, shown: str):
    """Whichever program and language put theirs before."""
    assert sent(answers=Headers(subject=subject))["Subject"] == shown


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: eve@example.net", "x\nBcc: eve@example.net", "x\rBcc: e"]
)
def test_a_customer_writes_no_headers(evil: str):
    """A subject, an id or a file's name with a line end stays one line, or is refused."""
    hostile = f"From: {CUSTOMER}\r\nSubject: =?utf-8?q?{evil}?=\r\n".replace("\r\nBcc", "=0D=0ABcc")
    hostile = hostile.replace("\nBcc", "=0ABcc").replace("\rBcc", "=0DBcc").replace(": e", ":_e")
    found = headers_of(hostile.encode())
    mail = sent("text", File(evil, "text/plain", b"x"), answers=found)

    assert "Bcc" in found.subject
    assert mail["Bcc"] is None
    assert [part["Bcc"] for part in mail.walk()] == [None, None, None]


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "a b@c", "ä@example.com", "no-address"])
def test_an_address_that_no_header_can_carry_is_refused(address: str):
    """Nothing is sent, rather than something to somebody else."""
    with pytest.raises(ValueError, match=r".+"):
        sent(recipient=address)


def test_a_file_of_any_kind_is_only_a_file():
    """A kind that would change the mail's structure, or is none at all, becomes plain bytes."""
    files = [File("a", kind, b"x") for kind in ("multipart/mixed", "message/rfc822", "x\r\ny", "")]
    parts = list(sent("text", *files).iter_attachments())

    assert {part.get_content_type() for part in parts} == {"application/octet-stream"}


# Settings


@pytest.mark.parametrize("key", ["imap", "smtp"])
def test_a_password_is_not_sent_over_an_open_network(key: str):
    """No protection is allowed towards this machine only."""
    with pytest.raises(ValidationError, match="readable on its way"):
        Settings.model_validate({f"{key}_host": "mail.example", f"{key}_security": "none"})

    assert settings(1, 1).imap_security == "none"


@pytest.mark.parametrize("address", ["help", "Shop <help@shop.example>", "a@b\nc", "a,b@c", "ä@b"])
def test_our_own_address_is_plain(address: str):
    """It goes into headers and envelopes as it is."""
    with pytest.raises(ValidationError):
        Settings(address=address)


def test_a_mailbox_sleeps_until_it_can_be_opened():
    """Address, password and both servers; each missing one keeps it asleep."""
    whole = settings(1, 1).model_dump() | {"password": "of-the-mailbox-1"}

    assert Settings.model_validate(whole).is_configured
    for key in ("address", "password", "imap_host", "smtp_host"):
        assert not Settings.model_validate(whole | {key: ""}).is_configured
