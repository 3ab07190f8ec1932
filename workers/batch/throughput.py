"""How fast this process is, and how much of a batch it should keep.

No machine holds work for long: what of a batch would take longer than the target goes back to the
queue at once. And when nothing waits there, half of what is left does: others may be idle.
"""

from __future__ import annotations

import time

# Seconds that a worker keeps of a batch.
TARGET_SECONDS = 20.0
# Seconds of work that are not worth a message of their own.
LEAST_SECONDS = 2.0
# An estimate that is off by less is none to split a batch for.
SLACK = 1.25
# How much the latest chunk counts in the estimate.
LATEST = 0.3
# Seconds between two looks at the queue.
LOOK_SECONDS = 1.0


class Throughput:
    """One process's seconds an image, from chunk to chunk and batch to batch."""

    def __init__(self) -> None:
        self._each: float | None = None
        self._worked = 0.0
        self._looked = 0.0

    def begin(self) -> None:
        """A batch is begun."""
        self._worked = 0.0
        self._looked = time.monotonic()

    def mark(self, images: int, seconds: float) -> None:
        """A chunk of so many images took so long, without what was waited for."""
        each = seconds / images
        self._worked += seconds
        self._each = each if self._each is None else (1 - LATEST) * self._each + LATEST * each

    def keeps(self, left: int) -> int:
        """Of so many images that are left of the batch, how many to keep; at least one."""
        if not self._each:
            return left
        spare = TARGET_SECONDS - self._worked
        keeps = max(1, int(spare / self._each))
        return left if left <= SLACK * keeps else keeps

    def keeps_at_the_end(self, left: int) -> int:
        """The same where nothing waits in the queue."""
        if not self._each or left * self._each < LEAST_SECONDS:
            return left
        return -(-left // 2)

    def may_look(self) -> bool:
        """Whether it is time to look at the queue."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        return True
