"""How a mail reads: its words, its files, its writer, and what nobody shall be able to do by it."""

import base64
import contextlib
from email.message import EmailMessage
from typing import Any

import pytest

from channels.email.reading import (
    BORDERS_MAX,
    FILES_MAX,
    HEADER_CHARS_MAX,
    PARTS_MAX,
    SHORTENED,
    TEXT_CHARS_MAX,
    TooManyParts,
    headers_of,
    read,
)
from gateway.messages import InboundMessage
from tests.channels.post import CUSTOMER, OURS, event, written


def reading(mail: EmailMessage | bytes, **headers: str) -> InboundMessage:
    message = read(event(mail, **headers), own_address=OURS)
    assert message is not None
    return message


def is_ignored(mail: EmailMessage | bytes) -> bool:
    return read(event(mail), own_address=OURS) is None


def raw(body: bytes, *headers: str) -> bytes:
    """A mail as it might really come, with nothing put right."""
    lines = [f"From: Ana <{CUSTOMER}>", "Message-ID: <m1@example.com>", "Subject: Re: x", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# Words


def test_a_first_mail_s_subject_is_part_of_the_question():
    """Many ask in the subject alone; the subject of a reply says nothing new."""
    first = reading(written("It is blue.", Subject="Where is my parcel?"))
    alone = reading(written("", Subject="Where is my parcel?"))
    reply = reading(written("It is blue.", Subject="回复：Where is my parcel?"))

    assert first.text == "Where is my parcel?\n\nIt is blue."
    assert alone.text == "Where is my parcel?"
    assert reply.text == "It is blue."


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"), ("gb2312", "gb18030"), ("GBK", "gbk"), ("big5", "big5"),
        ("iso-2022-jp", "iso-2022-jp"), ("", "utf-8"), ("", "gb18030"),
        ("x-unknown", "utf-8"), ("idna", "utf-8"), ("unicode_escape", "utf-8"),
    ],
)  # fmt: skip
def test_words_are_read_in_their_charset(charset: str, codec: str):
    """Also where it is wrong, missing, or the name of a codec that is none."""
    kind = f'Content-Type: text/plain; charset="{charset}"' if charset else "X: y"
    message = reading(raw("包裹".encode(codec), kind, "Content-Transfer-Encoding: 8bit"))

    assert message.text == "包裹"


@pytest.mark.parametrize(
    "subject",
    ["=?gb2312?B?0rvR+Q==?=", "=?utf-8?q?=E4=B8=80=E6=A0=B7?=", "一样"],
)
def test_a_subject_is_read_however_it_was_encoded(subject: str):
    """Encoded words of old and new programs, and plain UTF-8 where none is allowed."""
    mail = raw(b"", f"Subject: {subject}").replace(b"Subject: Re: x\r\n", b"")

    assert reading(mail).text == "一样"


def test_plain_text_is_preferred_and_html_is_read_where_there_is_nothing_else():
    """The quoted mail in a page is history as well."""
    both = written("plain")
    both.add_alternative("<p>page</p>", subtype="html")
    page = written("", Subject="Re: x")
    page.set_content(
        "<style>p {}</style><p>First line<br>second</p><blockquote>what we wrote</blockquote>",
        subtype="html",
    )

    assert reading(both).text.endswith("plain")
    assert [line.strip() for line in reading(page).text.split("\n")] == ["First line", "second"]


def test_soft_line_ends_are_no_line_ends():
    """RFC 3676: what the program wrapped is one paragraph."""
    mail = raw(
        b"One long \r\nparagraph.\r\nAnother.\r\n", "Content-Type: text/plain; format=flowed"
    )

    assert reading(mail).text == "One long paragraph.\nAnother."


# Files


def test_files_are_stand_ins_with_their_place():
    """A picture, a voice, a mail within the mail; names lose their folders."""
    mail = written("See.")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="../../包裹.png")
    mail.add_attachment(b"ID3", maintype="audio", subtype="mpeg", filename="C:\\a\\voice.mp3")
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("This is not what Ana says.")
    mail.add_attachment(inner)
    files = reading(mail).attachments

    assert [file.kind for file in files] == ["image", "voice", "file"]
    assert [file.name for file in files] == ["包裹.png", "voice.mp3", ""]
    assert [file.reference for file in files] == ["1:1:1", "1:1:2", "1:1:3"]
    assert "This is not" not in reading(mail).text


