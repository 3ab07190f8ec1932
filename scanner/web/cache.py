"""Small pictures kept on disk: private, and never more than so many bytes."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from scanner.processes.atomic_write import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

# All of a gallery of 15,000 thumbnails.
MAX_BYTES = 256 * 2**20
# What is left when the oldest have gone.
KEPT_SHARE = 0.8


class Cache:
    """Files in a folder of this user's own; those that were not asked for longest go first.

    Nothing here is worth an error: what cannot be kept is made anew.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes: int | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes | None:
        """What is kept under a name."""
        file = self._folder / name[:2] / name
        try:
            data = file.read_bytes()
            os.utime(file)
        except OSError:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep it, if there is room on the disk."""
        folder = self._folder / name[:2]
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            # Never half a file under its name, whoever asks for it meanwhile.
            with atomic_write(folder / name, durable=False) as made:
                made.write(data)
            self._count(len(data))

    def _count(self, more: int) -> None:
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._files())
            else:
                self._bytes += more
            if self._bytes > self._max_bytes:
                self._bytes = self._make_room()

    def _make_room(self) -> int:
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, file in files:
            if total <= self._max_bytes * KEPT_SHARE:
                break
            file.unlink(missing_ok=True)
            total -= size
        return total

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for file in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                said = file.stat()
                found.append((said.st_mtime, said.st_size, file))
        return found
