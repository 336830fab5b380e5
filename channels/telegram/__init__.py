"""Telegram customers: one bot of @BotFather's, by long polling or by a webhook.

`Settings` come without the vendor's package; everything that needs it is behind `build`.
"""

from channels import Parts
from channels.telegram.settings import NAME, Settings
from gateway.ports import Channel

__all__ = ["NAME", "Settings", "build", "probe"]


def build(settings: Settings, parts: Parts) -> Channel:
    from channels.telegram.channel import TelegramChannel

    return TelegramChannel(settings, parts)


async def probe(settings: Settings) -> str:
    """Ask Telegram once who the bot is. Raises ChannelError."""
    from channels.telegram.probe import ask

    return await ask(settings)
