"""Loads the words that Tandem says and listens for: one TOML file per language.

An operator changes some of them in files of the same names below `data_dir`; what such a file
leaves out stays as shipped. Whether the words fit the code is checked by their reader.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from config.sources import Mistake, SettingsError, merged

LANGUAGES = ("en", "zh")
Words = dict[str, dict[str, Any]]


def load_phrases(overrides: Path | None = None) -> Words:
    """Language → tables of what the system says. `overrides` is a folder with en.toml, zh.toml."""
    return _load("phrases", overrides)


def load_signals(overrides: Path | None = None) -> Words:
    """Language → lists of words that call for a person. `overrides` as in `load_phrases`."""
    return _load("signals", overrides)


def _load(kind: str, overrides: Path | None) -> Words:
    shipped = resources.files("config").joinpath(kind)
    words: Words = {}
    for language in LANGUAGES:
        name = f"{language}.toml"
        words[language] = tomllib.loads(shipped.joinpath(name).read_text("utf-8"))
        if overrides is not None and (overrides / name).is_file():
            words[language] = merged(words[language], _read(overrides / name))
    return words


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        mistake = Mistake(key="(file)", reason=str(error), origin=str(file))
        raise SettingsError([mistake]) from None