def test_a_shortened_mail_says_that_there_was_more():
    """Only its headers are here."""
    message = reading(written("").as_bytes().split(b"\n\n")[0], **{SHORTENED: "yes"})

    assert [file.kind for file in message.attachments] == ["unsupported"]


# Who writes


def test_nobody_is_taken_at_their_word():
    """A sender is a claim, whatever the mail says of checks that it passed."""
    said = f"mx.example; dkim=pass header.d=example.com; spf=pass smtp.mailfrom={CUSTOMER}"
    sender = reading(written("hi", Authentication_Results=said)).sender

    assert (sender.external_id, sender.name) == (CUSTOMER, "Ana Li")
    assert not sender.verified
    assert sender.email == ""


def test_a_person_is_who_gets_the_answer():
    """A form sends for Ana; and who forges Ana's name to read her answers gets their own talk."""
    form = reading(written("hi", From="noreply@forms.example", Reply_To=CUSTOMER))
    forged = reading(written("hi", Reply_To="eve@example.net"))

    assert form.address.chat == CUSTOMER
    assert (forged.address.chat, forged.sender.external_id) == ("eve@example.net",) * 2


def test_one_address_is_one_person_however_it_is_written():
    """Programs differ in case."""
    assert reading(written("hi", From="ANA@Example.COM")).address.chat == CUSTOMER


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; owner-email=x@y"},
        {"Precedence": "bulk"},
        {"Precedence": "List"},
        {"List_Id": "<news.example.com>"},
        {"List_Unsubscribe": "<mailto:leave@example.com>"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
        {"From": "MAILER-DAEMON@mx.example"},
        {"From": "No-Reply <no-reply@bank.example>"},
        {"From": f"Shop <{OURS}>"},
        {"From": "nobody at all"},
        {"Message_ID": "<tandem.0190@shop.example>"},
    ],
    ids=lambda headers: "; ".join(f"{name}: {value}" for name, value in headers.items()),
)
def test_what_a_machine_sent_is_ignored(headers: dict[str, str]):
    """Bounces, lists, out-of-office notes and our own mails: an answer would begin a loop."""
    assert is_ignored(written("text", **headers))


def test_a_bounce_is_ignored():
    """A report that our mail did not arrive, as servers write it."""
    bounce = raw(b"--b\r\n\r\nfailed\r\n--b--", 'Content-Type: multipart/report; boundary="b"')

    assert is_ignored(bounce)


def test_a_person_who_says_no_to_automatic_is_heard():
    """`Auto-Submitted: no` is what people's programs may say."""
    assert not is_ignored(written("text", Auto_Submitted="no"))


def test_a_reply_names_what_it_answers():
    """The direct answer counts; broken ids are none."""
    direct = reading(written("x", In_Reply_To="<b@y>", References="<a@y> <b@y>"))
    older = reading(written("x", References="<a@y> <b@y>"))
    broken = reading(written("x", In_Reply_To="your mail of Monday"))

    assert (direct.reply_to, older.reply_to, broken.reply_to) == ("<b@y>", "<b@y>", None)


def test_a_mail_without_an_id_is_named_by_its_place():
    """Every message has a name that stays."""
    mail = raw(b"hi").replace(b"Message-ID: <m1@example.com>\r\n", b"")

    assert reading(mail).external_id == "1:1"


# Hostile mails


