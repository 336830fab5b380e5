"""What an operator notices while setting Telegram up, and what never leaves the settings."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels import BadSections, check_sections
from config.logging import configure
from config.sources import SettingsError, load
from tests.channels.telegram.conftest import Opened
from tests.fakes.faults import Answer, Cut, Garbled
from tests.fakes.telegram import TOKEN, Customer, Telegram


def test_the_token_alone_turns_it_on():
    """One variable, nothing else."""
    asleep = load({}).channels
    awake = load({"TANDEM_CHANNELS__TELEGRAM__TOKEN": TOKEN}).channels

    assert "telegram" not in check_sections(asleep)
    assert "telegram" in check_sections(awake)


def test_the_settings_page_has_the_defaults_of_the_code():
    """config/default.toml is what holds without it, too."""
    from channels.telegram import Settings

    assert Settings(**load({}).channels["telegram"]) == Settings()


@pytest.mark.parametrize(
    "token", ["54321", "my token", "700100200", f"bot{TOKEN}", f"{TOKEN[:20]} {TOKEN[20:]}"]
)
def test_what_is_no_token_is_refused_in_words(token: str):
    """It says who gives tokens and how one looks, and not what was typed."""
    with pytest.raises(BadSections) as caught:
        check_sections({"telegram": {"token": token}})

    assert "@BotFather gives them as 123456789:AAF" in str(caught.value)
    assert token not in str(caught.value)


def test_a_placeholder_is_refused_before_anything_starts():
    """The example of a page is no token."""
    with pytest.raises(SettingsError, match=r"channels\.telegram\.token"):
        load({"TANDEM_CHANNELS__TELEGRAM__TOKEN": "123456789:your-token-here-your-token-here-your"})


def test_a_token_with_blanks_around_it_is_meant_without():
    """As files and shells leave them."""
    [(_, settings)] = check_sections({"telegram": {"token": f" {TOKEN}\n"}}).values()

    assert getattr(settings, "token", "") == TOKEN


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"webhook_secret": "s" * 42}, "43 to 256"),
        ({"webhook_secret": "é" * 43}, "43 to 256"),
        ({"api_url": "api.telegram.org"}, "must be an address"),
        ({"api_url": "https://user:pass@proxy.example"}, "must be an address"),
        ({"mode": "push"}, "polling"),
        ({"poll_wait_s": 51}, "50"),
        ({"check_wait_s": 301}, "300"),
        ({"account": "a/b"}, "pattern"),
        ({"chat": 1}, "extra"),
    ],
)
def test_a_wrong_setting_is_told(wrong: dict[str, object], reason: str):
    """Each with what would be right, and no secret in it."""
    with pytest.raises(BadSections, match=reason) as caught:
        check_sections({"telegram": {"token": TOKEN, **wrong}})

    assert TOKEN not in str(caught.value)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, at the finest level and unredacted, by whatever package."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure("debug")
    root.handlers[:] = [logging.StreamHandler(stream)]
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_neither_the_token_nor_a_text_is_in_any_log(
    written: io.StringIO, opened: Opened, telegram: Telegram, mia: Customer, tmp_path: Path
):
    """With everything that goes wrong, too: addresses of the Bot API carry the token."""
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # of our own Telegram
    telegram.faults.plan("getMe", Cut(processed=False), Answer(401, "{}x"))
    telegram.faults.plan("getUpdates", Garbled(), Answer(400, "{}"), Cut(processed=True))
    telegram.faults.plan("sendMessage", Garbled(), Cut(processed=True), Answer(404, "<html>"))
    site = await opened()
    mia.write("my very private question")
    telegram.mail.add("message", {"message_id": "odd", "chat": 7, "text": "my very private odd"})
    await site.settle()
    log = written.getvalue()

    assert "polling_failed" in log
    assert TOKEN not in log
    assert TOKEN.partition(":")[2] not in log
    assert "very private" not in log
