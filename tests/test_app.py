"""The composition root: what stands behind the web app, and what it refuses to start with."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from app import Parts, build, check, create_app, public_app
from config.settings import Settings
from config.sources import SettingsError, load
from gateway.phrases import PhraseError
from tests.gateway.world import ScriptedAnswerer

Client = AsyncTestClient[Any]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**more: str) -> Settings:
        return load({"TANDEM_DATA_DIR": str(tmp_path / "data"), **more})

    return make


@pytest.fixture
async def client(settings: Callable[..., Settings]) -> AsyncGenerator[Client]:
    app = create_app(settings(), Parts(answerer=ScriptedAnswerer()))
    async with AsyncTestClient(app) as client:
        yield client


async def test_chat_console_and_health_are_there(client: Client) -> None:
    """One app serves the demo page, the widget, the console and its health."""
    pages = [await client.get(path) for path in ("/", "/widget.js", "/console", "/health/live")]

    assert [page.status_code for page in pages] == [200] * 4


async def test_a_question_on_the_web_is_answered(client: Client) -> None:
    """The whole way through the wired parts: session, message, turn, answer with its source."""
    token = (await client.post("/chat/sessions", json={})).json()["token"]
    bearer = {"authorization": f"Bearer {token}"}
    body = {"client_message_id": "a1", "text": "How long?"}
    taken = await client.post("/chat/messages", json=body, headers=bearer)
    after = taken.json()["seq"]
    async with asyncio.timeout(20):
        while not (items := await _read(client, bearer, after)):
            pass

    assert items[0]["author"] == "bot"
    assert items[0]["citations"][0]["source"] == "returns.md"


async def test_without_a_librarian_the_server_is_degraded_and_serves(client: Client) -> None:
    """People answer meanwhile: no load balancer takes the chat away."""
    response = await client.get("/health/ready")

    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert "librarian" in response.json()["parts"]


async def test_what_is_not_there_is_said_as_data(client: Client) -> None:
    """A path that nobody serves, and the API's description, which is not public by default."""
    missing = await client.get("/nothing")
    description = await client.get("/schema/openapi.json")

    assert (missing.status_code, missing.json()["type"]) == (404, "urn:tandem:http-404")
    assert description.status_code == 404


async def test_the_description_of_the_chat_can_be_shown(settings: Callable[..., Settings]) -> None:
    """A setting opens it; it names the public routes of the chat and nothing of the console."""
    app = create_app(settings(TANDEM_SERVER__SCHEMA_PAGE="true"))
    async with AsyncTestClient(app) as client:
        described = (await client.get("/schema/openapi.json")).json()

    assert {"/chat/sessions", "/chat/messages"} <= set(described["paths"])
    assert not [path for path in described["paths"] if path.startswith("/console")]


async def test_the_console_can_be_left_out(settings: Callable[..., Settings]) -> None:
    """A deployment whose agents work elsewhere."""
    app = create_app(settings(TANDEM_INBOX__CONSOLE__ENABLED="false"))
    async with AsyncTestClient(app) as client:
        assert (await client.get("/console")).status_code == 404


def test_the_mistakes_of_every_channel_are_in_one_report(
    settings: Callable[..., Settings],
) -> None:
    """Each with its key, its origin and what is known there; secrets stay masked."""
    secret = "2c1f9e8d7b6a5f4e3d2c1b0a9f8e7d6c"
    with pytest.raises(SettingsError) as caught:
        check(
            settings(
                TANDEM_CHANNELS__WEB__SOCKETS_PER_ADDRESS="none",
                TANDEM_CHANNELS__WEB__BOT_TOKEN=secret,
                TANDEM_CHANNELS__PIGEON__ENABLED="true",
            )
        )

    mistakes = {mistake.key: mistake for mistake in caught.value.mistakes}
    assert set(mistakes) == {
        "channels.pigeon", "channels.web.bot_token", "channels.web.sockets_per_address",
    }  # fmt: skip
    assert mistakes["channels.pigeon"].origin == "TANDEM_CHANNELS__PIGEON__ENABLED"
    assert "sockets_per_address" in mistakes["channels.web.bot_token"].known
    assert secret not in str(caught.value)


def test_an_operators_broken_phrase_stops_the_start(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """A slot that the code does not fill would be an error in a customer's face."""
    folder = tmp_path / "data" / "phrases"
    folder.mkdir(parents=True)
    (folder / "zh.toml").write_text('[notice]\nclaimed = "{nobody} 已加入。"\n')

    with pytest.raises(PhraseError, match=r"notice\.claimed"):
        build(settings())


async def test_an_end_with_work_in_flight_leaves_nothing_running(
    settings: Callable[..., Settings],
) -> None:
    """After the app has ended its store is closed and no task of it is left."""
    gateway = build(settings(), Parts(answerer=ScriptedAnswerer()))
    before = asyncio.all_tasks()
    async with AsyncTestClient(public_app(gateway)) as client:
        await client.post("/chat/sessions", json={})

    assert gateway.stopping.is_set()
    assert asyncio.all_tasks() <= before


async def _read(client: Client, bearer: dict[str, str], after: int) -> list[dict[str, Any]]:
    response = await client.get(f"/chat/messages?after={after}&wait=1", headers=bearer)
    return response.json()["items"]
