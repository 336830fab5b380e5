"""Slack: customers write in direct messages, by mentions in channels, and in threads.

Two transports, one intake: Slack calls our routes (production) or we hold a Socket Mode line to it
(a trial without a public address). Either commits an event before it is acknowledged; what an
event says is read from the store alone. Slack keeps a history, so a post that nobody confirmed can
be looked for, and events that never came can be read back.
"""

from channels import Parts
from channels.slack.settings import NAME, Settings
from gateway.ports import Channel

__all__ = ["NAME", "Settings", "build", "probe"]


def build(settings: Settings, parts: Parts) -> Channel:
    from channels.slack.channel import SlackChannel  # brings the vendor's package

    return SlackChannel(settings, parts)


async def probe(settings: Settings) -> str:
    """Ask Slack once who we are and what we may do. Raises ChannelError."""
    from channels.slack.probe import ask

    return await ask(settings)
