"""What a customer notices who writes to us by e-mail, over real IMAP and SMTP servers."""

import asyncio
from pathlib import Path

import pytest

from gateway.errors import BadToken, Refused
from gateway.messages import Attachment, RawEvent
from storage.database import Unavailable
from tests.channels.post import CUSTOMER, OURS, PASSWORD, Post, settings, until, written
from tests.channels.site import Site
from tests.fakes.email import SmtpServer, imap_served
from tests.gateway.world import answered, unsure


async def test_a_mail_is_answered_in_its_thread(post: Post):
    """The answer with its source, to the customer, under the same subject and below the mail."""
    post.open()
    answer = await post.ask("How long can I return it?", Message_ID="<m1@example.com>")

    assert answer.text.startswith("Within 30 days [1].\n\n[1] Returns\n\n")
    assert (answer.sender, answer.recipients) == (OURS, (CUSTOMER,))
    assert answer.mail["From"] == f"Shop <{OURS}>"
    assert answer.mail["Subject"] == "Re: Returning a parcel"
    assert answer.mail["In-Reply-To"] == "<m1@example.com>"
    assert answer.mail["References"] == "<m1@example.com>"
    await post.until_taken()


async def test_a_chinese_mail_is_answered_in_chinese(post: Post):
    """In the charset of an old Chinese program; a person is asked for and announced."""
    post.open()
    mail = written("", Subject="退货").as_bytes().split(b"\n\n", 1)[0]
    mail = mail.replace(b'charset="utf-8"', b'charset="gb2312"').replace(b"7bit", b"8bit")
    await post.write(mail + b"\n\n" + "转人工".encode("gb18030") + b"\n")
    notice = await post.smtp.next()

    assert "您排在第 1 位" in notice.text
    assert notice.mail["Subject"] == "Re: 退货"
    assert notice.mail["Content-Language"] == "zh"
    assert (await post.lines())[0].text == "退货\n\n转人工"


async def test_a_reply_goes_on_with_the_same_conversation(post: Post):
    """Only the new words are a message, and it knows what it answers."""
    post.open()
    answer = await post.ask("How long can I return it?")
    again = await post.ask(
        "And who pays?\n\nOn Mon, 2 Mar 2026 at 09:00, Shop <help@shop.example>\nwrote:\n\n"
        "> Within 30 days [1].\n",
        Subject="Re: Returning a parcel",
        In_Reply_To=str(answer.mail["Message-ID"]),
        References=f"<m1@example.com> {answer.mail['Message-ID']}",
    )
    lines = await post.lines()

    assert [line.author for line in lines] == ["customer", "bot", "customer", "bot"]
    assert lines[2].text == "And who pays?"
    assert lines[2].reply_to == lines[1].id
    assert len(await post.conversations()) == 1
    assert again.mail["References"].split()[0] == "<m1@example.com>"
    assert len(again.mail["References"].split()) == 3


async def test_choices_are_numbered_lines(post: Post):
    """A mail has no buttons: what could be pressed can be read."""
    post.world.answerer.reply = lambda _: unsure("How do I return a parcel?", "Who pays?")
    post.open()
    offer = await post.ask("parcel")

    assert "1. How do I return a parcel?\n2. Who pays?" in offer.text


@pytest.mark.parametrize("wrote", ["On 2 March, Shop wrote:\n\n> 1. How", "3月2日 写道：\n> 1"])
async def test_a_number_above_the_quoted_mail_is_a_choice(post: Post, wrote: str):
    """The customer answers "2": that suggestion is asked, as if a button had been pressed."""
    post.world.answerer.reply = lambda _: unsure("How do I return a parcel?", "Who pays?")
    post.open()
    await post.ask("parcel")
    post.world.answerer.reply = lambda _: answered("The shop does.")
    answer = await post.ask(f"2\n\n{wrote}", Subject="Re: Returning a parcel")

    assert answer.text.startswith("The shop does.")
    assert (await post.lines())[2].text == "Who pays?"


async def test_a_person_s_reply_is_theirs(post: Post):
    """Who asked for a person reads the person's words, in the same thread."""
    post.open()
    notice = await post.ask("a person, please", Message_ID="<m1@example.com>")
    await post.site.claim()
    joined = await post.smtp.next()
    await post.site.say("Please print this label.")
    reply = await post.smtp.next()

    assert "number 1 in line" in notice.text
    assert joined.text == "Ana has joined."
    assert reply.text == "Please print this label."
    assert reply.mail["In-Reply-To"] == "<m1@example.com>"


async def test_machines_are_not_answered(post: Post):
    """An out-of-office note is taken and read, and nobody writes back."""
    post.open()
    await post.write(written("I am away.", Auto_Submitted="auto-replied"))
    await post.until_read(1)
    answer = await post.ask("How long can I return it?")

    assert answer.text.startswith("Within 30 days")
    assert [line.author for line in await post.lines()] == ["customer", "bot"]
    assert post.smtp.waiting == 0


