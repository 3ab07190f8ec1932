"""A fresh folder for one process's files, removed at the end, even at an end by kill -9."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_NAME = "owner.lock"


@contextmanager
def private_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder under `parent` that only this user can read (mode 0700), removed afterwards.

    What processes that were killed left behind under the same prefix is removed on the way: each
    folder holds a file that its owner keeps locked, and a lock goes with its process.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (parent / f"{prefix}.lock").open("ab") as gate:
        # One process at a time, or a folder that is not locked *yet* looks like a left-over.
        fcntl.flock(gate, fcntl.LOCK_EX)
        for left_over in parent.glob(f"{prefix}-*"):
            _remove_if_orphaned(left_over)
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
        lock = (folder / LOCK_NAME).open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_orphaned(folder: Path) -> None:
    """Remove `folder` unless a living process holds its lock."""
    with contextlib.suppress(OSError), (folder / LOCK_NAME).open("ab") as lock:
        if _lock_is_free(lock):
            shutil.rmtree(folder, ignore_errors=True)


def _lock_is_free(lock: IO[bytes]) -> bool:
    """Whether nobody else holds the lock."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
