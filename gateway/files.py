"""Files that we keep ourselves: what agents attach to a reply, until and after it is delivered.

Names on disk are random and ours; the name a person gave is only a label (`Attachment.name`).
What customers send stays with their provider (`ports.Fetches`).
"""

import os
import re
from pathlib import Path

from gateway.errors import TooMuch
from gateway.messages import Attachment
from storage.ids import new_id

FILE_BYTES_MAX = 20_000_000
FILES_PER_MESSAGE_MAX = 10
_OWN = re.compile(r"own:([0-9a-f-]{36})")
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


class Files:
    """A folder of kept files. Blocks: call it from a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, media_type: str, content: bytes) -> Attachment:
        """Store `content` durably; what a message carries of it. Raises TooMuch."""
        if len(content) > FILE_BYTES_MAX:
            raise TooMuch(f"a file has at most {FILE_BYTES_MAX} bytes", limit="file_bytes_max")
        file_id = new_id()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / file_id).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return Attachment(
            kind="image" if media_type in _IMAGES else "file",
            name=name, media_type=media_type, size_bytes=len(content), reference=f"own:{file_id}",
        )  # fmt: skip

    def load(self, reference: str) -> bytes:
        """The bytes of a kept file. Raises FileNotFoundError, also for references not ours."""
        ours = _OWN.fullmatch(reference)
        if ours is None:
            raise FileNotFoundError(reference)
        return (self._folder / ours.group(1)).read_bytes()

    def holds(self, reference: str) -> bool:
        """Whether `reference` is of a file that we keep, not of one at a provider."""
        return _OWN.fullmatch(reference) is not None