def multipart(parts: int, **more: Any) -> bytes:
    body = b"".join(b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" for _ in range(parts))
    return raw(body + b"--b--\r\n", 'Content-Type: multipart/mixed; boundary="b"', **more)


def test_more_parts_than_anybody_writes_set_the_mail_aside():
    """At the limit it is read, one more is refused: the mail is put aside with this reason."""
    assert reading(multipart(BORDERS_MAX - 1)).text
    with pytest.raises(TooManyParts):
        reading(multipart(BORDERS_MAX))


def test_parts_beyond_the_limit_are_not_read():
    """A hundred parts are; the words of the next one are not."""
    words = reading(multipart(PARTS_MAX + 1)).text

    assert words.count("x") == PARTS_MAX


def test_files_beyond_the_limit_are_left_out():
    """Fifty files are shown, not fifty-one."""
    mail = written("files")
    for number in range(FILES_MAX + 1):
        mail.add_attachment(b"x", maintype="text", subtype="csv", filename=f"{number}.csv")

    assert len(reading(mail).attachments) == FILES_MAX


def test_a_text_that_is_too_long_is_cut():
    """Its beginning is a message like any other."""
    assert len(reading(raw(b"x " * TEXT_CHARS_MAX)).text) == TEXT_CHARS_MAX


@pytest.mark.parametrize(
    "field",
    [
        'Content-Type: text/plain; x="' + ";" * 2_000_000,
        "Content-Disposition: attachment; " + "filename*0=x; " * 200_000,
        "From: " + "(" * 1_000_000 + CUSTOMER,
        "References: " + "<a@b> " * 200_000,
        "Subject: " + "=?utf-8?q?x?= " * 200_000,
        "Content-Type: text/plain; charset*=idna''" + "%61" * 300_000,
        "Reply-To: " + '"' * 1_000_000,
    ],
    ids=lambda field: field[:30],
)
@pytest.mark.timeout(20)
def test_a_giant_header_is_cut_before_anybody_takes_it_apart(field: str):
    """The parsers of fields are quadratic: a megabyte would hold up everybody for minutes."""
    mail = raw(b"hello", field)
    read(event(mail), own_address=OURS)

    assert len(field) > HEADER_CHARS_MAX


@pytest.mark.parametrize(
    "head",
    [
        b"", b"\xff\xfe\x00", b"\n--" * 3_000, b"Message-ID\n", b":\n:\n:", b"\r\n\r\n",
        b'Content-Type: multipart/mixed; boundary="b"\n--b\n' * 500,
    ],
    ids=lambda head: repr(head[:20]),
)  # fmt: skip
def test_no_mail_can_stop_the_mailbox(head: bytes):
    """Whatever its headers are, it can be taken in: the next mail is behind it."""
    assert headers_of(head).message_id == ""


@pytest.mark.timeout(20)
def test_parts_in_parts_end():
    """A mail nested thousands of levels deep is read or set aside, and brings nobody down."""
    begin = b"".join(
        f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n'.encode()
        for n in range(1_900)
    )
    mail = f"From: {CUSTOMER}\r\n".encode() + begin + b"\r\nhello"

    with contextlib.suppress(RecursionError):  # by how deep this Python may go
        read(event(mail), own_address=OURS)
    assert len(mail) > 100_000


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "body",
    [b"\r\n" * 200_000, b"> " * 200_000, b"On 1 " * 100_000, b"From: a\r\n" * 50_000,
     b"_" * 400_000, b" " * 400_000, b"<div>" * 90_000, b"<table><tr><td>" * 30_000],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
@pytest.mark.parametrize("kind", ["plain", "html"])
def test_reading_takes_no_longer_than_the_mail(body: bytes, kind: str):
    """Texts made to be slow are not."""
    message = reading(raw(body, f"Content-Type: text/{kind}"))

    assert len(message.text) <= TEXT_CHARS_MAX


def test_unstorable_characters_are_replaced():
    """NUL and broken bytes reach no database."""
    text = reading(raw(b"a\x00b\xff\xfe", "Subject: x\x00y")).text

    assert "\x00" not in text
    assert text.startswith("a\ufffdb")


def test_words_in_base64_that_is_none_are_read_as_they_are():
    """A broken encoding quarantines nothing."""
    encoded = base64.b64encode("包裹".encode())[:-1] + b"!"
    mail = raw(encoded, "Content-Transfer-Encoding: base64", "Content-Type: text/plain")

    assert isinstance(reading(mail).text, str)
