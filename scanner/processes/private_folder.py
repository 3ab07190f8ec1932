"""A temporary folder for one process, removed at the latest by the next process that asks."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from storage.private import make_private_folder, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_NAME = "owner.lock"


@contextmanager
def private_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a folder that only this user can read (mode 0700), and remove it at the end.

    Remove folders of the same prefix that killed processes left behind: each folder contains a
    file that its process keeps locked, and a lock ends with its process.
    """
    make_private_folder(parent)
    with open_private(parent / f"{prefix}.lock", "ab") as gate:
        # One process at a time, so that no folder is removed before its owner has locked it.
        fcntl.flock(gate, fcntl.LOCK_EX)
        for orphan in parent.glob(f"{prefix}-*"):
            _remove_unless_locked(orphan)
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
        lock = (folder / LOCK_NAME).open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_unless_locked(folder: Path) -> None:
    # BlockingIOError is an OSError, too.
    with contextlib.suppress(OSError), (folder / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
