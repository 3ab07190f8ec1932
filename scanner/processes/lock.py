"""Run at most one `scan` at a time of a folder for a store on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storage.errors import ScannerError
from storage.paths import shown
from storage.private import make_private_folder, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class AlreadyRunning(ScannerError):
    """Another process scans this folder; the message names it and how to follow it."""


@contextmanager
def lock_scan(state_dir: Path, store_id: str, folder: object, plan: str) -> Iterator[None]:
    """Hold the lock of a folder's or URL's scan, of a plan by its digest. Raise AlreadyRunning.

    The kernel releases the lock when the process ends in any way.
    """
    key = b"\0".join((store_id.encode(), os.fsencode(str(folder)), plan.encode()))
    file = state_dir / "locks" / f"scan-{hashlib.sha256(key).hexdigest()[:16]}"
    make_private_folder(file.parent)
    with open_private(file, "a+b") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise AlreadyRunning(
                f"A scan of {shown(os.fsencode(str(folder)))} is running already (process "
                f"{handle.read().decode()}): follow it with `scanner status --watch`"
            ) from error
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()).encode())
        handle.flush()
        yield
