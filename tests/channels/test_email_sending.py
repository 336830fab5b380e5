"""How the sending of a mail can end, on a real SMTP server that refuses, hesitates or leaves."""

import asyncio
from dataclasses import replace

import pytest

from channels.email import ATTACHMENTS_BYTES_MAX, probe
from gateway.errors import BadToken, Refused, Unreachable
from gateway.messages import OutboundMessage
from tests.channels.post import ADDRESS, Post, settings, written
from tests.fakes.email import Leave, Say


async def test_a_file_of_ours_comes_with_the_mail(post: Post):
    """It has its name and its bytes."""
    file = await asyncio.to_thread(
        post.parts.files.keep, "标签 1.pdf", "application/pdf", b"%PDF-1"
    )
    message = OutboundMessage(text="Here is it.", attachments=(file,), delivery_id="d1")
    receipt = await post.channel.send(ADDRESS, message)
    sent = await post.smtp.next()

    [part] = sent.mail.iter_attachments()
    assert receipt.external_ids == (sent.mail["Message-ID"],)
    assert sent.text == "Here is it."
    assert (part.get_filename(), part.get_content()) == ("标签 1.pdf", b"%PDF-1")
    assert part.get_content_type() == "application/pdf"
    assert sent.mail["Subject"] == "Your message to us"


async def test_files_that_no_server_takes_are_refused_at_once(post: Post):
    """The agent reads why, and no server is asked."""
    file = await asyncio.to_thread(post.parts.files.keep, "a", "text/plain", b"x")
    large = replace(file, size_bytes=ATTACHMENTS_BYTES_MAX)
    message = OutboundMessage(text="Here.", attachments=(large, file), delivery_id="d1")

    with pytest.raises(Refused, match="at most 15,000,000 bytes"):
        await post.channel.send(ADDRESS, message)


@pytest.mark.parametrize(
    ("phase", "fault", "state", "reason"),
    [
        ("RCPT", Say("550 5.1.1 No such mailbox"), "failed", "550 5.1.1 No such mailbox"),
        ("DATA", Say("554 5.7.1 Looks like spam"), "failed", "554 5.7.1 Looks like spam"),
        ("MAIL", Say("552 5.3.4 Too large"), "failed", "552 5.3.4 Too large"),
        ("DATA", Leave(taken=True), "unknown", "may not have arrived"),
        ("DATA", Leave(taken=False), "unknown", "may not have arrived"),
    ],
)
async def test_what_became_of_a_mail_is_told(
    post: Post, phase: str, fault: Say | Leave, state: str, reason: str
):
    """Refused for ever, or nobody knows: it is never sent a second time by itself."""
    post.smtp.plan(phase, fault)  # pyright: ignore[reportArgumentType]
    post.open()
    await post.write(written("How long can I return it?"))
    ended = await post.until_ended()

    assert ended.state == state
    assert reason in (ended.reason or "")
    assert post.smtp.waiting == (1 if fault == Leave(taken=True) else 0)


@pytest.mark.parametrize(
    ("phase", "fault"),
    [
        ("MAIL", Say("451 4.3.0 Try again later")),
        ("RCPT", Say("450 4.2.0 Greylisted")),
        ("DATA", Say("452 4.3.1 Disk full")),
        ("MAIL", Leave()),
        ("RCPT", Leave()),
    ],
)
async def test_what_certainly_did_not_arrive_is_sent_again(
    post: Post, phase: str, fault: Say | Leave
):
    """The server could not just then: the customer gets the answer, once."""
    post.smtp.plan(phase, fault)  # pyright: ignore[reportArgumentType]
    post.open()
    await post.write(written("How long can I return it?"))
    answer = await post.smtp.next()
    ended = await post.until_ended()

    assert answer.text.startswith("Within 30 days")
    assert (ended.state, ended.attempts) == ("delivered", 2)
    assert post.smtp.waiting == 0


async def test_a_mail_in_the_sent_folder_has_arrived(post: Post):
    """The connection was lost, but our server had filed the mail: it counts as delivered."""
    await asyncio.to_thread(post.imap.make, "Sent")
    post.smtp.plan("DATA", Leave(taken=True))
    filing = asyncio.create_task(_file(post))
    post.open(sent_folder="Sent")
    await post.write(written("How long can I return it?"))
    await filing
    found = await post.channel.reconcile(ADDRESS, await _delivery(post))
    unknown = await post.channel.reconcile(ADDRESS, "never-sent")

    assert found is not None
    assert found != "absent"
    assert found.external_ids == (filing.result(),)
    assert unknown is None


async def _file(post: Post) -> str:
    taken = await post.smtp.next()
    await asyncio.to_thread(post.imap.deliver, taken.raw, "Sent")
    return str(taken.mail["Message-ID"])


async def _delivery(post: Post) -> str:
    return (await post.until_ended()).id


async def test_a_wrong_password_rests_the_account(post: Post):
    """The server refuses our login, not the mail: nothing fails, an operator is needed."""
    channel = type(post.channel)(
        settings(post.imap.port, post.smtp.port, password="another-one-1"), post.parts
    )
    with pytest.raises(BadToken, match="refuses the login"):
        await channel.send(ADDRESS, OutboundMessage(text="hello", delivery_id="d1"))


async def test_a_server_that_is_not_there_has_taken_nothing(post: Post):
    """Nothing was sent: it may be tried again without a doubt."""
    channel = type(post.channel)(settings(post.imap.port, 1), post.parts)
    with pytest.raises(Unreachable):
        await channel.send(ADDRESS, OutboundMessage(text="hello", delivery_id="d1"))


async def test_doctor_logs_in_on_both_sides(post: Post):
    """It counts what is unread, and says which side refuses."""
    await post.write(written("hello"))
    found = await probe(settings(post.imap.port, post.smtp.port))

    assert found == "ok: 1 unread in INBOX, and 127.0.0.1 takes our mails"
    with pytest.raises(Unreachable, match="no mail server"):
        await probe(settings(post.imap.port, 1))
    with pytest.raises(BadToken, match="mailbox refuses the login"):
        await probe(settings(post.imap.port, post.smtp.port, password="another-one-1"))
    assert post.imap.unseen() == 1
