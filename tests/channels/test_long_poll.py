"""Reading by long polls: what is held back, what is answered at once."""

import asyncio
from typing import Any

import httpx

from tests.channels.site import Site, signed


async def read(client: httpx.AsyncClient, token: str, **query: Any) -> dict[str, Any]:
    response = await client.get("/chat/messages", params=query, headers=signed(token))
    assert response.status_code == 200
    return response.json()


async def ask(client: httpx.AsyncClient, token: str, number: int = 1, text: str = "How?") -> None:
    body = {"client_message_id": f"c-{number}", "text": text}
    response = await client.post("/chat/messages", json=body, headers=signed(token))
    assert response.status_code == 201


async def test_a_poll_waits_for_the_first_message_of_a_new_visitor(
    client: httpx.AsyncClient, site: Site, token: str
):
    """Even before there is a person behind the token, the news wakes it."""
    waiting = asyncio.create_task(read(client, token, wait=20))
    while await site.readers() < 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await ask(client, token)
    body = await waiting

    assert body["items"][0]["seq"] == 1


async def test_a_poll_without_news_ends_with_its_wait(client: httpx.AsyncClient, token: str):
    """Nothing new: no items, and the same place to go on from."""
    await ask(client, token)
    await read(client, token, after=1, wait=20)

    assert await read(client, token, after=2, wait=0.01) == {"items": [], "next": 2, "numbering": 0}
    assert await read(client, token, after=2) == {"items": [], "next": 2, "numbering": 0}


async def test_many_items_come_in_pages(client: httpx.AsyncClient, site: Site, token: str):
    """A hundred at a time, in order, each once; `next` leads from page to page."""
    await ask(client, token, text="a person, please")
    await site.claim()
    for number in range(150):
        await site.say(f"line {number}")
    seen: list[int] = []
    after = 0
    while items := (body := await read(client, token, after=after))["items"]:
        seen += [item["seq"] for item in items]
        after = body["next"]

    assert len(seen) == 153
    assert seen == sorted(set(seen))


async def test_an_edit_wakes_a_poll(client: httpx.AsyncClient, site: Site, token: str):
    """The older item comes again with its new text; `next` stays."""
    await ask(client, token, text="a person, please")
    await site.claim()
    await site.say("one")
    waiting = asyncio.create_task(read(client, token, after=4, wait=20))
    while await site.readers() < 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await site.edit("one", "one, corrected")
    body = await waiting

    assert body["next"] == 4
    assert [item["text"] for item in body["items"]] == ["one, corrected"]
    assert body["items"][0]["edited_at"]


async def test_an_edit_that_was_shown_does_not_answer_every_poll(
    client: httpx.AsyncClient, site: Site, token: str
):
    """A reader with the edit in hand waits in peace; one that asks without wait gets it."""
    await ask(client, token, text="a person, please")
    await site.claim()
    await site.say("one")
    await site.edit("one", "one, corrected")
    waiting = asyncio.create_task(read(client, token, after=4, wait=20))
    while await site.readers() < 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    at_once = await read(client, token, after=4)
    await site.say("two")
    body = await waiting

    assert [item["text"] for item in at_once["items"]] == ["one, corrected"]
    assert [item["text"] for item in body["items"]] == ["two", "one, corrected"]
    assert body["next"] == 5


async def test_a_withdrawn_item_loses_its_text(client: httpx.AsyncClient, site: Site, token: str):
    """The place stays, the words go."""
    await ask(client, token, text="a person, please")
    await site.claim()
    await site.say("a secret")
    await site.withdraw("a secret")
    response = await client.get("/chat/messages", headers=signed(token))
    item = response.json()["items"][-1]

    assert item["withdrawn"] is True
    assert item["text"] == ""
    assert "a secret" not in response.text


async def test_another_visitor_sees_nothing_of_it(
    client: httpx.AsyncClient, site: Site, token: str
):
    """Whatever `after` they ask with, and whoever writes meanwhile."""
    other = (await client.post("/chat/sessions", json={})).json()["token"]
    await ask(client, token, text="my number is 4711")
    await ask(client, other, text="hello")
    texts = [
        str(await read(client, other, after=after, wait=wait))
        for after in (0, 1, 5)
        for wait in (0, 0.01)
    ]

    assert not any("4711" in text for text in texts)
