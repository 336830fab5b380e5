"""Settings: three sources, one report of everything that is wrong, secrets never shown."""

import dataclasses
import os
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.web.settings import Settings as WebSettings
from config.secrets import is_secret, masked, weakness
from config.settings import Settings, leaves
from config.sources import SettingsError, load
from gateway.handoff import HandOffRules
from gateway.http import HealthLimits
from gateway.outbox import OutboxLimits
from gateway.turns import TurnLimits
from gateway.worker import WorkerLimits
from rag.chroma import ChromaLimits
from rag.client import RemoteLimits
from rag.embed import BatcherLimits
from rag.intake import IntakeLimits
from rag.retrieve import RetrieveLimits
from rag.sandbox import ParserLimits
from rag.split import SplitLimits
from storage.database import DatabaseLimits

STRONG = "9f8a7c6b5d4e3f2a1b0c9d8e7f6a5b4c"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tandem.toml"


def test_a_fresh_install_needs_no_settings_at_all() -> None:
    """Without a file and without variables every setting has the shipped default."""
    settings = load({})

    assert settings.server.port == 8080
    assert settings.data_dir == Path.cwd() / "data"
    assert settings.origin("server.port") == "default"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(file: Path) -> None:
    """Each value comes from the highest source that sets it, and says which one that was."""
    file.write_text('[server]\nport = 9000\nhost = "0.0.0.0"\n')

    settings = load({"TANDEM_SERVER__PORT": "9001"}, file)

    assert (settings.server.port, settings.server.host) == (9001, "0.0.0.0")
    assert settings.origin("server.port") == "TANDEM_SERVER__PORT"
    assert settings.origin("server.host") == f"{file}:3"
    assert settings.origin("server.public_url") == "default"


def test_the_file_can_be_named_by_a_variable(file: Path) -> None:
    """TANDEM_CONFIG points to the file; it is not taken for a setting."""
    file.write_text("[server]\nport = 9000\n")

    assert load({"TANDEM_CONFIG": str(file)}).server.port == 9000


def test_lists_are_written_with_commas_in_a_variable() -> None:
    """A variable sets a list by commas or as JSON."""
    commas = load({"TANDEM_SERVER__ORIGINS": "https://a.example, https://b.example"})
    json = load({"TANDEM_SERVER__ORIGINS": '["https://a.example", "https://b.example"]'})

    assert commas.server.origins == json.server.origins
    assert commas.server.origins == ("https://a.example", "https://b.example")


def test_a_channel_section_is_kept_as_it_was_written() -> None:
    """A section that some module owns is not judged here, and its numbers stay text."""
    settings = load({"TANDEM_CHANNELS__PAGER__ROOM": "0042"})

    assert settings.channels["pager"] == {"room": "0042"}


def test_every_mistake_is_reported_at_once(file: Path) -> None:
    """One start is enough to learn of all mistakes: key, value, reason, origin, known names."""
    file.write_text("[server]\nprot = 1\n[rag.index]\nkind = 'faiss'\n")

    with pytest.raises(SettingsError) as caught:
        load({"TANDEM_SERVER__PORT": "many", "TANDEM_LOGING__LEVEL": "debug"}, file)

    mistakes = {mistake.key: mistake for mistake in caught.value.mistakes}
    assert set(mistakes) == {"loging", "rag.index.kind", "server.port", "server.prot"}
    assert "did you mean 'port'" in mistakes["server.prot"].reason
    assert mistakes["server.prot"].origin == f"{file}:2"
    assert "host" in mistakes["server.prot"].known
    assert "did you mean 'logging'" in mistakes["loging"].reason
    assert mistakes["loging"].origin == "TANDEM_LOGING__LEVEL"
    assert mistakes["server.port"].value == "'many'"
    assert "'chroma' or 'memory'" in mistakes["rag.index.kind"].reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("changeme", "placeholder"),
        ("your-token-here-your-token-here", "placeholder"),
        ("<put it here, please, right now>", "placeholder"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "placeholder"),
        ("k9Jq2", "too short"),
    ],
)
def test_a_placeholder_or_short_secret_is_refused_without_printing_it(
    value: str, reason: str
) -> None:
    """A secret that anybody could guess stops the start, names its key and stays unseen."""
    with pytest.raises(SettingsError) as caught:
        load({"TANDEM_CHANNELS__WEB__IDENTITY_SECRET": value})

    (mistake,) = caught.value.mistakes
    assert mistake.key == "channels.web.identity_secret"
    assert reason in mistake.reason
    assert value not in str(caught.value)


def test_a_placeholder_password_inside_an_address_is_refused() -> None:
    """A database address is judged by the password in it."""
    with pytest.raises(SettingsError, match="password is a placeholder"):
        load({"TANDEM_DATABASE__URL": "postgresql+psycopg://tandem:changeme@db/tandem"})


