"""Files of the web chat: uploaded by visitors, read back by nobody else."""

from typing import Any

import httpx
import pytest
from sqlmodel import Session, select

from gateway.conversations import Draft
from gateway.files import FILE_BYTES_MAX, FILES_PER_MESSAGE_MAX
from gateway.models import InboxEvent, KeptFile, Message
from storage.database import Database
from tests.channels.site import Site, signed
from tests.conftest import TurnedClock
from tests.gateway.world import ANA

BYTES = {"Content-Type": "application/octet-stream"}
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


async def upload(client: httpx.AsyncClient, token: str, name: str, content: bytes) -> Any:
    return await client.post(
        "/chat/files", params={"name": name}, content=content, headers=signed(token, **BYTES)
    )


async def post(client: httpx.AsyncClient, token: str, number: int = 1, **fields: Any) -> Any:
    body = {"client_message_id": f"c-{number}", **fields}
    return await client.post("/chat/messages", json=body, headers=signed(token))


async def items(client: httpx.AsyncClient, token: str) -> list[dict[str, Any]]:
    return (await client.get("/chat/messages", headers=signed(token))).json()["items"]


async def another(client: httpx.AsyncClient) -> str:
    return (await client.post("/chat/sessions", json={})).json()["token"]


async def ana_sends(site: Site, text: str, content: bytes, name: str = "plan.png") -> None:
    """Ana attaches a file to a reply."""
    file = await site.channel.chat.attachments.take("agent:ana", name, content)
    await site.say(text, attachments=(file,))


async def test_an_agents_file_reaches_its_customer(
    client: httpx.AsyncClient, site: Site, token: str
):
    """The item lists it with name, type, size and address; there are its bytes."""
    await post(client, token, text="a person, please")
    await site.claim()
    await ana_sends(site, "Here is the plan.", PNG)
    item = (await items(client, token))[-1]
    found = await client.get(item["attachments"][0]["url"], headers=signed(token))

    assert item["attachments"] == [
        {"n": 0, "kind": "image", "name": "plan.png", "media_type": "image/png",
         "size_bytes": len(PNG), "url": f"/chat/messages/{item['id']}/attachments/0"}
    ]  # fmt: skip
    assert (found.status_code, found.content) == (200, PNG)
    assert found.headers["content-type"] == "image/png"
    assert found.headers["content-disposition"].startswith('attachment; filename="plan.png"')
    assert found.headers["x-content-type-options"] == "nosniff"


async def test_a_message_without_files_says_nothing_of_them(client: httpx.AsyncClient, token: str):
    """The field is left out: what most items do not have costs no byte."""
    await post(client, token, text="Hello")

    assert all("attachments" not in item for item in await items(client, token))


async def test_a_customers_file_is_shown_to_them_and_to_agents(
    client: httpx.AsyncClient, site: Site, token: str
):
    """Uploaded, named by a message, read back; without words it is described by its kind."""
    kept = (await upload(client, token, "../broken.png", PNG)).json()
    posted = await post(client, token, text="It came broken", files=[kept["id"]])
    bare = await post(client, token, 2, files=[kept["id"]])
    mine = [item for item in await items(client, token) if item["author"] == "customer"]
    found = await client.get(mine[0]["attachments"][0]["url"], headers=signed(token))
    stored = await site.world.store.read(
        lambda s: s.exec(select(Message.attachments).where(Message.seq == 1)).one()
    )

    assert (kept["name"], kept["media_type"], kept["size_bytes"]) == (
        "broken.png", "image/png", len(PNG),
    )  # fmt: skip
    assert (posted.status_code, bare.status_code) == (201, 201)
    assert [item["text"] for item in mine] == ["It came broken", "[photo]"]
    assert found.content == PNG
    assert stored[0]["reference"] == f"own:{kept['id']}"


async def test_the_same_message_with_its_files_again_is_the_same_message(
    client: httpx.AsyncClient, token: str
):
    """A lost answer is asked for again; other files under the same id are another content."""
    ids = [(await upload(client, token, f"{n}.txt", b"x")).json()["id"] for n in range(2)]
    first = await post(client, token, text="Look", files=[ids[0]])
    again = await post(client, token, text="Look", files=[ids[0]])
    other = await post(client, token, text="Look", files=[ids[1]])

    assert (first.status_code, again.json(), other.status_code) == (201, first.json(), 409)


