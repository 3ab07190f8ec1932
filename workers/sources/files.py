"""Files on this machine: reading one that is open, and those that the user names one by one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from storage.records import MAX_SIDECAR_BYTES, ErrorKind
from workers.limits import Limits
from workers.sources.source import FetchError, require_image, require_size, to_fetched

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Sidecar
    from workers.sources.source import Fetched

MAX_BYTES = Limits().max_bytes
# Without waiting for the other end of a FIFO.
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FileSource:
    """Files by absolute path, for `scanner check`; links are followed wherever they lead."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def fetch(self, path: bytes, _expected_size: int | None = None) -> Fetched:
        """Read one file; raise FetchError where that is not possible."""
        return fetch_file(os.fsdecode(path), self._max_bytes)

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Read a sidecar next to a file; raise FetchError where that is not possible."""
        return fetch_file(os.fsdecode(sidecar.path(image)), MAX_SIDECAR_BYTES).data


def fetch_file(path: Path | str, max_bytes: int = MAX_BYTES) -> Fetched:
    """Read a file that the user named, through links too; raise FetchError."""
    try:
        descriptor = os.open(path, OPEN_FLAGS)
        try:
            return read_open_file(descriptor, None, max_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> FetchError:
    """Return the error for a file that the system does not open or read."""
    reason = error.strerror or str(error)
    return FetchError(ErrorKind.UNREADABLE, f"cannot be read ({reason})")


def read_open_file(descriptor: int, expected_size: int | None, max_bytes: int) -> Fetched:
    """Read all of a file; raise FetchError as `workers.sources.source.Source.fetch` does."""
    before = os.fstat(descriptor)
    size = before.st_size
    if not stat.S_ISREG(before.st_mode):
        kind = "a folder" if stat.S_ISDIR(before.st_mode) else "a pipe or a device"
        raise FetchError(ErrorKind.UNREADABLE, f"cannot be read ({kind}, not a file)")
    require_size(size, expected_size, max_bytes)
    require_image(size, lambda offset, count: os.pread(descriptor, count, offset))
    # One byte more than expected, so that a file that has grown is noticed.
    data = os.read(descriptor, size + 1)
    while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
        data += more
    after = os.fstat(descriptor)
    if len(data) != size or after.st_size != size or after.st_mtime_ns != before.st_mtime_ns:
        raise FetchError(ErrorKind.CHANGED, "was written to while it was read")
    return to_fetched(data, after.st_mtime_ns // 10**9)
