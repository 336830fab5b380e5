"""How channels are found, checked and switched off by settings."""

from pathlib import Path
from typing import Any

import pytest

from channels import BadSections, check_sections, open_channels
from channels.memory import MemoryChannel
from channels.web import WebChannel
from tests.channels.site import Site

KEYED = """
import channels
from channels.memory import MemoryChannel

class Settings(channels.ChannelSettings):
    token: str = ""

    @property
    def is_configured(self) -> bool:
        return bool(self.token)

def build(settings, parts):
    return MemoryChannel(name="keyed")
"""


def test_the_section_s_name_is_the_module_s(site: Site):
    """[channels.web] is channels/web, [channels.memory] is channels/memory.py."""
    opened = open_channels({"web": {}, "memory": {}}, site.parts)

    assert isinstance(opened["web"], WebChannel)
    assert isinstance(opened["memory"], MemoryChannel)


def test_a_disabled_channel_is_not_opened(site: Site):
    """`enabled` as an environment variable would give it: as text."""
    opened = open_channels({"web": {"enabled": "false"}, "memory": {}}, site.parts)

    assert list(opened) == ["memory"]


def test_a_channel_without_its_token_sleeps(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The token alone turns such a channel on; without one nothing of it is built."""
    (tmp_path / "keyed_channel.py").write_text(KEYED)
    monkeypatch.syspath_prepend(str(tmp_path))
    asleep: dict[str, Any] = {"keyed": {"module": "keyed_channel"}}
    awake: dict[str, Any] = {"keyed": asleep["keyed"] | {"token": "t"}}

    assert open_channels(asleep, site.parts) == {}
    assert list(open_channels(awake, site.parts)) == ["keyed"]


def test_a_channel_may_come_from_outside(site: Site):
    """A dotted `module` is loaded instead of one of ours."""
    opened = open_channels({"mine": {"module": "channels.memory"}}, site.parts)

    assert isinstance(opened["mine"], MemoryChannel)


def test_every_wrong_section_is_reported_at_once():
    """Unknown keys, wrong values and missing modules of all sections, in one error."""
    sections = {
        "web": {"acount": "x", "sockets_per_address": 0},
        "memory": {"enabled": "perhaps"},
        "pigeon": {},
        "odd": {"module": "json"},
    }

    with pytest.raises(BadSections) as caught:
        check_sections(sections)

    assert sorted(caught.value.invalid) == ["memory", "web"]
    assert caught.value.invalid["web"][0].error_count() == 2
    assert sorted(caught.value.unknown) == ["odd", "pigeon"]


def test_a_broken_module_is_not_taken_for_a_missing_one(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """A channel whose own import fails says which package it lacks."""
    (tmp_path / "lame_channel.py").write_text("import no_such_sdk_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(BadSections, match="no_such_sdk_at_all"):
        check_sections({"lame": {"module": "lame_channel"}})
