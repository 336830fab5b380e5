"""Where a deployment keeps its state, and the lock that keeps a second one out.

FolderError          the data folder cannot be used; says why
└── AlreadyRunning   another Tandem uses it
"""

import fcntl
import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# A unix socket's whole path must fit 107 bytes on Linux, 103 elsewhere.
_SOCKET_BYTES_MAX = 100
_LONGEST_SOCKET = "librarian.sock"


class FolderError(Exception):
    """The data folder cannot be used."""


class AlreadyRunning(FolderError):
    """Another process has the lock."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The places below `data_dir`. Nothing is made before `prepare`."""

    data_dir: Path

    @property
    def run(self) -> Path:
        """Sockets, in a folder of mode 0700. Below the temporary folder where the path of
        `data_dir` is too long for a socket."""
        usual = self.data_dir / "run"
        if len(os.fsencode(usual / _LONGEST_SOCKET)) <= _SOCKET_BYTES_MAX:
            return usual
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"tandem-{os.getuid()}-{digest}")

    @property
    def admin_socket(self) -> Path:
        return self.run / "admin.sock"

    @property
    def librarian_socket(self) -> Path:
        return self.run / _LONGEST_SOCKET

    @property
    def files(self) -> Path:
        """Uploaded documents under random names."""
        return self.data_dir / "files"

    @property
    def attachments(self) -> Path:
        """What agents sent along with a reply, under random names."""
        return self.data_dir / "attachments"

    @property
    def index(self) -> Path:
        """The vector index: derived, may be deleted."""
        return self.data_dir / "index"

    @property
    def phrases(self) -> Path:
        """An operator's own words; need not exist."""
        return self.data_dir / "phrases"

    @property
    def signals(self) -> Path:
        """An operator's own signal words; need not exist."""
        return self.data_dir / "signals"

    def prepare(self) -> Self:
        """Make what is missing, closed to others. Raises FolderError, saying what to do."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.files, self.run):
                folder.mkdir(mode=0o700, exist_ok=True)
            probe = self.data_dir / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            reason = error.strerror or str(error)
            raise FolderError(f"the data folder {self.data_dir} cannot be used: {reason}") from None
        self._refuse_foreign_run()
        return self

    def lock(self, name: str) -> "Lock":
        """Hold `name` ("gateway", "librarian") for this process. Raises AlreadyRunning."""
        return Lock(self.data_dir / f"{name}.lock", self.data_dir)

    def is_locked(self, name: str) -> bool:
        """Whether some process holds `name` now."""
        if not (self.data_dir / f"{name}.lock").exists():
            return False
        try:
            self.lock(name).release()
        except AlreadyRunning:
            return True
        return False

    def _refuse_foreign_run(self) -> None:
        # The name in the temporary folder can be foreseen: somebody may have been there first.
        found = self.run.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise FolderError(f"{self.run} belongs to somebody else: remove it")
        self.run.chmod(0o700)


class Lock:
    """An advisory lock on a file: it ends with the process, however that ends."""

    def __init__(self, path: Path, data_dir: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderError(f"{path} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            reason = f"another Tandem (process {holder}) already uses the data folder {data_dir}"
            raise AlreadyRunning(reason) from None
        os.truncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others in. The file stays: deleting it would let two in at once."""
        os.truncate(self._file, 0)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
