"""The Knowledge page over HTTP: documents in and out."""

import pytest
from sqlmodel import Session, select

from agent_inbox.console import ConsoleSettings
from gateway.models import Audit
from storage.database import Database
from tests.agent_inbox.bench import Bench
from tests.agent_inbox.browsing import API, Client, sign_in
from tests.conftest import TurnedClock

BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture
async def admin(bench: Bench, client: Client):
    worker = await bench.agent("Ana", role="admin")
    await sign_in(client, "Ana")
    return worker


async def upload(client: Client, name: str, content: bytes = b"# Refunds\n\n30 days."):
    return await client.post(
        f"{API}/sources", params={"name": name}, content=content, headers=BYTES
    )


async def test_an_uploaded_document_can_be_followed_until_it_is_live(
    bench: Bench, client: Client, admin: object
):
    """Stored at once, then told passage by passage, then listed with its health report."""
    status = (await upload(client, "refunds.md")).json()
    later = (await client.get(f"{API}/revisions/{status['revision_id']}")).json()
    page = (await client.get(f"{API}/sources")).json()
    detail = (await client.get(f"{API}/sources/{status['source_id']}")).json()

    assert (status["state"], later["state"]) == ("embedding", "live")
    assert [one["name"] for one in page["items"]] == ["refunds.md"]
    assert detail["revisions"][0]["health"]["warnings"] == [
        {"en": "two headings have no text", "zh": "两个标题下没有文字"}
    ]
    assert detail["passages"][0]["text"].startswith("Refunds are possible")


async def test_a_document_that_cannot_be_read_says_why(bench: Bench, client: Client, admin: object):
    """The reason is written for whoever uploaded it."""
    answer = await upload(client, "empty.md", b"  ")

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:tandem:unreadable-document"
    assert answer.json()["detail"] == "the document is empty"
    assert answer.json()["extra"] == {"en": "the document is empty", "zh": "文档是空的"}


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\docs\\passwd", "a/b/passwd"])
async def test_a_name_is_a_label_and_never_a_path(
    bench: Bench, client: Client, admin: object, name: str
):
    """What stands before the last slash is cut off."""
    await upload(client, name)

    assert [one.name for one in bench.knowledge.uploads] == ["passwd"]


@pytest.mark.parametrize("name", ["", "folder/", "x" * 201, "nul\x00.md"])
async def test_a_document_needs_a_proper_name(
    bench: Bench, client: Client, admin: object, name: str
):
    """Nothing without a name, nothing with an endless one."""
    answer = await upload(client, name)

    assert answer.status_code == 422
    assert bench.knowledge.uploads == []


async def test_a_document_over_the_limit_is_refused(database: Database, clock: TurnedClock):
    """One byte more than allowed is 413, exactly as much is taken."""
    bench = Bench(database, clock, settings=ConsoleSettings(upload_bytes_max=1_000))
    await bench.agent("Ana", role="admin")
    async with Client(bench.app) as client:
        client.headers["origin"] = "http://testserver.local"
        await sign_in(client, "Ana")
        fits = await upload(client, "fits.md", b"x" * 1_000)
        over = await upload(client, "over.md", b"x" * 1_001)

    assert (fits.status_code, over.status_code) == (202, 413)
    assert [one.name for one in bench.knowledge.uploads] == ["fits.md"]


async def test_removing_a_document_is_written_down(bench: Bench, client: Client, admin: object):
    """It is gone from the list, and the audit says who added and removed what."""
    status = (await upload(client, "refunds.md")).json()

    removed = await client.delete(f"{API}/sources/{status['source_id']}")
    again = await client.delete(f"{API}/sources/{status['source_id']}")

    def audited(session: Session) -> list[tuple[str, str]]:
        entries = session.exec(select(Audit).where(Audit.subject.startswith("source:")))  # pyright: ignore
        return [(entry.action, entry.detail["name"]) for entry in entries]

    assert (removed.status_code, again.status_code) == (204, 404)
    assert (await client.get(f"{API}/sources")).json()["items"] == []
    assert await bench.store.read(audited) == [
        ("document_added", "refunds.md"),
        ("document_retired", "refunds.md"),
    ]


async def test_who_may_read_a_document_is_said_at_the_upload_and_later(
    bench: Bench, client: Client, admin: object
):
    """Without a word about it the knowledge base leaves it as it was; a name must be one."""
    await client.post(
        f"{API}/sources", params={"name": "a.md", "audience": "staff"}, content=b"x", headers=BYTES
    )
    status = (await upload(client, "b.md")).json()
    at = f"{API}/sources/{status['source_id']}/audience"
    changed = await client.put(at, json={"audience": "customers"})
    odd = await client.put(at, json={"audience": "All of them"})
    unknown = await client.put(f"{API}/sources/nothing/audience", json={"audience": "staff"})

    assert [one.audience for one in bench.knowledge.uploads] == ["staff", None]
    assert (changed.status_code, odd.status_code, unknown.status_code) == (204, 422, 404)
    assert bench.knowledge.audiences == {status["source_id"]: "customers"}


async def test_an_earlier_version_is_answered_from_again(
    bench: Bench, client: Client, admin: object
):
    """The one before, or the one that was chosen; where there is none it says so."""
    first = (await upload(client, "a.md")).json()
    at = f"{API}/sources/{first['source_id']}/rollback"
    none = await client.post(at, json={})
    await upload(client, "a.md", b"# New\n\n14 days.")
    before = await client.post(at, json={})
    chosen = await client.post(at, json={"revision_id": first["revision_id"]})

    def audited(session: Session) -> list[str]:
        return list(session.exec(select(Audit.action).where(Audit.subject.startswith("source:"))))  # pyright: ignore

    assert none.status_code == 409
    assert none.json()["type"] == "urn:tandem:no-earlier-version"
    assert [before.status_code, chosen.status_code] == [200, 200]
    assert bench.knowledge.rolled_back == [first["revision_id"]] * 2
    assert (await bench.store.read(audited)).count("document_rolled_back") == 2


async def test_a_page_is_added_by_its_address(bench: Bench, client: Client, admin: object):
    """A sitemap is told page by page; a refusal is told in both languages."""
    named = await client.post(f"{API}/pages", json={"url": "https://a.test/sitemap.xml"})
    added = await client.post(
        f"{API}/sources/page", json={"url": "https://a.test/help", "audience": "customers"}
    )
    refused = await client.post(f"{API}/sources/page", json={"url": "http://private.test/"})
    empty = await client.post(f"{API}/pages", json={"url": " "})
    long = await client.post(f"{API}/pages", json={"url": "https://a.test/" + "x" * 2_000})

    assert named.json() == {
        "urls": ["https://a.test/sitemap.xml/1", "https://a.test/sitemap.xml/2"]
    }
    assert added.status_code == 202
    assert [(one.url, one.audience) for one in bench.knowledge.uploads] == [
        ("https://a.test/help", "customers")
    ]
    assert refused.status_code == 422
    assert refused.json()["extra"]["zh"] == "指向非公开的网络"
    assert (empty.status_code, long.status_code) == (422, 422)


async def test_agents_read_documents_but_do_not_change_them(bench: Bench, client: Client):
    """What the bot answers from is in the hands of admins."""
    await bench.agent("Ben")
    await sign_in(client, "Ben")

    uploaded = await upload(client, "refunds.md")
    listed = await client.get(f"{API}/sources")

    assert (uploaded.status_code, listed.status_code) == (403, 200)
    assert bench.knowledge.uploads == []
