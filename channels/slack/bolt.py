"""The one Bolt app of a bot token, fed from the store.

Slack gives each event to one connection of an app, so whoever wants to handle more of them (the
agents' inbox) registers on this app instead of making another. It never meets the wire: signatures
were checked and events committed before; our own posts come through, because they are proof.
"""

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.api import quiet
from gateway.messages import RawEvent

log = structlog.get_logger()


class Bolt:
    """`app` takes listeners; `dispatch` runs them for a stored event."""

    def __init__(self, client: AsyncWebClient, signing_secret: str) -> None:
        token = client.token

        async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
            # Ours, from the settings: Bolt's own asks Slack at each first event, and fails with it.
            return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=token)

        client.token = None  # else Bolt warns that it will not use it
        self.app = AsyncApp(
            name="tandem",
            logger=quiet(),  # Bolt writes whole payloads
            client=client,
            authorize=authorize,
            signing_secret=signing_secret,
            process_before_response=True,  # a handler that failed is seen by its status
            request_verification_enabled=False,
            ignoring_self_events_enabled=False,
        )
        client.token = token
        self.app.error(_failed)

    async def dispatch(self, event: RawEvent) -> bool:
        """Run the listeners of an event, an action, a command or a window, as it was stored.

        False: nobody listens. Raises what made a listener fail, so that the event is tried again.
        """
        headers: dict[str, str | list[str]] = {"content-type": [event.headers["content-type"]]}
        request = AsyncBoltRequest(body=event.body.decode(), headers=headers)  # pyright: ignore[reportArgumentType]
        answer = await self.app.async_dispatch(request)
        if answer.status >= 500:
            raise ListenerFailed(f"a listener failed for {event.external_id}")
        return answer.status < 400


class ListenerFailed(Exception):
    """A listener raised; the log says what."""


async def _failed(error: Exception) -> BoltResponse:
    log.error("listener_failed", exc_info=error)
    return BoltResponse(status=500)
