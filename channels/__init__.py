"""Where messages come from and go to: one module for each channel, found by its section's name.

A channel's module has `Settings` (pydantic, unknown keys refused) and `build(settings, parts)`.
Both can be imported without the vendor's SDK, so that settings are checked before anything starts.
"""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlmodel import Session

from gateway.crossing import Crossings
from gateway.files import Files
from gateway.ingress import Ingress
from gateway.models import Conversation
from gateway.phrases import Phrases
from gateway.ports import Channel, Clock
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Standing:
    """What a customer is told of the people: who has joined, or the place in line (from 1)."""

    agent: str | None = None
    place: int | None = None


StandingOf = Callable[[Session, Conversation], Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the composition root lends to every channel.

    `stopping` is set when the server is asked to end: whoever waits then answers at once.
    `standing` asks the agent inbox, which channels may not import.
    """

    store: Store
    ingress: Ingress
    clock: Clock
    stopping: asyncio.Event
    standing: StandingOf
    files: Files
    phrases: Phrases
    crossings: Crossings
    public_url: str = ""  # where customers reach our own pages; empty when nobody said
    origins: tuple[str, ...] = ()  # web sites that may talk to us besides our own
    trusted_proxies: int = 0


class ChannelSettings(BaseModel):
    """What every channel's section may say. `module` names a channel outside this package."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    module: str | None = None

    @property
    def is_configured(self) -> bool:
        """Whether it has what it cannot work without, such as a token; else the channel sleeps."""
        return True


class ChannelModule(Protocol):
    """What a file must have to be a channel."""

    Settings: type[ChannelSettings]

    def build(self, settings: Any, parts: Parts) -> Channel: ...


@runtime_checkable
class Probes(Protocol):
    """A channel's file that can ask its provider once, without a server."""

    async def probe(self, settings: Any) -> str:
        """ "ok" and what was found, or what is wrong and what to do. Raises ChannelError."""
        ...


class BadSections(Exception):
    """Some `channels.*` sections cannot be used. `invalid` has what pydantic found with the model
    that found it; `unknown` says why a section has no module."""

    def __init__(
        self,
        invalid: Mapping[str, tuple[ValidationError, type[BaseModel]]],
        unknown: Mapping[str, str],
    ) -> None:
        self.invalid = dict(invalid)
        self.unknown = dict(unknown)
        lines = [f"channels.{name}: {reason}" for name, reason in self.unknown.items()]
        lines += [f"channels.{name}: {error}" for name, (error, _) in self.invalid.items()]
        super().__init__("\n".join(lines))


Checked = Mapping[str, tuple[ChannelModule, ChannelSettings]]


def check_sections(sections: Mapping[str, Mapping[str, Any]]) -> Checked:
    """Each section that is enabled and configured, with its module and its settings. Raises
    BadSections with all that is wrong in any of them, those that sleep included."""
    checked: dict[str, tuple[ChannelModule, ChannelSettings]] = {}
    invalid: dict[str, tuple[ValidationError, type[BaseModel]]] = {}
    unknown: dict[str, str] = {}
    for name, section in sections.items():
        try:
            module = _module(name, section.get("module"))
        except ImportError as error:
            unknown[name] = str(error)
            continue
        try:
            settings = module.Settings.model_validate(section)
        except ValidationError as error:
            invalid[name] = (error, module.Settings)
            continue
        if settings.enabled and settings.is_configured:
            checked[name] = (module, settings)
    if invalid or unknown:
        raise BadSections(invalid, unknown)
    return checked


def open_channels(sections: Mapping[str, Mapping[str, Any]], parts: Parts) -> dict[str, Channel]:
    """The enabled and configured channels, built but not running. Raises BadSections."""
    return {
        name: module.build(settings, parts)
        for name, (module, settings) in check_sections(sections).items()
    }


def _module(name: str, outside: object) -> ChannelModule:
    """The module of a section: `channels.NAME`, or the dotted `module` that the section names."""
    path = f"{__name__}.{name}" if outside is None else str(outside)
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and path.startswith(error.name):
            raise ImportError(f"there is no channel module {path!r}") from None
        raise
    if not hasattr(module, "Settings") or not hasattr(module, "build"):
        raise ImportError(f"{path!r} is no channel: it lacks Settings or build")
    return cast("ChannelModule", module)
