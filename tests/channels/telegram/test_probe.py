"""What doctor finds out about a bot, with no server running."""

import pytest

from channels.telegram import Settings, probe
from gateway.errors import BadToken
from storage.ids import utc_now
from tests.fakes.telegram import TOKEN, Telegram


async def test_doctor_names_the_bot():
    """The token works: the operator sees whose it is."""
    telegram = Telegram(utc_now, username="shop_bot")
    async with telegram.served() as url:
        said = await probe(Settings(token=TOKEN, api_url=url))

    assert said == "ok, @shop_bot, polling"


async def test_doctor_finds_a_wrong_token():
    """It says so, and not what the token is."""
    wrong = "700100200:AAWrongWrongWrongWrongWrongWrong_12"
    async with Telegram(utc_now).served() as url:
        with pytest.raises(BadToken) as refused:
            await probe(Settings(token=wrong, api_url=url))

    assert "AAWrong" not in str(refused.value)
    assert "token" in str(refused.value)
