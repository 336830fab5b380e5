"""One question to Slack, for `tandem doctor`: is the token good, and may it do what we do?"""

from channels.slack.api import Api
from channels.slack.fields import word
from channels.slack.scopes import lacking
from channels.slack.settings import Settings
from channels.slack.wellness import Wellness
from storage.ids import utc_now


async def ask(settings: Settings) -> str:
    """ "ok" with the workspace's name, or what is wrong. Raises a leaf of ChannelError."""
    api = Api(token=settings.bot_token, url=settings.api_url, clock=utc_now)
    try:
        answer = await api.call("auth.test")
        if settings.app_token:
            await api.call("apps.connections.open", token=settings.app_token)
    finally:
        await api.close()
    granted = word(answer["headers"], "x-oauth-scopes")
    found = Wellness(scopes=lacking(granted), skew_s=api.skew_s).report()
    return f"ok: {word(answer, 'user')} in {word(answer, 'team')}" if found == "ok" else found
