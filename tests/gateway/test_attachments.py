"""Files on their way: uploaded, carried by a message, fetched, fitted to a channel, and swept."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import Session, func, select

from gateway import attachments
from gateway.attachments import Attachments, uploaded
from gateway.conversations import Draft
from gateway.errors import EmptyFile, NoSuchFile, Refused, TooMuch, Unavailable
from gateway.files import FILE_BYTES_MAX, Files, id_of, label_of, media_type_of
from gateway.messages import Attachment, Capabilities, OutboundMessage
from gateway.models import KeptFile, Message
from gateway.render import with_excuses
from storage.database import Database
from tests.gateway.world import ANA, World, phrases

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "attachments"


@pytest.fixture
def kept(world: World, folder: Path) -> Attachments:
    return Attachments(world.store, Files(folder), world.clock, world.channels)


async def open_talk(world: World) -> None:
    await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
    await world.worker.settle()
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.outbox.drain()
    world.memory.sent.clear()


async def send(world: World, text: str, *files: Attachment) -> str:
    draft = Draft(text=text, author=ANA, attachments=files)
    written = await world.act(lambda s, c: world.conversations.say(s, c, draft), visitor="c1")
    await world.outbox.drain()
    return written.id


def name(world: World, owner: str, file_id: str) -> None:
    """As a message that names an upload does. Raises NoSuchFile."""
    world.store.database.write_now(lambda s: uploaded(s, owner, [file_id], now=world.clock()))


def on_disk(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


async def test_an_upload_is_sent_with_a_message(world: World, kept: Attachments) -> None:
    """The channel gets it with its name, its size, and a reference that gives the bytes."""
    await open_talk(world)
    await kept.take("agent:ana", "plan.png", PNG)
    file = await kept.take("agent:ana", "plan.png", PNG)
    await send(world, "Here is the plan.", file)
    [sent] = [one.message for one in world.memory.sent if one.message]

    assert sent.text == "Here is the plan."
    assert sent.attachments == (file,)
    assert (file.kind, file.media_type, file.size_bytes) == ("image", "image/png", len(PNG))
    assert await kept.bytes_of("memory", file) == PNG


async def test_a_file_needs_no_words(world: World, kept: Attachments) -> None:
    """An empty text with a file goes out as the file alone."""
    await open_talk(world)
    file = await kept.take("agent:ana", "plan.png", PNG)
    await send(world, "", file)
    [sent] = [one.message for one in world.memory.sent if one.message]

    assert (sent.text, sent.attachments) == ("", (file,))


@pytest.mark.parametrize(
    ("bytes_max", "why"), [(5, "larger than 0 MB"), (0, "no files can be sent this way")]
)
async def test_a_file_that_a_channel_does_not_take_is_said_in_words(
    world: World, kept: Attachments, bytes_max: int, why: str
) -> None:
    """The text still goes; customer and agents read which file did not, and why."""
    world.memory.can(attachment_bytes_max=bytes_max)
    world.conversations.capabilities = {"memory": world.memory.capabilities}
    await open_talk(world)
    file = await kept.take("agent:ana", "plan.png", PNG)
    message_id = await send(world, "Here is the plan.", file)
    [sent] = [one.message for one in world.memory.sent if one.message]
    note = await world.store.read(
        lambda s: s.exec(select(Message).where(Message.note == True)).one()  # noqa: E712
    )

    assert sent.text.startswith("Here is the plan.\n\nA file could not be sent here: plan.png")
    assert why in sent.text
    assert sent.attachments == ()
    assert (note.author, why in note.text) == ("system", True)
    assert message_id != note.id


def test_only_the_files_that_are_too_large_are_left_out() -> None:
    """One byte more than the channel takes is one too many; the others go."""
    fits = Attachment(kind="file", name="a.txt", size_bytes=10, reference="own:a")
    over = Attachment(kind="file", name="b\u202e<i>.txt", size_bytes=11, reference="own:b")
    message = OutboundMessage(text="", language="zh", attachments=(fits, over))
    told = with_excuses(
        message, Capabilities(text_units_max=99, attachment_bytes_max=10), phrases()
    )

    assert told.attachments == (fits,)
    assert told.text == "有文件未能发送到此处：b_i_.txt（超过 0 MB）。"


async def test_only_who_uploaded_it_can_send_it(world: World, kept: Attachments) -> None:
    """Another agent's id, a visitor's, one that was made up: refused."""
    file = await kept.take("agent:ana", "plan.png", PNG)
    name(world, "agent:ana", id_of(file.reference))
    for owner, file_id in (
        ("agent:ben", id_of(file.reference)), ("agent:ana", "../../etc"), ("", "x"),
    ):  # fmt: skip
        with pytest.raises(NoSuchFile):
            name(world, owner, file_id)


async def test_the_limits_of_an_upload(world: World, folder: Path) -> None:
    """Empty, a byte too large, one file too many, a full disk: refused, and nothing stays."""
    kept = Attachments(world.store, Files(folder), world.clock, {})
    full = Attachments(world.store, Files(folder, disk_free_min=2**62), world.clock, {})
    with pytest.raises(EmptyFile):
        await kept.take("agent:ana", "a", b"")
    with pytest.raises(TooMuch, match="20000000"):
        await kept.take("agent:ana", "a", bytes(FILE_BYTES_MAX + 1))
    with pytest.raises(TooMuch, match="disk"):
        await full.take("agent:ben", "a", b"x")
    for _ in range(attachments.UNUSED_MAX):
        await kept.take("agent:ana", "a", b"x")
    with pytest.raises(TooMuch, match="20 uploaded files"):
        await kept.take("agent:ana", "a", b"x")

    assert len(on_disk(folder)) == attachments.UNUSED_MAX
    await kept.take("agent:cleo", "a", b"x")


async def test_what_nobody_sent_is_deleted_after_a_day(
    world: World, kept: Attachments, folder: Path
) -> None:
    """What a message carries stays; what lost its message goes; before a day nothing goes."""
    await open_talk(world)
    used = await kept.take("agent:ana", "a.png", PNG)
    await kept.take("agent:ana", "b.png", PNG)
    message_id = await send(world, "Here", used)
    world.clock.turn(hours=23, minutes=59)
    early = await kept.sweep()
    world.clock.turn(minutes=2)
    forgotten = (await _unused(world)).reference
    with pytest.raises(NoSuchFile):  # an hour before it goes it cannot be named any more
        name(world, "agent:ana", id_of(forgotten))
    swept = await kept.sweep()
    left = on_disk(folder)

    assert (early, swept, left) == (0, 1, {id_of(used.reference)})
    await _lose_message(world, message_id)
    assert (await kept.sweep(), on_disk(folder)) == (1, set())


async def _unused(world: World) -> Attachment:
    row = await world.store.read(
        lambda s: s.exec(select(KeptFile).where(KeptFile.message_id == None)).one()  # noqa: E711
    )
    return Attachment(kind="file", reference=f"own:{row.id}")


async def _lose_message(world: World, message_id: str) -> None:
    """As an erasure would: the file's row forgets its message."""

    def forget(session: Session) -> None:
        row = session.exec(select(KeptFile).where(KeptFile.message_id == message_id)).one()
        row.message_id = None
        session.add(row)

    await world.store.write(forget)


