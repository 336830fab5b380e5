"""The settings of a language model: an address is enough, and the key is never shown."""

from dataclasses import asdict

import pytest

from config.settings import Model
from config.sources import SettingsError, load
from rag.budget import BudgetLimits
from rag.llm import CallLimits
from rag.ports import ModelLimits

URL = "TANDEM_MODEL__URL"
KEY = "TANDEM_MODEL__KEY"


def test_without_an_address_there_is_no_model() -> None:
    """A fresh install asks nobody."""
    assert load({}).model.url == ""


def test_an_address_alone_is_enough() -> None:
    """Name, key and limits have defaults."""
    model = load({URL: "http://127.0.0.1:11434/v1/"}).model

    assert (model.url, model.key, model.name) == ("http://127.0.0.1:11434/v1", "", "")


def test_a_key_is_as_long_as_others_made_it_and_never_shown() -> None:
    """A local service's short key is taken; neither settings nor mistakes print one."""
    settings = load({URL: "http://127.0.0.1:1/v1", KEY: "local-1"})
    shown = {one.key: one.value for one in settings.describe()}

    assert settings.model.key == "local-1"
    assert shown["model.key"] == "***"


@pytest.mark.parametrize(
    "key", ["your-key-here", "change-me", "two words", "schlüssel-123", "a\nb"]
)
def test_what_is_no_key_is_refused_unseen(key: str) -> None:
    """A placeholder, or what cannot stand in a header."""
    with pytest.raises(SettingsError) as refused:
        load({URL: "http://127.0.0.1:1/v1", KEY: key})

    assert refused.value.mistakes[0].key == "model.key"
    assert key not in str(refused.value)


def test_what_is_no_address_is_refused() -> None:
    """A name without http is a mistake that is told at the start, not at the first question."""
    with pytest.raises(SettingsError, match="http"):
        load({URL: "api.example.com/v1"})


def test_models_that_stand_in_are_written_with_commas() -> None:
    """As other lists in variables are."""
    model = load({URL: "http://127.0.0.1:1/v1", "TANDEM_MODEL__FALLBACKS": "b,c"}).model

    assert model.fallbacks == ("b", "c")


def test_the_settings_repeat_the_limits_of_the_code() -> None:
    """Name by name and default by default, over the three that they fill."""
    limits = asdict(CallLimits()) | asdict(ModelLimits()) | asdict(BudgetLimits())
    settings = load({}).model.model_dump(exclude={"url", "key", "name", "fallbacks"})

    assert limits.pop("hurried") is False  # of single calls
    assert settings == limits
    assert set(Model.model_fields) - set(limits) == {"url", "key", "name", "fallbacks"}
