"""One `scan` at a time of one folder for one store, on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class AlreadyRunning(Exception):
    """Another process is at this; the message says which and how to watch it."""


@contextmanager
def only_one(state_dir: Path, store_id: str, folder: Path, plan: str) -> Iterator[None]:
    """Hold the lock on a folder's scan with a plan (its digest) for a store.

    The kernel lets go of it with the process, however that ends.
    """
    what = b"\0".join((store_id.encode(), os.fsencode(folder), plan.encode()))
    file = state_dir / "locks" / f"scan-{hashlib.sha256(what).hexdigest()[:16]}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise AlreadyRunning(
                f"A scan of {shown(os.fsencode(folder))} is running already (process "
                f"{handle.read()}): `scanner status --watch` shows how far it is"
            ) from error
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield
