"""Our Slack channel on somebody else's Slack."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from slack_sdk.web.async_client import AsyncWebClient
from sqlmodel import select

from channels.slack import Settings, build
from gateway.messages import Address, OutboundMessage
from gateway.models import Revision
from gateway.ports import Edits
from storage.database import Database
from tests.channels.slack.shop import serving
from tests.emulators.conftest import slack_of, slack_served
from tests.emulators.office import Office, until
from tests.emulators.program import free_ports

ANSWER = "Within 30 days"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The gateway, its channel, and the two who talk."""

    office: Office
    channel: Any
    customer: AsyncWebClient
    bot_user: str
    support: str

    async def ask(self, text: str, **more: Any) -> str:
        """Ana writes in the channel; the stamp of her line."""
        posted: Any = await self.customer.chat_postMessage(channel=self.support, text=text, **more)
        return posted["ts"]

    async def thread(self, ts: str) -> list[dict[str, Any]]:
        found: Any = await self.customer.conversations_replies(channel=self.support, ts=ts)
        return found["messages"]

    async def answered(self, ts: str, count: int = 1) -> list[dict[str, Any]]:
        """The bot's lines in a thread, once there are so many."""

        async def look() -> list[dict[str, Any]]:
            said = [line for line in await self.thread(ts) if line["user"] == self.bot_user]
            return said if len(said) >= count else []

        return await until(look)


@asynccontextmanager
async def _opened(database: Database, log: Path) -> AsyncIterator[Workspace]:
    port = free_ports()
    server = slack_of(port)
    office = Office(database)
    section = {
        "bot_token": server.bot_token, "signing_secret": server.signing_secret,
        "api_url": server.url,
    }  # fmt: skip
    channel = build(Settings.model_validate(section), office.parts)
    async with serving(Litestar(channel.routes(), logging_config=None)) as url:
        with slack_served(port, hook=f"{url}/slack/main/events", log=log):
            customer = AsyncWebClient(server.customer_token, base_url=server.url, retry_handlers=[])
            bot = AsyncWebClient(server.bot_token, base_url=server.url, retry_handlers=[])
            us: Any = await bot.auth_test()
            listed: Any = await bot.conversations_list()
            [support] = [one["id"] for one in listed["channels"] if one["name"] == "support"]
            async with office.working("slack", channel):
                yield Workspace(office, channel, customer, us["user_id"], support)


@pytest.fixture
async def workspace(database: Database, tmp_path: Path) -> AsyncIterator[Workspace]:
    async with _opened(database, tmp_path / "slack.txt") as workspace:
        yield workspace


async def test_a_mention_is_answered_in_its_thread(workspace: Workspace):
    """A signed event, a reply in the thread, and none to our own reply."""
    ts = await workspace.ask(f"<@{workspace.bot_user}> How long can I return it?")
    [reply] = await workspace.answered(ts)
    heard = await workspace.office.messages("customer")

    assert reply["text"].startswith(ANSWER)
    assert reply["thread_ts"] == ts
    assert [line.text for line in heard] == ["How long can I return it?"]


async def test_a_thread_goes_on_without_a_mention(workspace: Workspace):
    """Who talks with us is heard in the thread; an emoji of theirs says nothing."""
    ts = await workspace.ask(f"<@{workspace.bot_user}> How long can I return it?")
    [reply] = await workspace.answered(ts)
    await workspace.customer.reactions_add(
        channel=workspace.support, timestamp=reply["ts"], name="eyes"
    )
    await workspace.ask("And who pays?", thread_ts=ts)
    await workspace.answered(ts, 2)
    heard = await workspace.office.messages("customer")

    assert [line.text for line in heard] == ["How long can I return it?", "And who pays?"]
    assert len({line.conversation_id for line in heard}) == 1


async def test_a_customer_s_edit_changes_the_line(workspace: Workspace):
    """The new words are read, the old ones kept."""
    ts = await workspace.ask(f"<@{workspace.bot_user}> How long can I retrun it?")
    await workspace.answered(ts)
    await workspace.customer.chat_update(
        channel=workspace.support, ts=ts, text=f"<@{workspace.bot_user}> How long can I return it?"
    )

    async def changed() -> bool:
        [line] = await workspace.office.messages("customer")
        return line.text == "How long can I return it?" and line.edited_at is not None

    assert await until(changed)
    revisions = await workspace.office.world.store.read(
        lambda session: list(session.exec(select(Revision.text)))
    )
    assert revisions == ["How long can I retrun it?"]


async def test_our_line_can_be_changed(workspace: Workspace):
    """An edit of ours replaces the text where it stands."""
    ts = await workspace.ask("somebody else's talk")
    address = Address(channel="slack", account="main", chat=workspace.support, thread=ts)
    channel = workspace.channel
    receipt = await channel.send(address, OutboundMessage(text="One moment.", delivery_id="d1"))
    assert isinstance(channel, Edits)
    await channel.edit(address, receipt.external_ids[0], OutboundMessage(text="Within 30 days."))
    [_, line] = await workspace.thread(ts)

    assert line["text"] == "Within 30 days."


async def test_a_post_can_be_found_by_its_delivery(workspace: Workspace):
    """The thread's history proves what arrived, and what did not."""
    ts = await workspace.ask("somebody else's talk")
    address = Address(channel="slack", account="main", chat=workspace.support, thread=ts)
    sent = await workspace.channel.send(address, OutboundMessage(text="hi", delivery_id="d1"))

    assert await workspace.channel.reconcile(address, "d1") == sent
    assert await workspace.channel.reconcile(address, "d2") == "absent"
