"""Files both ways: as bytes, whole, once, and never from a stranger's address."""

import asyncio
from dataclasses import replace

import pytest

from channels.slack.api import Api
from gateway.errors import Ambiguous, ChannelError, Missing, Refused, Unavailable
from gateway.messages import Address, Attachment, OutboundMessage
from tests.channels.slack.shop import QUICK, Shop
from tests.fakes.faults import Answer, Cut, Fault, Held
from tests.fakes.slack import refused

QUICK_TO_GIVE_UP = replace(QUICK, send_wait_s=0.2)
PLACE = "files.completeUploadExternal"


async def kept(shop: Shop, content: bytes = b"dear customer", name: str = "letter.txt"):
    """A file that an agent attached."""
    return shop.channel._uploads._files.keep(name, "text/plain", content)  # pyright: ignore[reportPrivateUsage]


async def send(shop: Shop, *files: Attachment, text: str = "Here it is.", chat: str = ""):
    ana = shop.acts.person("Ana")
    place = shop.slack.workspace.places.get(chat) or shop.slack.workspace.direct(ana)
    message = OutboundMessage(text=text, attachments=files, delivery_id="d-1")
    address = Address(channel="slack", account="main", chat=place.id)
    return place, address, await shop.channel.send(address, message)


async def test_a_customer_s_file_is_read_as_bytes(shop: Shop):
    """The message names it; its bytes are fetched when somebody wants to see them."""
    ana = shop.acts.person("Ana")
    await shop.acts.share(ana, "receipt.txt", b"42 EUR", "my receipt")
    await shop.settle()
    (line,) = await shop.lines()
    file = Attachment(**line.attachments[0])

    assert (line.text, file.name, file.size_bytes) == ("my receipt", "receipt.txt", 6)
    assert await shop.channel.fetch(file, bytes_max=100) == b"42 EUR"


async def test_a_picture_without_words_calls_a_person(shop: Shop):
    """The bot cannot see it."""
    ana = shop.acts.person("Ana")
    await shop.acts.share(ana, "photo.png", b"PNG", media="image/png")
    await shop.settle()

    assert len(shop.world.inbox.opened) == 1


@pytest.mark.parametrize(
    ("content", "bytes_max", "reason"),
    [(b"12345", 4, "larger than 4 bytes"), (b"", 4, "empty")],
)
async def test_a_file_that_is_too_large_or_empty_says_so(
    shop: Shop, content: bytes, bytes_max: int, reason: str
):
    """An agent reads the reason in the place of the file."""
    file = await shop.acts.share(shop.acts.person("Ana"), "f.txt", content)
    with pytest.raises(Refused, match=reason):
        await shop.channel.fetch(_of(file.id), bytes_max=bytes_max)


async def test_a_page_instead_of_a_file_names_the_missing_scope(shop: Shop):
    """Slack answers 200 with its login page; the page is not shown as the file."""
    file = await shop.acts.share(shop.acts.person("Ana"), "f.txt", b"42")
    page = Answer(200, "<!DOCTYPE html><html>Sign in</html>", content_type="text/html")
    shop.slack.faults.plan("download", page)
    with pytest.raises(Refused, match="files:read"):
        await shop.channel.fetch(_of(file.id), bytes_max=100)

    assert "files:read" in await shop.channel.health()


async def test_a_redirect_is_not_followed_with_our_token(shop: Shop):
    """It would lead to a login page at best."""
    file = await shop.acts.share(shop.acts.person("Ana"), "f.txt", b"42")
    shop.slack.faults.plan("download", Answer(302, "", {"Location": "https://example.com"}))
    with pytest.raises(Refused, match="files:read"):
        await shop.channel.fetch(_of(file.id), bytes_max=100)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/files-pri/F1/f", "http://files.slack.com/f", "file:///etc/passwd",
     "https://files.slack.com@example.com/f", "https://files.slack.com.example.com/f",
     "http://169.254.169.254/latest"],
)  # fmt: skip
async def test_files_come_from_slack_only(shop: Shop, url: str):
    """An address in an event is no reason to go there."""
    with pytest.raises(Refused, match="not one of Slack's"):
        await shop.channel.api.download(url, bytes_max=10)


def test_slack_s_own_file_host_is_allowed(shop: Shop):
    """Where files really come from."""
    api: Api = shop.channel.api
    api._check_host("https://files.slack.com/files-pri/T0-F0/f.txt")  # pyright: ignore[reportPrivateUsage]


