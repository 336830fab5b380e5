"""Files, and what is no text, in both directions."""

import pytest

from gateway.errors import Refused
from gateway.messages import Attachment
from tests.channels.telegram.site import Site
from tests.fakes.faults import Answer
from tests.fakes.telegram import Customer, Telegram
from tests.fakes.telegram.people import PNG


async def with_ana(site: Site, mia: Customer) -> None:
    mia.write("/human")
    await site.settle()
    await site.claim()
    await site.answer()


async def test_an_album_is_one_message(site: Site, mia: Customer):
    """Three pictures sent together are one message with three pictures, and one case."""
    mia.album("It came like this", "", "")
    await site.settle()
    [message] = [one for one in await site.lines() if one.author == "customer"]

    assert message.text == "It came like this"
    assert [file["kind"] for file in message.attachments] == ["image"] * 3


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"voice": {"file_id": "f", "file_unique_id": "u", "duration": 3}}, "voice"),
        ({"location": {"latitude": 52.5, "longitude": 13.4}}, "location"),
        ({"contact": {"phone_number": "+491", "first_name": "Ben"}}, "contact"),
        ({"dice": {"emoji": "🎲", "value": 6}}, "unsupported"),
        ({"poll": {"id": "1", "question": "When?", "options": [], "total_voter_count": 0,
                   "is_closed": False, "is_anonymous": True, "type": "regular",
                   "allows_multiple_answers": False}}, "unsupported"),
        ({"video": {"file_id": "f", "file_unique_id": "u", "width": 9, "height": 9, "duration": 1,
                    "mime_type": "video/mp4"}}, "file"),
        ({"audio": {"file_id": "f", "file_unique_id": "u", "duration": 1}}, "file"),
        ({"video_note": {"file_id": "f", "file_unique_id": "u", "length": 9, "duration": 1}},
         "file"),
        ({"venue": {"location": {"latitude": 1.0, "longitude": 2.0}, "title": "Shop",
                    "address": "Main St"}}, "location"),
        ({"hologram": {"depth": 3}}, "unsupported"),
        ({"voice": {"file_id": "of a later version"}}, "unsupported"),
        ({"game": {"title": "Chess", "description": "d", "photo": []}}, "unsupported"),
    ],
)  # fmt: skip
async def test_what_the_bot_cannot_read_calls_a_person(
    site: Site, mia: Customer, content: dict[str, object], kind: str
):
    """It shows as its kind, and somebody who can read it is called."""
    mia.send(**content)
    await site.settle()
    [line] = [one for one in await site.lines() if one.author == "customer"]

    assert [file["kind"] for file in line.attachments] == [kind]
    assert (await site.conversation()).state == "waiting"


async def test_a_sticker_and_a_document_keep_what_is_known_of_them(site: Site, mia: Customer):
    """An agent sees the emoji, the file's name and its kind."""
    mia.sticker("👍")
    mia.document("invoice\u202e.pdf", b"%PDF-1.7")
    await site.settle()
    sticker, document = [one.attachments[0] for one in await site.lines() if one.attachments]

    assert (sticker["kind"], sticker["name"]) == ("sticker", "👍")
    assert (document["kind"], document["name"]) == ("file", "invoice.pdf")
    assert document["media_type"] == "application/pdf"


async def test_a_customers_file_can_be_opened(site: Site, mia: Customer):
    """What the customer sent comes byte for byte; what is too large is refused."""
    mia.document("invoice.pdf", b"%PDF-1.7 and more")
    await site.settle()
    [line] = [one for one in await site.lines() if one.attachments]
    file = Attachment(**line.attachments[0])
    content = await site.channel.fetch(file, bytes_max=1_000)
    with pytest.raises(Refused, match="more than 10 bytes"):
        await site.channel.fetch(file, bytes_max=10)

    assert content == b"%PDF-1.7 and more"


async def test_a_file_that_is_gone_says_so(site: Site, telegram: Telegram, mia: Customer):
    """A file that Telegram does not keep any more is an answer, not a broken page."""
    mia.document("invoice.pdf", b"%PDF-1.7")
    await site.settle()
    [line] = [one for one in await site.lines() if one.attachments]
    telegram.files.clear()

    with pytest.raises(Refused, match="Wrong file_id"):
        await site.channel.fetch(Attachment(**line.attachments[0]), bytes_max=1_000)


async def test_an_agents_picture_and_words_arrive_as_one_message(site: Site, mia: Customer):
    """A picture shows as a picture, the words below it."""
    await with_ana(site, mia)
    await site.reply("Like **this**", site.files.keep("a.png", "image/png", PNG))
    await site.answer()
    shown = mia.screen()[-1]

    assert (shown.text, shown.files, shown.marks) == (
        "Like this", ("picture",), (("bold", "this"),)
    )  # fmt: skip


async def test_several_files_come_together_with_their_words(
    site: Site, telegram: Telegram, mia: Customer
):
    """A picture among other files is a file, too: Telegram does not mix them."""
    await with_ana(site, mia)
    files = [site.files.keep("a.png", "image/png", PNG),
             site.files.keep("b.txt", "text/plain", b"text")]  # fmt: skip
    await site.reply("Both files", *files)
    await site.answer()
    first, second = mia.screen()[-2:]

    assert (first.files, second.files) == (("a.png",), ("b.txt",))
    assert [first.text, second.text] == ["", "Both files"]
    assert len(telegram.called("sendMediaGroup")) == 1


async def test_words_too_long_for_a_caption_follow_the_file(site: Site, mia: Customer):
    """1,024 units fit below a file, one more does not."""
    await with_ana(site, mia)
    for length in (1_024, 1_025):
        await site.reply("x" * length, site.files.keep("b.txt", "text/plain", b"text"))
        await site.answer()
    shown = mia.screen()[-3:]

    assert [(len(one.text), one.files) for one in shown] == [
        (1_024, ("b.txt",)), (0, ("b.txt",)), (1_025, ()),
    ]  # fmt: skip


async def test_a_picture_that_telegram_does_not_take_goes_as_a_file(site: Site, mia: Customer):
    """It says image/png and is none: the customer gets the bytes all the same."""
    await with_ana(site, mia)
    await site.reply("Look", site.files.keep("odd.png", "image/png", b"no picture"))
    await site.answer()

    assert mia.screen()[-1].files == ("odd.png",)


async def test_words_that_fail_behind_their_file_are_not_sent_twice(
    site: Site, telegram: Telegram, mia: Customer
):
    """The file is there and the text is not: sending again would double the file."""
    await with_ana(site, mia)
    telegram.faults.plan("sendMessage", Answer(429, '{"ok":false,"parameters":{"retry_after":3}}'))
    await site.reply("x" * 1_025, site.files.keep("b.txt", "text/plain", b"text"))
    await site.answer()

    assert [one.files for one in mia.screen()].count(("b.txt",)) == 1
    assert (await site.deliveries())[-1].state == "unknown"
