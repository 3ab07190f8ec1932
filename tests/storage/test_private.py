"""Folders and files that only their user can open."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from storage.private import make_private_folder, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let everybody read and write what this process makes."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_whatever_the_umask(tmp_path: Path) -> None:
    """New folders are 0700, those above them too, and files 0600; what exists stays as it is."""
    tmp_path.chmod(0o755)
    folder = tmp_path / "state" / "scanner" / "locks"
    for _ in range(2):
        make_private_folder(folder)
    open_private(folder / "lock", "ab").close()
    made = (tmp_path, folder.parent.parent, folder.parent, folder, folder / "lock")

    modes = [stat.S_IMODE(path.stat().st_mode) for path in made]
    assert [0o755, 0o700, 0o700, 0o700, 0o600] == modes
