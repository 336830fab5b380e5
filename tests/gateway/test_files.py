"""Files that agents attach: kept durably, under names of ours."""

from pathlib import Path

import pytest

from gateway.errors import TooMuch
from gateway.files import FILE_BYTES_MAX, Files


def test_a_kept_file_is_found_again(tmp_path: Path):
    """Its name is only a label; on disk it has one of ours."""
    files = Files(tmp_path / "kept")
    kept = files.keep("../../etc/passwd", "image/png", b"pixels")

    assert files.load(kept.reference) == b"pixels"
    assert (kept.kind, kept.name, kept.size_bytes) == ("image", "../../etc/passwd", 6)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [kept.reference[4:]]


@pytest.mark.parametrize(
    "reference", ["", "own:", "own:../x", "own:" + "0" * 36, "tg:abc", "own:/"]
)
def test_a_reference_that_is_not_ours_opens_nothing(tmp_path: Path, reference: str):
    """A provider's reference, or one that a person made up."""
    (tmp_path / "x").write_text("secret")
    with pytest.raises(FileNotFoundError):
        Files(tmp_path / "kept").load(reference)


def test_a_file_over_the_limit_is_refused(tmp_path: Path):
    """One byte more than may be is not kept."""
    files = Files(tmp_path)
    with pytest.raises(TooMuch, match="20000000"):
        files.keep("big.bin", "application/octet-stream", bytes(FILE_BYTES_MAX + 1))

    assert list(tmp_path.iterdir()) == []