async def test_a_message_that_was_kept_unread_keeps_its_files(
    client: httpx.AsyncClient, site: Site, token: str
):
    """The worker reads it from the raw event alone, files included."""
    kept = (await upload(client, token, "a.png", PNG)).json()
    await post(client, token, text="Look", files=[kept["id"]])
    event = await site.world.store.read(lambda s: s.exec(select(InboxEvent)).one())
    read = site.channel.parse(event)  # pyright: ignore[reportArgumentType]

    assert read is not None
    assert [one.reference for one in read.attachments] == [f"own:{kept['id']}"]


async def test_nobody_else_gets_a_file(client: httpx.AsyncClient, site: Site, token: str):
    """Another visitor, one without a token, and one who guesses: 404 or 401, never the bytes."""
    await post(client, token, text="a person, please")
    await site.claim()
    await ana_sends(site, "Here", PNG)
    item = (await items(client, token))[-1]
    url = item["attachments"][0]["url"]
    stranger = await another(client)
    await post(client, stranger, 9, text="Hello")
    answers = [
        await client.get(url, headers=signed(stranger)),
        await client.get(url, headers=signed(await another(client))),
        await client.get(url),
        await client.get(url.replace("/0", "/1"), headers=signed(token)),
        await client.get(url.replace("/0", "/-1"), headers=signed(token)),
        await client.get("/chat/messages/nothing/attachments/0", headers=signed(token)),
    ]

    assert [one.status_code for one in answers] == [404, 404, 401, 404, 404, 404]
    assert all(PNG not in one.content for one in answers)


async def test_what_is_not_the_customers_to_see_has_no_files(
    client: httpx.AsyncClient, site: Site, token: str
):
    """A note's file, and one whose message was taken back, are not there."""
    await post(client, token, text="a person, please")
    await site.claim()
    await ana_sends(site, "Here", PNG)
    shown = (await items(client, token))[-1]["attachments"][0]["url"]
    await site.withdraw("Here")
    file = await site.channel.chat.attachments.take("agent:ana", "n.png", PNG)
    draft = Draft(text="look", author=ANA, note=True, attachments=(file,))
    await site._act(lambda s, c: site.world.conversations.append(s, c, draft))  # pyright: ignore[reportPrivateUsage]
    note = await site.world.store.read(
        lambda s: s.exec(select(Message.id).where(Message.text == "look")).one()
    )
    answers = [
        await client.get(url, headers=signed(token))
        for url in (shown, f"/chat/messages/{note}/attachments/0")
    ]

    assert [one.status_code for one in answers] == [404, 404]
    assert "attachments" not in (await items(client, token))[-1]


async def test_a_file_of_somebody_else_cannot_be_sent(
    client: httpx.AsyncClient, site: Site, token: str
):
    """Another visitor's upload, an agent's, one that was made up: 422, and nothing is stored."""
    stranger = await another(client)
    kept = (await upload(client, stranger, "a.png", PNG)).json()["id"]
    agents = await site.channel.chat.attachments.take("agent:ana", "n.png", PNG)
    answers = [
        await post(client, token, text="Look", files=[one])
        for one in (kept, agents.reference[4:], "made-up")
    ]

    assert {(one.status_code, one.json()["type"]) for one in answers} == {
        (422, "urn:tandem:no-such-file")
    }
    assert await items(client, token) == []


async def test_a_file_that_waited_too_long_has_to_be_chosen_again(
    client: httpx.AsyncClient, site: Site, token: str
):
    """After 23 hours no message can name it: the sweep may take it any time."""
    kept = (await upload(client, token, "a.png", PNG)).json()["id"]
    site.world.clock.turn(hours=23, seconds=1)
    answer = await post(client, token, text="Look", files=[kept])

    assert answer.json()["type"] == "urn:tandem:no-such-file"