async def test_a_sweep_that_was_cut_off_is_finished_by_the_next(
    world: World, kept: Attachments, folder: Path
) -> None:
    """The bytes are gone but the row is not: the next sweep ends it, and nobody could name it."""
    file = await kept.take("agent:ana", "a.png", PNG)
    world.clock.turn(days=2)
    (folder / id_of(file.reference)).unlink()
    swept = await kept.sweep()
    rows = await world.store.read(lambda s: s.exec(select(func.count(KeptFile.id))).one())  # pyright: ignore[reportArgumentType]

    assert (swept, rows) == (1, 0)


async def test_one_sweep_deletes_a_limited_number(world: World, kept: Attachments) -> None:
    """A hundred, then the rest."""

    def fill(session: Session) -> None:
        for n in range(attachments.SWEPT_MAX + 1):
            session.add(
                KeptFile(
                    id=f"{n:036d}", owner="agent:ana", kind="file", name="a", media_type="",
                    size_bytes=1, created_at=world.clock(),
                )
            )  # fmt: skip

    await world.store.write(fill)
    world.clock.turn(days=2)

    assert [await kept.sweep() for _ in range(3)] == [attachments.SWEPT_MAX, 1, 0]


async def test_a_providers_file_is_fetched_when_it_is_asked_for(
    world: World, kept: Attachments
) -> None:
    """From the channel it came in on; a network that is down, or lost it, says so."""
    there = Attachment(kind="image", name="x.png", reference="ref-1")
    world.memory.files = {"ref-1": PNG, "ref-2": Unavailable("503"), "big": b"x" * 9}

    assert await kept.bytes_of("memory", there) == PNG
    for reference, error in (("ref-2", Unavailable), ("gone", Refused), ("", Refused)):
        with pytest.raises(error):
            await kept.bytes_of("memory", Attachment(kind="file", reference=reference))
    with pytest.raises(Refused):
        await kept.bytes_of("web", there)
    with pytest.raises(Refused):
        await kept.bytes_of("memory", Attachment(kind="file", reference="own:" + "0" * 36))


