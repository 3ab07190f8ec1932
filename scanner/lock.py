"""One `scan` at a time on one scan of one store, on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class AlreadyRunning(Exception):
    """Another process is at this scan; the message says which and how to watch it."""


@contextmanager
def only_one(state_dir: Path, store_url: str, scan_id: int) -> Iterator[None]:
    """Hold the lock on a scan; the kernel lets go of it with the process, however that ends."""
    of_store = hashlib.sha256(store_url.encode()).hexdigest()[:12]
    file = state_dir / "locks" / f"scan-{of_store}-{scan_id}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise AlreadyRunning(
                f"scan {scan_id} of this folder is running already (process {handle.read()}); "
                f"`scanner status {scan_id} --watch` shows how far it is"
            ) from error
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield
