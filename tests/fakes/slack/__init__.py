"""A Slack workspace as a real server: Web API, events over HTTP or a line, and people in it.

By hand: `python -m tests.fakes.slack`.
"""

from tests.fakes.slack.acts import Acts
from tests.fakes.slack.server import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, SlackServer, refused

__all__ = ["APP_TOKEN", "BOT_TOKEN", "SIGNING_SECRET", "Acts", "SlackServer", "refused"]
