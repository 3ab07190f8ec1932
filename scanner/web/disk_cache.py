"""Previews kept on disk: private, and of limited total size."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from scanner.processes.atomic_write import atomic_write
from storage.private import make_private_folder

if TYPE_CHECKING:
    from pathlib import Path

# Enough for a gallery of 15,000 thumbnails.
MAX_BYTES = 256 * 2**20
# Share of MAX_BYTES that remains after the oldest files were deleted.
REMAINING_SHARE = 0.8


class DiskCache:
    """Files in a private folder; the least recently used ones are deleted first.

    Failures to write are ignored: what is not cached is computed again.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes: int | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes | None:
        """Return the content of a cached file; None where there is none."""
        file = self._folder / name[:2] / name
        try:
            data = file.read_bytes()
            os.utime(file)
        except OSError:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        """Write a file, if the disk has room."""
        folder = self._folder / name[:2]
        with contextlib.suppress(OSError):
            make_private_folder(folder)
            # Atomically: other threads may read it meanwhile.
            with atomic_write(folder / name, durable=False) as file:
                file.write(data)
            self._count(len(data))

    def _count(self, added: int) -> None:
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._files())
            else:
                self._bytes += added
            if self._bytes > self._max_bytes:
                self._bytes = self._make_room()

    def _make_room(self) -> int:
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, file in files:
            if total <= self._max_bytes * REMAINING_SHARE:
                break
            file.unlink(missing_ok=True)
            total -= size
        return total

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return (time of the last use, size in bytes, file) of each cached file."""
        files = []
        for file in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = file.stat()
                files.append((status.st_mtime, status.st_size, file))
        return files
