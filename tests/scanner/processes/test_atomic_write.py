"""A file is there as a whole, or as it was."""

from __future__ import annotations

import resource
import stat
from typing import TYPE_CHECKING

import pytest

from scanner.processes.atomic_write import replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_what_is_written_takes_the_files_place(tmp_path: Path) -> None:
    """Until the end of the context the file is as it was; then it is the user's alone."""
    file = tmp_path / "file"
    file.write_bytes(b"before")
    with replaced(file) as made:
        made.write(b"after")
        before = file.read_bytes()

    assert (b"before", b"after") == (before, file.read_bytes())
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file of this process may be longer than four bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("no_room")
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """Also where it is full when the buffer is written, at the end of the context."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with pytest.raises(OSError, match="File too large"), replaced(file) as made:
        made.write(b"more than there is room for")

    assert b"old" == file.read_bytes()
    assert [file] == list(tmp_path.iterdir())
