"""Where settings come from, and one report of everything that is wrong with them.

Lowest first: the packaged `default.toml`, a TOML file, the environment (`TANDEM_` in front, `__`
between levels). Each value remembers who set it.

    SettingsError    carries every `Mistake` at once: nobody likes to fix them one start at a time
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from config.secrets import is_secret, masked, weakness
from config.settings import Settings, Table, leaves

PREFIX = "TANDEM_"
FILE_VARIABLE = "TANDEM_CONFIG"  # names the file; it is no setting itself
_NOT_SETTINGS = frozenset({FILE_VARIABLE, "TANDEM_FAILPOINTS"})  # the second: tests only
DEFAULT_FILE = "tandem.toml"
_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_ENTRY = re.compile(r"^\s*([A-Za-z0-9_.\"-]+)\s*=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrong setting. `value` is masked when it is a secret; `known` are names that exist."""

    key: str
    reason: str
    origin: str
    value: str = ""
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        text = f"{self.key}{shown}: {self.reason} (from {self.origin})"
        return f"{text}. Known here: {', '.join(self.known)}" if self.known else text


class SettingsError(Exception):
    """The settings cannot be used; `mistakes` lists all that is wrong, in order of their keys."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.key))
        count = len(self.mistakes)
        head = f"{count} setting{'s are' if count > 1 else ' is'} wrong:"
        super().__init__("\n".join([head, *(f"  {mistake}" for mistake in self.mistakes)]))


@dataclass(frozen=True, slots=True)
class _Layer:
    values: dict[str, Any]
    origins: dict[str, str]


def load(environ: Mapping[str, str], file: Path | None = None) -> Settings:
    """The settings in force. `file` None: the one that TANDEM_CONFIG names, else `tandem.toml`
    of the working directory if there is one. Raises SettingsError with every mistake."""
    layers = [_packaged(), _from_file(_chosen(environ, file)), _from_environment(environ)]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        values = merged(values, layer.values)
        origins |= layer.origins
    return _checked(values, origins)


def mistakes_of(
    error: ValidationError, model: type[BaseModel], origins: Mapping[str, str], prefix: str = ""
) -> list[Mistake]:
    """What pydantic found in the section `prefix` ("channels.web."), in this report's form."""
    return [_mistake(dict(found), model, origins, prefix) for found in error.errors()]


def _checked(values: dict[str, Any], origins: Mapping[str, str]) -> Settings:
    mistakes = [
        Mistake(key=key, reason=reason, origin=origins.get(key, "default"), value="***")
        for key, value in leaves(values)
        if (reason := weakness(key, value))
    ]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError([*mistakes, *mistakes_of(error, Settings, origins)]) from None
    if mistakes:
        raise SettingsError(mistakes)
    settings._origins = origins  # pyright: ignore[reportPrivateUsage]
    return settings


def _packaged() -> _Layer:
    text = resources.files("config").joinpath("default.toml").read_text("utf-8")
    return _Layer(tomllib.loads(text), {})


def _chosen(environ: Mapping[str, str], file: Path | None) -> Path | None:
    if file is None and environ.get(FILE_VARIABLE):
        file = Path(environ[FILE_VARIABLE])
    if file is None:
        return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None
    return file


def _from_file(file: Path | None) -> _Layer:
    if file is None:
        return _Layer({}, {})
    try:
        text = file.read_text("utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError([Mistake(key="(file)", reason=reason, origin=str(file))]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # The decoder's own text may quote the line, and the line may hold a secret.
        place = re.search(r"at line \d+, column \d+", str(error))
        reason = f"is not TOML{f' ({place[0]})' if place else ''}"
        raise SettingsError([Mistake(key="(file)", reason=reason, origin=str(file))]) from None
    lines = _line_numbers(text)
    origins = {
        key: f"{file}:{lines[key]}" if key in lines else str(file) for key, _ in leaves(values)
    }
    return _Layer(values, origins)


def _line_numbers(text: str) -> dict[str, int]:
    """Dotted key → line, for files written in the plain way (`[section]`, `name = value`)."""
    section, numbers = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header[1].replace('"', "").replace(" ", "") + "."
        elif entry := _ENTRY.match(line):
            numbers.setdefault(section + entry[1].replace('"', ""), number)
    return numbers


def _from_environment(environ: Mapping[str, str]) -> _Layer:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS:
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        origins[".".join(path)] = name
        nested: Any = _typed(environ[name])
        for part in reversed(path):
            nested = {part: nested}
        values = merged(values, nested)
    return _Layer(values, origins)


def _typed(text: str) -> Any:
    """Lists are written as JSON or with commas in a variable; the rest stays text, which the
    section's own types read (so that a token made of digits stays a token)."""
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with what `above` says laid over it, table by table; lists are replaced whole."""
    result = dict(below)
    for name, value in above.items():
        under = result.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            result[name] = merged(cast("Table", under), cast("Table", value))
        else:
            result[name] = _like(under, value)
    return result


def _like(under: Any, value: Any) -> Any:
    """`value`, split at commas where the setting it replaces is a list."""
    if isinstance(under, list) and isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _mistake(
    found: dict[str, Any], model: type[BaseModel], origins: Mapping[str, str], prefix: str
) -> Mistake:
    parts = [str(part) for part in found["loc"] if not isinstance(part, int)]
    key = prefix + ".".join(parts)
    reason = str(found["msg"]).removeprefix("Value error, ")
    known: tuple[str, ...] = ()
    value = "" if isinstance(found["input"], dict) else repr(masked(key, found["input"]))
    if found["type"] == "extra_forbidden":
        names = sorted(_fields(model, parts[:-1]))
        close = difflib.get_close_matches(parts[-1], names, n=1)
        reason = "no such setting" + (f"; did you mean {close[0]!r}?" if close else "")
        known = tuple(names)
    elif is_secret(key):
        reason = reason.split(",")[0]  # pydantic may quote the input
    return Mistake(key=key, reason=reason, origin=origin_of(key, origins), value=value, known=known)


def origin_of(key: str, origins: Mapping[str, str]) -> str:
    """Of the key, or of the first value below it (an unknown table has no value of its own)."""
    if key in origins:
        return origins[key]
    below = (origin for name, origin in origins.items() if name.startswith(f"{key}."))
    return next(below, "default")


def _fields(model: type[BaseModel], path: list[str]) -> set[str]:
    for name in path:
        field = model.model_fields.get(name)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return set()
        model = inner[0]
    return set(model.model_fields)
