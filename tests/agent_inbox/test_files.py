"""Files over the console's API: attached to a reply, and read from any message."""

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from agent_inbox.desk import View
from gateway.errors import Ambiguous, Blocked, Unavailable
from gateway.files import FILE_BYTES_MAX, FILES_PER_MESSAGE_MAX
from gateway.models import Message
from tests.agent_inbox.bench import Bench
from tests.agent_inbox.browsing import API, Client, sign_in, thread, view_of

BYTES = {"content-type": "application/octet-stream"}
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


async def upload(client: Client, name: str, content: bytes) -> Any:
    return await client.post(f"{API}/files", params={"name": name}, content=content, headers=BYTES)


async def reply(client: Client, bench: Bench, text: str, files: list[str], n: int = 1) -> Any:
    shown = await thread(client, bench)
    body = {"text": text, "files": files, "client_id": f"client-{n:04d}", **view_of(shown)}
    return await client.post(f"{API}/conversations/{shown['id']}/reply", json=body)


async def came_in(bench: Bench, *files: dict[str, Any], text: str = "") -> str:
    """A customer on the memory channel sends files; the message's id."""
    event = bench.world.memory.event_of(chat="c1", text=text, attachments=list(files))
    await bench.world.ingress.store(event)
    await bench.world.worker.settle()
    return await bench.store.read(
        lambda s: s.exec(select(Message.id).where(Message.author == "customer")).one()
    )


async def test_an_agent_sends_a_file(bench: Bench, client: Client):
    """Uploaded, named by a reply, shown in the transcript, and read back byte for byte."""
    await bench.agent("Ana")
    await bench.waits()
    await sign_in(client, "Ana")
    kept = await upload(client, "plan.png", PNG)
    answer = await reply(client, bench, "Here is the plan.", [kept.json()["id"]])
    line = answer.json()["lines"][-1]
    found = await client.get(f"{API}/messages/{line['id']}/attachments/0")

    assert (kept.status_code, answer.status_code) == (201, 200)
    assert line["attachments"] == [
        {"n": 0, "kind": "image", "name": "plan.png", "media_type": "image/png",
         "size_bytes": len(PNG), "held": "here"}
    ]  # fmt: skip
    assert "own:" not in answer.text
    assert (found.content, found.headers["content-type"]) == (PNG, "image/png")


async def test_a_file_needs_no_words_but_a_reply_needs_one_of_both(bench: Bench, client: Client):
    """A file alone is a reply; nothing at all is none. The same press again is the same line."""
    await bench.agent("Ana")
    await bench.waits()
    await sign_in(client, "Ana")
    kept = (await upload(client, "a.txt", b"x")).json()["id"]
    alone = await reply(client, bench, " ", [kept])
    again = await reply(client, bench, " ", [kept])
    nothing = await reply(client, bench, " ", [], 2)

    assert (alone.status_code, again.status_code, nothing.status_code) == (200, 200, 422)
    lines = [one for one in again.json()["lines"] if one["author"] == "agent"]
    assert [(one["text"], len(one["attachments"])) for one in lines] == [("", 1)]