async def test_an_agent_s_file_arrives_with_its_words(shop: Shop):
    """One message, the text above the file, pinging nobody."""
    place, _, receipt = await send(shop, await kept(shop), text="<!here> Here it is.")
    (message,) = [one for one in place.messages if one.get("bot_id")]
    (screen,) = shop.acts.screen(place)
    (file,) = shop.slack.workspace.files.values()

    assert receipt.external_ids == (message["ts"],)
    assert (screen.text, screen.pings) == ("<!here> Here it is.", [])
    assert (file.content, file.name) == (b"dear customer", "letter.txt")


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("files.getUploadURLExternal", Cut(processed=True)),
        ("files.getUploadURLExternal", Cut(processed=False)),
        ("upload", Cut(processed=True)), ("upload", Cut(processed=False)),
        (PLACE, Cut(processed=True)), (PLACE, Cut(processed=False)),
        (PLACE, Answer(200, refused("internal_error"))),
    ],
)  # fmt: skip
async def test_an_upload_that_is_cut_is_shared_once(shop: Shop, step: str, fault: Fault):
    """At each of its three steps, whether Slack had done it or not."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "Where is my letter?")
    shop.slack.faults.plan(step, fault)
    place = shop.slack.workspace.direct(ana)
    address = Address(channel="slack", account="main", chat=place.id)
    message = OutboundMessage(text="Here.", attachments=(await kept(shop),), delivery_id="0199-d")
    ends = [await _tried(shop, address, message)]
    while ends[-1] == "again":
        ends.append(await _tried(shop, address, message))
    shares = [one for one in place.messages if one.get("files")]

    assert len(shares) == 1
    assert ends[-1] in ("sent", "found")


async def _tried(shop: Shop, address: Address, message: OutboundMessage) -> str:
    """One try, judged as the outbox judges it."""
    try:
        await shop.channel.send(address, message)
    except Ambiguous:
        found = await shop.channel.reconcile(address, message.delivery_id)
        return "again" if found == "absent" else "found" if found else "unknown"
    except ChannelError:
        return "again"
    return "sent"


async def test_a_share_that_takes_its_time_is_waited_for(shop: Shop):
    """Completing said ok; the file's own list of places is the proof."""
    shop.slack.filing.shows_after = 2
    place, _, receipt = await send(shop, await kept(shop))

    assert [one["ts"] for one in place.messages] == list(receipt.external_ids)


async def test_an_ok_without_a_share_is_in_doubt(shop: Shop):
    """Slack said ok and never showed the file."""
    shop.slack.filing.shows_after = None
    with pytest.raises(Ambiguous):
        await send(shop, await kept(shop))


@pytest.mark.parametrize(
    "fault",
    [
        Answer(429, refused("ratelimited")),
        Cut(processed=False),
        Answer(503, "", {"Retry-After": "1"}),
    ],
)
async def test_a_share_that_cannot_be_looked_at_is_not_repeated(shop: Shop, fault: Fault):
    """Completing was done; asking where it stands went wrong: the history tells."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "Where is my letter?")
    shop.slack.faults.plan("files.info", fault)
    await shop.agent_says("Here it is.", attachments=(await kept(shop),))
    await shop.settle()
    shares = [one for one in shop.slack.workspace.direct(ana).messages if one.get("files")]

    assert len(shares) == 1
    assert (await shop.deliveries())[-1].state == "delivered"


@pytest.mark.parametrize(("step", "meaning"), [("upload", Unavailable), (PLACE, Ambiguous)])
async def test_files_that_take_too_long_are_given_up_in_time(
    shop: Shop, step: str, meaning: type[ChannelError]
):
    """Before another worker takes the delivery over: unseen it is tried again, else looked for."""
    released = asyncio.Event()
    shop.build(QUICK_TO_GIVE_UP)
    shop.slack.faults.plan(step, Held(released))
    with pytest.raises(meaning):
        await send(shop, await kept(shop))
    released.set()
    await shop.channel.api.close()


async def test_two_files_are_one_message(shop: Shop):
    """An album stays together."""
    place, _, _ = await send(shop, await kept(shop), await kept(shop, b"two", "two.txt"))

    assert [len(one["files"]) for one in place.messages if one.get("files")] == [2]


async def test_blocks_that_slack_refuses_with_a_file_go_as_a_comment(shop: Shop):
    """The words are not lost with their formatting."""
    shop.slack.faults.plan(PLACE, Answer(200, refused("invalid_blocks")))
    place, _, _ = await send(shop, await kept(shop), text="Here & now")

    assert shop.acts.texts(place) == ["Here & now"]


async def test_a_missing_right_to_share_fails_that_message_only(shop: Shop):
    """Text still goes; health names the scope."""
    shop.slack.scopes -= {"files:write"}
    with pytest.raises(Refused, match="files:write"):
        await send(shop, await kept(shop))

    assert "files:write" in await shop.channel.health()


async def test_a_file_that_we_do_not_keep_is_refused(shop: Shop):
    """It was deleted here; nothing is sent."""
    with pytest.raises(Refused, match="not kept"):
        await send(shop, Attachment(kind="file", name="x", reference="own:" + "0" * 36))

    assert shop.slack.called(PLACE) == []


async def test_a_file_that_slack_deleted_is_refused(shop: Shop):
    """The customer took it back."""
    with pytest.raises((Refused, Missing)):
        await shop.channel.fetch(_of("F0GONE"), bytes_max=10)


def _of(file_id: str) -> Attachment:
    return Attachment(kind="file", reference=file_id)


async def test_what_an_agent_attaches_reaches_the_customer(shop: Shop):
    """Through the conversation and the outbox: one message with words and file, delivered."""
    ana = shop.acts.person("Ana")
    await shop.say(ana, "Where is my letter?")
    await shop.agent_says("Here it is.", attachments=(await kept(shop),))
    await shop.settle()
    (share,) = [one for one in shop.slack.workspace.direct(ana).messages if one.get("files")]
    last = (await shop.deliveries())[-1]

    assert (last.state, last.external_id) == ("delivered", share["ts"])
    assert [file.content for file in shop.slack.workspace.files.values()] == [b"dear customer"]
