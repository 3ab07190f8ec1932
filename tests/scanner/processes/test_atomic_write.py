"""Write files atomically."""

from __future__ import annotations

import resource
import stat
from typing import TYPE_CHECKING

import pytest

from scanner.processes.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    """The file changes at the end of the context, and only its user can read it."""
    file = tmp_path / "file"
    file.write_bytes(b"before")
    with atomic_write(file) as output:
        output.write(b"after")
        before = file.read_bytes()

    assert (b"before", b"after") == (before, file.read_bytes())
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Limit the files of this process to four bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """An error when the buffer is written at the end leaves the old file and no other."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with pytest.raises(OSError, match="File too large"), atomic_write(file) as output:
        output.write(b"more than there is room for")

    assert b"old" == file.read_bytes()
    assert [file] == list(tmp_path.iterdir())
