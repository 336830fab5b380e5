"""Files that we keep ourselves: what agents and visitors of the web chat attach to a message.

Names on disk are random and ours; the name a person gave is only a label (`Attachment.name`).
What customers send elsewhere stays with their provider (`ports.Fetches`).
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import TooMuch
from gateway.messages import Attachment
from storage.ids import new_id
from storage.text import repair_text, without_hidden

FILE_BYTES_MAX = 20_000_000
FILES_PER_MESSAGE_MAX = 10
LABEL_CHARS_MAX = 120
DISK_FREE_MIN = 1_000_000_000
CHUNK_BYTES = 65_536
UNKNOWN_TYPE = "application/octet-stream"
_OWN = re.compile(r"own:([0-9a-f-]{36})")
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_EXTENSION_CHARS_MAX = 12
# Slashes would look like a folder, the others start a header, a tag or a command somewhere.
_NOT_IN_A_LABEL = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029]')


class Files:
    """A folder of kept files. Blocks: call it from a thread. `disk_free_min`: bytes that stay free
    for the databases, which matter more."""

    def __init__(self, folder: Path, *, disk_free_min: int = DISK_FREE_MIN) -> None:
        self._folder = folder
        self._disk_free_min = disk_free_min

    def keep(self, name: str, media_type: str, content: bytes) -> Attachment:
        """Store `content` durably; what a message carries of it. Raises TooMuch."""
        kept = described(name, media_type, content)
        self.write(kept.reference, content)
        return kept

    def write(self, reference: str, content: bytes) -> None:
        """Store the bytes of what `described` has named, durably. Raises TooMuch."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(self._folder).free - len(content) < self._disk_free_min:
            raise TooMuch("the disk is nearly full", limit="disk_free_min", wait_s=60)
        with self._path(reference).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def load(self, reference: str) -> bytes:
        """The bytes of a kept file. Raises FileNotFoundError, also for references not ours."""
        return self._path(reference).read_bytes()

    def chunks(self, reference: str) -> Iterator[bytes]:
        """Like `load`, piece by piece; whatever is wrong is raised at once."""
        file = self._path(reference).open("rb")

        def read() -> Iterator[bytes]:
            with file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

        return read()

    def remove(self, reference: str) -> None:
        """Forget a kept file; one that is gone already is fine."""
        self._path(reference).unlink(missing_ok=True)

    def holds(self, reference: str) -> bool:
        """Whether `reference` is of a file that we keep, not of one at a provider."""
        return is_own(reference)

    def _path(self, reference: str) -> Path:
        ours = _OWN.fullmatch(reference)
        if ours is None:
            raise FileNotFoundError(reference)
        return self._folder / ours.group(1)


def described(name: str, media_type: str, content: bytes) -> Attachment:
    """What a message carries of a file that we are about to keep. Raises TooMuch."""
    if len(content) > FILE_BYTES_MAX:
        raise TooMuch(f"a file has at most {FILE_BYTES_MAX} bytes", limit="file_bytes_max")
    return Attachment(
        kind="image" if media_type in _IMAGES else "file",
        name=name, media_type=media_type, size_bytes=len(content), reference=own(new_id()),
    )  # fmt: skip


def own(file_id: str) -> str:
    """The reference of a file that we keep."""
    return f"own:{file_id}"


def is_own(reference: str) -> bool:
    """Whether `reference` is of a file that we keep."""
    return _OWN.fullmatch(reference) is not None


def id_of(reference: str) -> str:
    """The id of a file that we keep. Raises FileNotFoundError for references not ours."""
    ours = _OWN.fullmatch(reference)
    if ours is None:
        raise FileNotFoundError(reference)
    return ours.group(1)


def media_type_of(content: bytes) -> str:
    """The type that `content` may be handed out with: one of four kinds of image by its first
    bytes, whatever its sender called it, and else nothing that a browser would open."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    known = (kind for magic, kind in _MAGIC.items() if content.startswith(magic))
    return next(known, UNKNOWN_TYPE)


def label_of(name: str) -> str:
    """A name from outside as one harmless line: no folders, no control or direction characters,
    short, with its extension."""
    last = repair_text(name).replace("\\", "/").rpartition("/")[2]
    label = without_hidden(_NOT_IN_A_LABEL.sub("_", last)).strip(" .")
    if len(label) > LABEL_CHARS_MAX:
        stem, dot, extension = label.rpartition(".")
        tail = dot + extension if stem and len(extension) <= _EXTENSION_CHARS_MAX else ""
        label = label[: LABEL_CHARS_MAX - len(tail)] + tail
    return label or "file"