async def test_a_file_of_somebody_else_cannot_be_sent(bench: Bench, client: Client):
    """Ben names what Ana uploaded, or what nobody did: refused in words, nothing is said."""
    await bench.agent("Ana")
    await bench.agent("Ben")
    await bench.waits()
    await sign_in(client, "Ana")
    kept = (await upload(client, "a.txt", b"x")).json()["id"]
    await sign_in(client, "Ben")
    answers = [await reply(client, bench, "Look", [one]) for one in (kept, "made-up")]

    assert [one.status_code for one in answers] == [410, 410]
    assert answers[0].json()["type"] == "urn:tandem:file-gone"
    assert [line.author for line in await bench.lines()] == ["customer", "system"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "kind"),
    [
        (b"", BYTES, 422, "empty-file"),
        (b"x", {"content-type": "text/plain"}, 415, "wrong-type"),
        (b"x", {"content-type": "multipart/form-data; boundary=a"}, 415, "wrong-type"),
        (bytes(FILE_BYTES_MAX + 1), BYTES, 413, "too-large"),
    ],
)
async def test_what_is_no_file_is_refused(
    bench: Bench, client: Client, content: bytes, headers: dict[str, str], status: int, kind: str
):
    """Empty, of another type, a byte too large: a clear refusal, and nothing is kept."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    answer = await client.post(
        f"{API}/files", params={"name": "a"}, content=content, headers=headers
    )

    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tandem:{kind}")


async def test_the_largest_file_and_the_most_files(bench: Bench, client: Client):
    """20 MB and ten files go; the eleventh is refused."""
    await bench.agent("Ana")
    await bench.waits()
    await sign_in(client, "Ana")
    contents = [bytes(FILE_BYTES_MAX), *[b"x"] * FILES_PER_MESSAGE_MAX]
    ids = [(await upload(client, "a.bin", one)).json()["id"] for one in contents]
    over = await reply(client, bench, "", ids)
    fits = await reply(client, bench, "", ids[:FILES_PER_MESSAGE_MAX], 2)

    assert (over.status_code, fits.status_code) == (422, 200)
    assert len(fits.json()["lines"][-1]["attachments"]) == FILES_PER_MESSAGE_MAX


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\r\nX-Evil: 1.txt", "a_X-Evil_ 1.txt"),
        ('a";filename="b.html', "a_;filename=_b.html"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("<script>alert(1)</script>.png", "script_.png"),
        ("发票.pdf", "发票.pdf"),
    ],
)
async def test_a_hostile_name_stays_a_label(bench: Bench, client: Client, name: str, label: str):
    """It opens no other file, starts no header, and reads as what it is."""
    await bench.agent("Ana")
    await bench.waits()
    await sign_in(client, "Ana")
    kept = (await upload(client, name, b"x")).json()
    answer = await reply(client, bench, "", [kept["id"]])
    line = answer.json()["lines"][-1]
    found = await client.get(f"{API}/messages/{line['id']}/attachments/0")
    disposition = found.headers["content-disposition"]

    assert kept["name"] == label
    assert disposition.startswith('attachment; filename="')
    assert disposition.isascii()
    assert disposition.count('"') == 2
    assert "x-evil" not in found.headers
    assert [path.name for path in _stored(bench)] == [kept["id"]]


def _stored(bench: Bench) -> list[Path]:
    return list(bench.files._folder.iterdir())  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"<!doctype html><script>alert(1)</script>", "application/octet-stream"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            "application/octet-stream",
        ),
        (b"GIF89a/*<script>alert(1)</script>*/", "image/gif"),
        (b"%PDF-1.4", "application/octet-stream"),
        (PNG, "image/png"),
    ],
)
async def test_no_file_is_ever_a_page(
    bench: Bench, client: Client, content: bytes, media_type: str
):
    """A download under a type that runs nothing, with sniffing off, whatever it pretends to be."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    bench.world.memory.files["r1"] = content
    message_id = await came_in(
        bench, {"kind": "image", "name": "x.html", "media_type": "text/html", "reference": "r1"}
    )
    found = await client.get(f"{API}/messages/{message_id}/attachments/0")

    assert found.content == content
    assert found.headers["content-type"] == media_type
    assert found.headers["content-disposition"].startswith("attachment;")
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in found.headers["content-security-policy"]
    assert "script-src" not in found.headers["content-security-policy"]
    assert "no-store" in found.headers["cache-control"]


async def test_a_customers_file_is_fetched_from_its_network(bench: Bench, client: Client):
    """Bytes come through the channel; down, gone, and never there are told apart."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    bench.world.memory.files = {"r1": PNG, "r2": Unavailable("503 from the far end")}
    message_id = await came_in(
        bench,
        {"kind": "image", "name": "p.png", "reference": "r1"},
        {"kind": "file", "name": "d.pdf", "reference": "r2"},
        {"kind": "file", "name": "old.pdf", "reference": "r3"},
        {"kind": "location"},
        text="see these",
    )
    path = f"{API}/messages/{message_id}/attachments"
    found = [await client.get(f"{path}/{n}") for n in range(5)]
    missing = await client.get(f"{API}/messages/nothing/attachments/0")

    assert [one.status_code for one in found] == [200, 503, 410, 410, 404]
    assert found[1].json()["type"] == "urn:tandem:provider-down"
    assert found[1].json()["extra"]["channel"] == "memory"
    assert "503 from the far end" in found[1].json()["detail"]
    assert found[2].json()["type"] == "urn:tandem:file-gone"
    assert missing.status_code == 404


async def test_a_provider_that_hands_out_too_much_is_refused(bench: Bench, client: Client):
    """One byte over the limit, whatever it announced."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    bench.world.memory.files["r1"] = bytes(FILE_BYTES_MAX + 1)
    message_id = await came_in(bench, {"kind": "file", "name": "x", "reference": "r1"})
    found = await client.get(f"{API}/messages/{message_id}/attachments/0")

    assert (found.status_code, found.json()["type"]) == (410, "urn:tandem:file-gone")


