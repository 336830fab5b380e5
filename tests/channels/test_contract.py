"""The contract of all channels, over whatever is in the folder."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from channels import open_channels
from gateway.messages import InboundMessage
from gateway.ports import Channel
from tests.channels.contract import KINDS, PAYLOADS, names, payload, section
from tests.channels.site import Site

ROOT = Path(__file__).parents[2]
SDKS = ("telegram", "slack_sdk", "slack_bolt", "imapclient", "aiosmtplib")


@pytest.fixture(params=names())
def channel(request: pytest.FixtureRequest, site: Site) -> Channel:
    """Each channel, built from the smallest section that it works with."""
    return open_channels({request.param: section(request.param)}, site.parts)[request.param]


def test_the_folder_holds_the_channels_we_know():
    """The discovery finds the web and its twin, so the contract runs over something."""
    assert {"web", "memory"} <= set(names())


def test_a_channel_calls_itself_by_its_section(channel: Channel):
    """Events, addresses and deliveries name a channel as the settings do."""
    assert channel.name in names()


def test_a_channel_says_what_it_can(channel: Channel):
    """A text limit is never missing: `render.fit` cuts by it."""
    assert channel.capabilities.text_units_max > 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_read_as_its_payload_says(channel: Channel, kind: str):
    """Text, button, edit, repeat, attachment and our own echo, or the reason why there is none."""
    given = payload(channel.name, kind)
    if given.event is None:
        assert given.never
        return
    message = channel.parse(given.event)

    if given.message is None:
        assert message is None
        return
    assert isinstance(message, InboundMessage)
    assert {name: getattr(message, name) for name in given.message} == given.message
    assert tuple(file.kind for file in message.attachments) == given.attachments
    assert (message.address.channel, message.address.account) == (channel.name, "main")


def test_a_repeat_reads_as_the_same_message(channel: Channel):
    """Two copies of an event are one message: their ids decide it."""
    first, again = (payload(channel.name, kind).event for kind in ("text", "duplicate"))
    assert first is not None
    assert again is not None

    assert first.external_id == again.external_id
    assert channel.parse(first) == channel.parse(again)


def test_every_channel_has_its_payloads():
    """A new channel is red until its payloads are there."""
    missing = [
        f"{name}/{kind}.json"
        for name in names()
        for kind in KINDS
        if not (PAYLOADS / name / f"{kind}.json").is_file()
    ]

    assert missing == []


@pytest.mark.parametrize("name", names())
def test_settings_refuse_what_they_do_not_know(name: str):
    """A typing mistake in a section is told, not ignored."""
    module = importlib.import_module(f"channels.{name}")

    assert module.Settings.model_config["extra"] == "forbid"


def test_settings_are_checked_without_any_sdk():
    """Reading the settings of every channel imports no vendor's package."""
    code = (
        "import importlib, sys\n"
        f"for name in {names()!r}: importlib.import_module(f'channels.{{name}}').Settings()\n"
        f"print([vendor for vendor in {SDKS!r} if vendor in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
