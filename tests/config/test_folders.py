"""The data folder: closed to others, and open to one Tandem at a time."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.folders import AlreadyRunning, FolderError, Folders


def test_a_second_instance_refuses_with_one_clear_line(tmp_path: Path) -> None:
    """It names the process that has the folder, and the folder."""
    folders = Folders(tmp_path).prepare()
    with folders.lock("gateway"):
        with pytest.raises(AlreadyRunning) as caught:
            folders.lock("gateway")
        held = folders.is_locked("gateway")

    assert str(caught.value) == (
        f"another Tandem (process {os.getpid()}) already uses the data folder {tmp_path}"
    )
    assert held
    assert not folders.is_locked("gateway")


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    """Nobody has to delete a stale file after a crash."""
    code = (
        "import os, signal, sys; from pathlib import Path; from config.folders import Folders;"
        "lock = Folders(Path(sys.argv[1])).lock('gateway'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    assert result.returncode == -9
    Folders(tmp_path).lock("gateway").release()


def test_everything_is_closed_to_other_users(tmp_path: Path) -> None:
    """Data and sockets are for the owner alone."""
    folders = Folders(tmp_path / "data").prepare()

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folders.data_dir, folders.run)}
    assert modes == {0o700}


def test_sockets_work_below_a_very_long_path(tmp_path: Path) -> None:
    """A path that no socket can have is replaced by a short one of its own."""
    folders = Folders(tmp_path / ("deep" * 30)).prepare()
    other = Folders(tmp_path / ("deep" * 31))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folders.librarian_socket))
    folders.librarian_socket.unlink()
    folders.run.rmdir()

    assert folders.run != other.run


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    """A link that somebody laid in our place is not followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "run").symlink_to(elsewhere)

    with pytest.raises(FolderError, match="belongs to somebody else"):
        Folders(tmp_path / "data").prepare()


def test_a_folder_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    """The start is refused with the reason of the system."""
    (tmp_path / "file").write_text("")

    with pytest.raises(FolderError, match="cannot be used"):
        Folders(tmp_path / "file" / "data").prepare()