async def test_a_mail_that_came_twice_is_one_message(post: Post):
    """An alias delivers a second copy: it has the same Message-ID."""
    post.open()
    mail = written("How long can I return it?")
    await post.write(mail)
    await post.write(mail)
    await post.smtp.next()
    await post.until_read(2)

    assert [line.author for line in await post.lines()] == ["customer", "bot"]


async def test_a_mail_that_cannot_be_read_holds_up_nobody(post: Post):
    """It is set aside with its reason, and the next one is answered."""
    post.open()
    await post.write(written("\n--" * 3_000, From="eve@example.net"))
    answer = await post.ask("How long can I return it?")
    events = await post.until_read(2)

    assert answer.recipients == (CUSTOMER,)
    assert sorted(event.state for event in events) == ["done", "quarantined"]
    assert "TooManyParts" in "".join(event.reason or "" for event in events)


async def test_a_mail_is_marked_only_once_it_is_stored(post: Post):
    """The store cannot take it at first: it stays unread, and comes again."""
    taken: list[RawEvent] = []

    class Hesitant:
        async def store(self, event: RawEvent) -> None:
            taken.append(event)
            if len(taken) == 1:
                raise Unavailable("not now")

    await post.write(written("How long can I return it?"))
    running = asyncio.create_task(post.channel.run(Hesitant()))
    await post.until_taken()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(taken) == 2
    assert taken[0] == taken[1]


async def test_a_crash_before_the_mark_brings_no_second_message(post: Post):
    """It was committed and is still unread: the next start takes it again, and it is known."""
    await post.write(written("How long can I return it?"))
    mails: list[RawEvent] = []

    class Dying:
        async def store(self, event: RawEvent) -> None:
            await post.world.ingress.store(event)
            mails.append(event)
            raise SystemError("the process dies here")

    with pytest.raises(SystemError):
        await post.channel.run(Dying())
    assert post.imap.unseen() == 1
    post.open()
    await post.smtp.next()
    await post.until_taken()

    assert len(mails) == 1
    assert [line.author for line in await post.lines()] == ["customer", "bot"]


async def test_an_attachment_can_be_fetched(post: Post):
    """Its bytes stay in the mailbox; once the mail is gone, that is said."""
    mail = written("See the photo.")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="box.png")
    post.open()
    await post.write(mail)
    await post.smtp.next()
    stored = Attachment(**(await post.lines())[0].attachments[0])

    assert (stored.kind, stored.name, stored.size_bytes) == ("image", "box.png", 4)
    assert await post.channel.fetch(stored, bytes_max=4) == b"\x89PNG"
    with pytest.raises(Refused, match="more than 3 bytes"):
        await post.channel.fetch(stored, bytes_max=3)
    await asyncio.to_thread(post.imap.empty)
    with pytest.raises(Refused, match="not in the mailbox any more"):
        await post.channel.fetch(stored, bytes_max=4)


async def test_a_mail_that_is_too_large_is_still_noticed(post: Post):
    """Its subject arrives, and that there was more."""
    post.open(mail_bytes_max=10_000)
    await post.write(
        written("x" * 70 + "\n" + ("y" * 70 + "\n") * 200, Subject="My parcel is lost")
    )
    await post.smtp.next()
    line = (await post.lines())[0]

    assert line.text == "My parcel is lost"
    assert [file["kind"] for file in line.attachments] == ["unsupported"]


async def test_the_mailbox_comes_back_by_itself(site: Site, smtp: SmtpServer, tmp_path: Path):
    """While its server is away, health says so; then what arrives is answered again."""
    log = tmp_path / "imap.txt"
    with imap_served(OURS, PASSWORD, log) as first:
        post = Post(site, first, smtp)
        post.open()
        await post.ask("How long can I return it?")
        await post.until_taken()
        assert await post.channel.health() == "ok"

    async def is_told() -> bool:
        return await post.channel.health() != "ok"

    await until(is_told)
    with imap_served(OURS, PASSWORD, log, port=first.port):
        await post.ask("And who pays?", Subject="Re: Returning a parcel")
        await post.until_taken()
        await post.close()

    assert [line.author for line in await post.lines()] == ["customer", "bot", "customer", "bot"]


async def test_a_refused_password_is_told(post: Post):
    """The channel ends with what an operator can read, and health repeats it."""
    channel = type(post.channel)(
        settings(post.imap.port, post.smtp.port, password="another-one-1"), post.parts
    )
    with pytest.raises(BadToken, match="refuses the login"):
        await channel.run(post.world.ingress)

    assert "refuses the login" in await channel.health()


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_the_password_never_travels_in_the_clear(post: Post, security: str):
    """A mailbox that cannot speak in secret is not spoken to."""
    channel = type(post.channel)(
        settings(post.imap.port, post.smtp.port, imap_security=security, wait_s=2), post.parts
    )
    running = asyncio.create_task(channel.run(post.world.ingress))
    before = await channel.health()

    async def has_tried() -> bool:
        return await channel.health() != before

    await until(has_tried)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert "not opened yet" in before
    assert "refuses the login" not in await channel.health()
