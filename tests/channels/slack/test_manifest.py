"""The app that people create from the shipped manifest can do what the code does, and no more."""

import ast
from pathlib import Path
from typing import Any

import yaml

from channels.slack.api import METHODS
from channels.slack.blocks import EVENT_TYPE
from channels.slack.scopes import EVENT_SCOPES, METHOD_SCOPES, NEEDED
from tests.fakes.slack.events import METADATA_SUBSCRIBED, SUBSCRIBED

FOLDER = Path(__file__).parents[3] / "channels" / "slack"


def manifest() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "manifest.yaml").read_text("utf-8"))


def called() -> set[str]:
    """The first argument of each `….call("…")` and `_said("…")` in the channel."""
    found: set[str] = set()
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                if node.func.attr in ("call", "_said") and isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_every_method_that_is_called_has_its_scopes():
    """The table of scopes, the list of methods and the calls in the code are one and the same."""
    assert called() == set(METHODS) == set(METHOD_SCOPES)


def test_the_manifest_asks_for_what_is_needed_and_no_more():
    """A scope too few breaks a call, one too many frightens an admin."""
    scopes = manifest()["oauth_config"]["scopes"]["bot"]

    assert len(set(scopes)) == len(scopes)
    assert set(scopes) == set(NEEDED)
    assert "chat:write.customize" not in scopes


def test_the_manifest_subscribes_to_what_is_read():
    """Each event that the code handles is subscribed, ours with its metadata; so is the fake's."""
    events = manifest()["settings"]["event_subscriptions"]
    subscribed = events["metadata_subscriptions"]

    assert set(events["bot_events"]) == set(EVENT_SCOPES) == set(SUBSCRIBED)
    assert [one["event_type"] for one in subscribed] == [EVENT_TYPE] == list(METADATA_SUBSCRIBED)


def test_the_manifest_leads_to_our_routes():
    """The addresses are those of the account in the default settings."""
    settings = manifest()["settings"]

    assert settings["event_subscriptions"]["request_url"].endswith("/slack/main/events")
    assert settings["interactivity"]["request_url"].endswith("/slack/main/interactivity")
    assert settings["interactivity"]["is_enabled"]


def test_slack_takes_the_texts_of_the_manifest():
    """A long description has 174 to 4,000 characters, a name 35 at most, a short one 140."""
    told = manifest()["display_information"]

    assert 174 <= len(told["long_description"]) <= 4_000
    assert len(told["name"]) <= 35
    assert len(told["description"]) <= 140


def test_customers_may_write_to_the_app():
    """Without its Messages tab nobody can send a direct message."""
    home = manifest()["features"]["app_home"]

    assert home["messages_tab_enabled"]
    assert not home["messages_tab_read_only_enabled"]
