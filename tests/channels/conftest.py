"""A served web chat for each test, on a store of its own."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from storage.database import Database
from tests.browser.serving import Served
from tests.channels.post import OURS, PASSWORD, Post
from tests.channels.site import Site
from tests.conftest import TurnedClock
from tests.fakes.email import ImapServer, SmtpServer, imap_served, smtp_served
from tests.gateway.conftest import empty_sqlite

__all__ = ["empty_sqlite"]


@pytest.fixture
def database(empty_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'gateway.sqlite')}")
    yield database
    database.close()


@pytest.fixture
def site(database: Database, clock: TurnedClock) -> Site:
    return Site(database, clock)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.client() as client:
        yield client


@pytest.fixture
async def token(client: httpx.AsyncClient) -> str:
    """A new visitor."""
    response = await client.post("/chat/sessions", json={})
    return response.json()["token"]


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    """The same site on a real server, for sockets and streams."""
    served = Served(site.app)
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="session")
def imap_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    log = tmp_path_factory.mktemp("imap") / "output.txt"
    with imap_served(OURS, PASSWORD, log) as server:
        yield server


@pytest.fixture
def imap(imap_server: ImapServer) -> ImapServer:
    """An empty mailbox."""
    imap_server.empty()
    return imap_server


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with smtp_served(OURS, PASSWORD) as server:
        yield server


@pytest.fixture
async def post(site: Site, imap: ImapServer, smtp: SmtpServer) -> AsyncIterator[Post]:
    post = Post(site, imap, smtp)
    yield post
    await post.close()
