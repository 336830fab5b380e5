"""The product as an operator starts it, with nothing set but a token."""

import asyncio
from pathlib import Path

from litestar.testing import AsyncTestClient

from app import Parts, create_app
from config.sources import load
from storage.ids import utc_now
from tests.fakes.telegram import TOKEN, Telegram
from tests.gateway.world import ScriptedAnswerer


async def test_the_token_alone_puts_the_bot_on_telegram(tmp_path: Path):
    """Asked on Telegram, answered on Telegram; health has a line for it; it ends cleanly."""
    telegram = Telegram(utc_now)
    mia = telegram.customer("Mia")
    async with telegram.served() as url:
        settings = load({
            "TANDEM_DATA_DIR": str(tmp_path), "TANDEM_CHANNELS__TELEGRAM__TOKEN": TOKEN,
            "TANDEM_CHANNELS__TELEGRAM__API_URL": url,
        })  # fmt: skip
        app = create_app(settings, Parts(answerer=ScriptedAnswerer()))
        async with AsyncTestClient(app) as client, asyncio.timeout(60):
            mia.write("How long can I return it?")
            while not (heard := mia.heard()) or not heard[-1].startswith("Within 30 days"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            health = (await client.get("/health/ready")).json()

    assert heard == ["Within 30 days [1].\n\n[1] Returns"]
    assert health["parts"]["telegram"] == "ok"
    assert telegram.floods.refused == 0
