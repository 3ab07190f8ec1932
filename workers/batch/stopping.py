"""Telling the pool's children that the worker is to stop.

One byte of memory that parent and children share: the parent sets it when Celery begins to shut
down, children look between two images, give back what is left of their batch and end. So a
worker stops within an image's time, however large its batch.
"""

from __future__ import annotations

import mmap


class StopFlag:
    """A flag that a process and the children that it forks later all see."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Ask for the stop."""
        self._memory[0] = 1

    def is_set(self) -> bool:
        """Whether the stop was asked for."""
        return bool(self._memory[0])
