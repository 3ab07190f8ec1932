"""Run at most one `scan` at a time of a folder for a store on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storage.errors import ScannerError
from storage.paths import shown
from storage.private import make_private_folder, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

# How often a lock is tried again, and seconds in between.
LOOKS, LOOK_SECONDS = 4, 0.05


class AlreadyRunning(ScannerError):
    """Another process scans this folder; the message names it and how to follow it."""


def lock_file(state_dir: Path, store_id: str, root: bytes, plan: str) -> Path:
    """Return the lock file of a scan: of a root as stored, and of a plan by its digest."""
    key = b"\0".join((store_id.encode(), root, plan.encode()))
    return state_dir / "locks" / f"scan-{hashlib.sha256(key).hexdigest()[:16]}"


@contextmanager
def lock_scan(file: Path, root: bytes) -> Iterator[None]:
    """Hold the lock of a scan of a root, which is then no longer paused. Raise AlreadyRunning.

    The kernel releases the lock when the process ends in any way.
    """
    make_private_folder(file.parent)
    with open_private(file, "a+b") as handle:
        if not _locked(handle):
            handle.seek(0)
            raise AlreadyRunning(
                f"A scan of {shown(root)} is running already (process {handle.read().decode()}): "
                "follow it with `scanner status --watch`"
            )
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()).encode())
        handle.flush()
        _paused(file).unlink(missing_ok=True)
        yield


def _locked(handle: IO[bytes]) -> bool:
    """Lock a file, which `is_locked` of another process may hold for a moment."""
    for pause in (*(LOOK_SECONDS,) * LOOKS, None):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if pause is not None:
                time.sleep(pause)
        else:
            return True
    return False


def is_locked(file: Path) -> bool:
    """Return whether a process holds the lock."""
    try:
        with file.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def mark_paused(file: Path) -> None:
    """Note that the process that holds the lock is to end on purpose, until the scan goes on."""
    make_private_folder(file.parent)
    _paused(file).touch(0o600)


def is_paused(file: Path) -> bool:
    """Return whether that was noted."""
    return _paused(file).exists()


def _paused(file: Path) -> Path:
    return file.with_suffix(".paused")