def test_secrets_are_masked_in_what_doctor_prints() -> None:
    """Neither a secret nor a password inside an address is ever shown."""
    settings = load(
        {
            "TANDEM_CHANNELS__WEB__IDENTITY_SECRET": STRONG,
            "TANDEM_DATABASE__URL": "postgresql+psycopg://tandem:k9Jq2xW7@db/tandem",
        }
    )

    shown = {entry.key: entry for entry in settings.describe()}
    assert shown["channels.web.identity_secret"].value == "***"
    assert shown["database.url"].value == "postgresql+psycopg://tandem:***@db/tandem"
    assert shown["database.url"].origin == "TANDEM_DATABASE__URL"
    assert STRONG not in str(shown)
    assert "k9Jq2xW7" not in str(shown)


def test_a_broken_file_is_named_without_quoting_it(file: Path) -> None:
    """The report says where the file is broken, not what stands there."""
    file.write_text(f'[server]\ntoken = "{STRONG}\n')

    with pytest.raises(SettingsError) as caught:
        load({}, file)

    assert str(file) in str(caught.value)
    assert STRONG not in str(caught.value)


def test_a_file_that_is_not_there_is_a_mistake(file: Path) -> None:
    """Somebody who names a file wants it read."""
    with pytest.raises(SettingsError, match="No such file"):
        load({}, file)


def test_every_setting_has_a_default_and_a_sentence() -> None:
    """default.toml is the reference: what is missing or unexplained there does not exist."""
    text = resources.files("config").joinpath("default.toml").read_text("utf-8")
    lines = text.splitlines()
    entries = [number for number, line in enumerate(lines) if re.match(r"[a-z0-9_]+ = ", line)]
    unexplained = [lines[n] for n in entries if not re.match(r"# .*\.$", lines[n - 1])]

    assert unexplained == []
    assert len(entries) == len(leaves(tomllib.loads(text)))
    Settings.model_validate(tomllib.loads(text))


@pytest.mark.parametrize(
    ("section", "limits", "more"),
    [
        ("database", DatabaseLimits, {"url"}),
        ("gateway.turns", TurnLimits, set[str]()),
        ("gateway.handoff", HandOffRules, set[str]()),
        ("gateway.worker", WorkerLimits, set[str]()),
        ("gateway.outbox", OutboxLimits, set[str]()),
        ("gateway.health", HealthLimits, set[str]()),
        ("rag.split", SplitLimits, set[str]()),
        ("rag.parser", ParserLimits, set[str]()),
        ("rag.search", RetrieveLimits, set[str]()),
        ("rag.batcher", BatcherLimits, set[str]()),
        ("rag.chroma", ChromaLimits, set[str]()),
        ("rag.limits", RemoteLimits, {"ready_wait_s"}),
    ],
)
def test_the_settings_repeat_the_limits_of_the_code(
    section: str, limits: Any, more: set[str]
) -> None:
    """Name by name and default by default: a limit that is no setting cannot be changed."""
    settings: Any = load({})
    for part in section.split("."):
        settings = getattr(settings, part)
    names = {field.name for field in dataclasses.fields(limits)}

    assert set(type(settings).model_fields) == names | more
    assert limits(**settings.model_dump(include=names)) == limits()


def test_the_settings_repeat_the_limits_of_intake() -> None:
    """Parser and splitter, which intake carries along, have sections of their own."""
    settings = load({}).rag
    names = {field.name for field in dataclasses.fields(IntakeLimits)} - {"parser", "split"}

    assert set(type(settings.intake).model_fields) == names
    assert IntakeLimits(**settings.intake.model_dump()) == IntakeLimits()


def test_the_web_channel_has_the_shipped_defaults() -> None:
    """The section that the channel itself judges is in the reference too, name by name."""
    section = dict(load({}).channels["web"])
    shown = WebSettings.model_validate(section)

    assert set(section) == set(WebSettings.model_fields) - {"module"}
    assert shown == WebSettings()


def test_reading_settings_loads_nothing_of_tandem() -> None:
    """Config stands alone, so that `tandem --help` stays quick."""
    code = "import sys, config.sources; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )

    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert not loaded & {
        "storage",
        "rag",
        "gateway",
        "channels",
        "agent_inbox",
        "torch",
        "litestar",
    }


@given(st.text(min_size=1))
def test_a_masked_secret_never_holds_the_secret(value: str) -> None:
    """Whatever stands in a secret, it is shown as three stars."""
    assert masked("channels.telegram.token", value) == "***"
    assert is_secret("channels.telegram.token")


@given(st.binary(min_size=16, max_size=32))
def test_a_random_secret_is_taken(noise: bytes) -> None:
    """128 random bits in hex are good enough unless they are not random at all."""
    value = noise.hex()
    if len(set(value)) >= 6:
        assert weakness("web.identity_secret", value) is None