async def test_readers_of_files_wait_for_each_other(world: World, database: Database) -> None:
    """Four at once, 32 behind them; the next one is refused."""

    class Slow:
        def __init__(self) -> None:
            self.gate, self.at_once, self.most = asyncio.Event(), 0, 0

        async def fetch(self, attachment: Attachment, *, bytes_max: int) -> bytes:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await self.gate.wait()
            self.at_once -= 1
            return b"x"

    slow, one = Slow(), Attachment(kind="file", reference="r")
    kept = Attachments(world.store, Files(Path()), world.clock, {"slow": slow})  # pyright: ignore[reportArgumentType]
    room = attachments.FETCHES_AT_ONCE + attachments.FETCHES_WAITING_MAX
    readers = [asyncio.create_task(kept.bytes_of("slow", one)) for _ in range(room)]
    await asyncio.sleep(0)
    with pytest.raises(TooMuch):
        await kept.bytes_of("slow", one)
    slow.gate.set()
    found = await asyncio.gather(*readers)

    assert (len(found), slow.most) == (room, attachments.FETCHES_AT_ONCE)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\bill.docx", "bill.docx"),
        ("a\r\nSet-Cookie: x=1.txt", "a_Set-Cookie_ x=1.txt"),
        ('x";filename="evil.html', "x_;filename=_evil.html"),
        ("invoice\u202excod.exe", "invoicexcod.exe"),
        ("<img src=x onerror=alert(1)>.png", "_img src=x onerror=alert(1)_.png"),
        ("发票 2026.pdf", "发票 2026.pdf"),
        ("\ud800.txt", "\ufffd.txt"),
        ("...", "file"),
        ("", "file"),
        ("a" * 300 + ".pdf", "a" * 116 + ".pdf"),
        ("a." + "b" * 300, "a." + "b" * 118),
    ],
)
def test_a_name_from_outside_becomes_one_harmless_line(name: str, label: str) -> None:
    """No folder, no header, no tag, no turned-around letters; short, with its extension."""
    assert label_of(name) == label


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
        (b"GIF89a<script>alert(1)</script>", "image/gif"),
        (b"RIFF1234WEBPVP8 ", "image/webp"),
        (b"RIFF1234WAVE", "application/octet-stream"),
        (b"<!doctype html><script>", "application/octet-stream"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "application/octet-stream"),
        (b"%PDF-1.7", "application/octet-stream"),
        (b"  \x89PNG", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_only_four_kinds_of_image_keep_their_type(content: bytes, media_type: str) -> None:
    """By the first bytes, whatever the name says; all else is nothing that a browser opens."""
    assert media_type_of(content) == media_type


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "[photo] [voice message]"), ("zh", "[图片] [语音消息]")],
)
async def test_what_came_without_words_reads_well(world: World, language: str, text: str) -> None:
    """In the customer's language, by its kind; an album's later parts are counted in."""
    hello = {"en": "Hello, how are you today?", "zh": "你好，请问怎么退货？"}[language]
    await world.ingress.store(world.memory.event_of(chat="c1", text=hello))
    await world.worker.settle()
    photo = {"kind": "image", "name": "", "reference": "r1"}
    voice = {"kind": "voice", "name": "", "reference": "r2"}
    for one in (photo, voice):
        event = world.memory.event_of(chat="c1", album="al", attachments=[one])
        await world.ingress.store(event)
        await world.worker.settle()
    lines = await world.store.read(lambda s: s.exec(select(Message.text)).all())

    assert text in lines