async def test_the_brief_says_what_came_along(bench: Bench, client: Client):
    """A photo without a word is a wish that an agent can see, in their own language."""
    await bench.agent("Ana")
    await sign_in(client, "Ana")
    await came_in(bench, {"kind": "image", "name": "broken.jpg", "reference": "r1"})
    conversation = await bench.world.conversation("c1")
    shown = (await client.get(f"{API}/conversations/{conversation.id}")).json()

    assert shown["case"]["reasons"][0]["name"] == "out_of_words"
    assert shown["case"]["brief"]["wants"] == [
        {"seq": 1, "author": "customer", "text": "[photo]",
         "files": [{"kind": "image", "name": "broken.jpg"}]}
    ]  # fmt: skip
    assert "reference" not in str(shown["lines"])


# Resend


async def lost(bench: Bench, error: Exception, *, claim: str) -> tuple[str, str]:
    """A line that did not arrive, in a talk on the memory channel that `claim` has; conversation
    and message."""
    world = bench.world
    await world.ingress.store(world.memory.event_of(chat="c1", text="a person, please"))
    await world.worker.settle()
    found = await world.conversation("c1")
    worker = await bench.agent(claim)
    await bench.desk.claim(worker, View(conversation_id=found.id))
    await world.outbox.drain()
    world.memory.sent.clear()
    world.memory.fail_next(error)  # pyright: ignore[reportArgumentType]
    await bench.desk.reply(
        worker, View(conversation_id=found.id), "Your parcel is here.", client_id="client-0001"
    )
    await world.outbox.drain()
    return found.id, (await bench.lines("c1"))[-1].id


async def test_the_screen_tells_what_was_lost_and_resend_sends_it_once(
    bench: Bench, client: Client
):
    """Unknown within one sweep; pressed twice, one more copy; then it is delivered."""
    conversation_id, message_id = await lost(bench, Ambiguous("cut"), claim="Ana")
    await sign_in(client, "Ana")
    path = f"{API}/conversations/{conversation_id}"
    before = (await client.get(path)).json()["lines"][-1]
    pressed = [await client.post(f"{path}/messages/{message_id}/resend") for _ in range(2)]
    await bench.world.outbox.drain()
    after = (await client.get(path)).json()["lines"][-1]

    assert (before["delivery"], after["delivery"]) == ("unknown", "delivered")
    assert [one.status_code for one in pressed] == [200, 200]
    assert pressed[0].json()["lines"][-1]["delivery"] == "pending"
    assert bench.world.memory.texts() == ["Your parcel is here."]


async def test_why_it_was_not_delivered_is_on_the_line(bench: Bench, client: Client):
    """The channel's reason, for an agent to read."""
    conversation_id, _ = await lost(bench, Blocked("the customer blocked the bot"), claim="Ana")
    await sign_in(client, "Ana")
    line = (await client.get(f"{API}/conversations/{conversation_id}")).json()["lines"][-1]

    assert (line["delivery"], line["reason"]) == ("failed", "the customer blocked the bot")


async def test_only_the_owner_or_an_admin_may_resend(bench: Bench, client: Client):
    """While Ana has it, Ben may not and the admin may; put back into the queue, Ben may, too."""
    conversation_id, message_id = await lost(bench, Ambiguous("cut"), claim="Ana")
    await bench.agent("Ben")
    await bench.agent("Cleo", role="admin")
    path = f"{API}/conversations/{conversation_id}/messages/{message_id}/resend"
    await sign_in(client, "Ben")
    refused = await client.post(path)
    bench.world.memory.fail_next(Ambiguous("cut again"))
    await sign_in(client, "Cleo")
    by_admin = await client.post(path)
    await bench.world.outbox.drain()
    ana = await bench.named("Ana")
    shown = (await client.get(f"{API}/conversations/{conversation_id}")).json()
    await client.post(
        f"{API}/conversations/{conversation_id}/release", json={"epoch": shown["epoch"]}
    )
    await sign_in(client, "Ben")
    while_waiting = await client.post(path)
    await bench.world.outbox.drain()

    assert ana.name == "Ana"
    assert (refused.status_code, by_admin.status_code, while_waiting.status_code) == (403, 200, 200)
    assert bench.world.memory.texts().count("Your parcel is here.") == 1


async def test_a_message_of_another_conversation_is_not_resent_here(bench: Bench, client: Client):
    """The address has to fit: 404, and nothing goes out."""
    _, message_id = await lost(bench, Ambiguous("cut"), claim="Ana")
    other = await bench.waits(visitor="v2")
    await sign_in(client, "Ana")
    answers = [
        await client.post(f"{API}/conversations/{one}/messages/{message_id}/resend")
        for one in (other.id, "nothing")
    ]

    assert [one.status_code for one in answers] == [404, 404]
    assert bench.world.memory.texts() == []
