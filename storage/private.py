"""Folders and files of scanner's own, which only their user can open, whatever the umask."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = 0o700
_FILE = 0o600


def make_private_folder(folder: Path) -> None:
    """Make a folder and what is missing above it; those that exist stay as they are.

    Raise OSError. `Path.mkdir` makes the folders above with what the umask allows.
    """
    missing = [one for one in folder.parents if not one.exists()]
    for one in [*reversed(missing), folder]:
        one.mkdir(mode=_FOLDER, exist_ok=True)


def open_private(file: Path, mode: str) -> BinaryIO:
    """Open a file in a binary mode, and make it where it is missing. Raise OSError."""
    # Path.open has no opener.
    return cast("BinaryIO", open(file, mode, opener=_open))


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE)
