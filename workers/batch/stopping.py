"""Tell the pool's children that the worker is stopping.

Children check the flag between two chunks, return the rest of their batch to the queue and end. So
a worker stops within seconds, however large its batch.
"""

from __future__ import annotations

import mmap


class StopFlag:
    """A flag shared by a process and the children that it forks later: one byte of memory."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Request the stop."""
        self._memory[0] = 1

    def is_set(self) -> bool:
        """Return whether the stop was requested."""
        return bool(self._memory[0])
