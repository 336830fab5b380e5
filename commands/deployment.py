"""A deployment as a command sees it: its settings and its folders."""

import os
from dataclasses import dataclass
from pathlib import Path

from config.folders import Folders
from config.logging import configure
from config.settings import Settings
from config.sources import load


@dataclass(frozen=True, slots=True)
class Deployment:
    settings: Settings
    folders: Folders
    file: Path | None = None  # the settings file that was named, for child processes

    @classmethod
    def read(cls, file: Path | None) -> "Deployment":
        """Settings from everywhere, and a log on stderr that says only what went wrong; the
        processes say more. Raises SettingsError. Makes no folder yet."""
        settings = load(os.environ, file)
        configure("error", settings.logging.format)
        return cls(settings, Folders(settings.data_dir), file)

    @property
    def is_running(self) -> bool:
        """Whether a server or a librarian works on these folders now."""
        return any(self.folders.is_locked(name) for name in ("gateway", "librarian"))
