"""The words that Tandem says and listens for, and an operator's own."""

from pathlib import Path

import pytest

from config.sources import SettingsError
from config.words import load_phrases, load_signals


def test_both_languages_are_shipped() -> None:
    """Customers are spoken to, and understood, in English and Chinese."""
    assert set(load_phrases()) == set(load_signals()) == {"en", "zh"}
    assert all(load_phrases().values())


def test_an_operator_changes_one_phrase_and_keeps_the_rest(tmp_path: Path) -> None:
    """A file of one's own replaces what it names and nothing else."""
    (tmp_path / "en.toml").write_text('[button]\nhuman = "Call us"\n')

    shipped, own = load_phrases(), load_phrases(tmp_path)

    assert own["en"]["button"]["human"] == "Call us"
    assert own["en"]["button"]["bot"] == shipped["en"]["button"]["bot"]
    assert own["zh"] == shipped["zh"]


def test_a_broken_file_of_ones_own_is_named(tmp_path: Path) -> None:
    """The report names the file, as for settings."""
    (tmp_path / "zh.toml").write_text("button = ")

    with pytest.raises(SettingsError, match=r"zh\.toml"):
        load_signals(tmp_path)
