"""A drive's volatile cache: what was not flushed may be lost when the power is cut."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from pathlib import Path

# What a drive writes whole. Of half a superblock, ext4 says that the disk is corrupted.
SECTOR = 4096


class WriteCache:
    """A medium, and the sectors that were written since the last flush."""

    def __init__(self, medium: Path) -> None:
        self._medium = os.open(medium, os.O_RDWR)
        self.size = os.fstat(self._medium).st_size
        self.writes = 0
        self.is_cut = False
        # What was written to each sector since the last flush, the latest last.
        self._unflushed: defaultdict[int, list[bytes]] = defaultdict(list)

    def read(self, offset: int, size: int) -> bytes:
        """Return whole sectors as they were written last."""
        self._require_power()
        data = bytearray(os.pread(self._medium, size, offset))
        first = offset // SECTOR
        for number in range(first, first + size // SECTOR) if self._unflushed else ():
            if number in self._unflushed:
                start = (number - first) * SECTOR
                data[start : start + SECTOR] = self._unflushed[number][-1]
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        """Keep whole sectors until the next flush."""
        self._require_power()
        self.writes += 1
        for start in range(0, len(data), SECTOR):
            self._unflushed[(offset + start) // SECTOR].append(data[start : start + SECTOR])

    def flush(self) -> None:
        """Make all that was written durable."""
        self._require_power()
        for number, versions in self._unflushed.items():
            os.pwrite(self._medium, versions[-1], number * SECTOR)
        self._unflushed.clear()

    def cut(self, chance: random.Random) -> tuple[int, int]:
        """Keep some of the sectors, any version of each; return how many, and of how many."""
        self.is_cut = True
        share, kept = chance.random(), 0
        for number, versions in self._unflushed.items():
            if chance.random() < share:
                os.pwrite(self._medium, chance.choice(versions), number * SECTOR)
                kept += 1
        return kept, len(self._unflushed)

    def _require_power(self) -> None:
        if self.is_cut:
            raise OSError(errno.EIO, "the disk has no power")