@pytest.mark.parametrize(
    ("content", "headers", "status", "name"),
    [
        (b"", BYTES, 422, "empty-file"),
        (b"x", {"Content-Type": "application/json"}, 415, "not-a-file"),
        (b"x", {"Content-Type": "text/html"}, 415, "not-a-file"),
        (b"x", {**BYTES, "Content-Encoding": "gzip"}, 415, "not-a-file"),
        (bytes(FILE_BYTES_MAX + 1), BYTES, 413, "too-large"),
    ],
)
async def test_what_is_no_file_is_refused(
    client: httpx.AsyncClient, site: Site, token: str, content: bytes, headers: dict[str, str],
    status: int, name: str,
):  # fmt: skip
    """A clear refusal in words, and no row is left."""
    answer = await client.post("/chat/files", content=content, headers=signed(token, **headers))
    rows = await site.world.store.read(lambda s: s.exec(select(KeptFile)).all())

    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tandem:{name}")
    assert rows == []


async def test_the_largest_file_and_the_most_files(client: httpx.AsyncClient, token: str):
    """20 MB and ten files are taken; eleven are one too many, and so are files with a button."""
    big = await upload(client, token, "big", bytes(FILE_BYTES_MAX))
    kept = [(await upload(client, token, "a", b"x")).json()["id"] for _ in range(2)]
    over = await post(client, token, files=[kept[0]] * (FILES_PER_MESSAGE_MAX + 1))
    pressed = await post(client, token, action="human", files=kept)
    fits = await post(client, token, files=[big.json()["id"], *kept])

    assert big.status_code == 201
    assert [one.status_code for one in (over, pressed, fits)] == [422, 422, 201]


async def test_uploads_and_downloads_have_their_rates(database: Database, clock: TurnedClock):
    """The next one in the same minute waits, with the limit's name."""
    site = Site(database, clock, uploads_per_minute=2, uploads_per_address=3,
                downloads_per_minute=1)  # fmt: skip
    async with site.client() as client:
        tokens = [await another(client) for _ in range(2)]
        first = [await upload(client, tokens[0], "a", b"x") for _ in range(3)]
        second = [await upload(client, tokens[1], "a", b"x") for _ in range(2)]
        await post(client, tokens[0], files=[first[0].json()["id"]])
        item = (await items(client, tokens[0]))[0]
        url = item["attachments"][0]["url"]
        down = [await client.get(url, headers=signed(tokens[0])) for _ in range(2)]

    assert [one.status_code for one in first] == [201, 201, 429]
    assert [one.status_code for one in second] == [201, 429]
    assert [one.status_code for one in down] == [200, 429]
    assert first[2].json()["extra"] == {"limit": "uploads_per_minute"}
    assert second[1].json()["extra"] == {"limit": "uploads_per_address"}
    assert int(down[1].headers["retry-after"]) >= 1


async def test_a_foreign_page_gets_no_file(client: httpx.AsyncClient, site: Site, token: str):
    """The origin is looked at before the token, for files as for everything."""
    headers = signed(token, Origin="https://elsewhere.example", **BYTES)
    up = await client.post("/chat/files", content=b"x", headers=headers)
    down = await client.get("/chat/messages/x/attachments/0", headers=headers)

    assert (up.status_code, down.status_code) == (403, 403)


async def test_what_stays_on_another_network_is_named_but_not_linked(
    client: httpx.AsyncClient, site: Site, token: str
):
    """A file that came in elsewhere is shown with its name; its address is null."""
    await post(client, token, text="Hello")

    def add(session: Session) -> None:
        line = session.exec(select(Message).where(Message.seq == 1)).one()
        line.attachments = [{"kind": "file", "name": "a\u202e/b.pdf", "reference": "tg:1"}]
        session.add(line)

    await site.world.store.write(add)
    [shown] = (await items(client, token))[0]["attachments"]
    answer = await client.get(
        f"/chat/messages/{(await items(client, token))[0]['id']}/attachments/0",
        headers=signed(token),
    )

    assert (shown["name"], shown["url"]) == ("b.pdf", None)
    assert answer.status_code == 404
