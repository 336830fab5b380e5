"""What `tandem doctor` asks Telegram, without a server."""

from channels.telegram.api import Api
from channels.telegram.condition import Condition
from channels.telegram.settings import Settings
from storage.ids import utc_now


async def ask(settings: Settings) -> str:
    """Who the bot is, and whether messages can come in the way that is set. Raises ChannelError."""
    condition = Condition(utc_now)
    api = Api(settings, condition)
    async with api.connected():
        await api.learn_name()
        webhook = await api.webhook()
    if settings.mode == "polling" and webhook.url:
        return f"@{api.username} has a webhook, which the next start takes off to fetch instead"
    if webhook.last_error_message:
        return f"@{api.username}: the last webhook call failed: {webhook.last_error_message}"
    said = condition.said()
    return f"ok, @{api.username}, {settings.mode}" if said == "ok" else said
