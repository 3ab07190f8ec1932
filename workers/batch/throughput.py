"""Estimate how fast a process is, and how much of a batch it should keep.

No machine holds work for long: the part of a batch that would take longer than the target goes back
to the queue at once. When the queue is empty, half of the rest does: others may be idle.
"""

from __future__ import annotations

import time

# The part of a batch that a worker keeps, in seconds of work.
TARGET_SECONDS = 20.0
# Less work than this is not worth a message of its own.
MIN_SPLIT_SECONDS = 2.0
# Batches that exceed the target by less are not split: the estimate is not that exact.
TOLERANCE = 1.25
# Weight of the latest chunk in the moving average.
LATEST_WEIGHT = 0.3
QUEUE_CHECK_SECONDS = 1.0


class Throughput:
    """The seconds per image of one process, averaged over chunks and batches."""

    def __init__(self) -> None:
        self._seconds_per_image: float | None = None
        self._worked_seconds = 0.0
        self._checked_at = 0.0

    def start_batch(self) -> None:
        """Start the time of a batch."""
        self._worked_seconds = 0.0
        self._checked_at = time.monotonic()

    def record_chunk(self, images: int, seconds: float) -> None:
        """Add a chunk of so many images, and the time it took without waiting."""
        latest, average = seconds / images, self._seconds_per_image
        self._worked_seconds += seconds
        self._seconds_per_image = (
            latest if average is None else (1 - LATEST_WEIGHT) * average + LATEST_WEIGHT * latest
        )

    def images_to_keep(self, remaining: int) -> int:
        """Return how many of the batch's remaining images to keep; at least one."""
        if not self._seconds_per_image:
            return remaining
        spare_seconds = TARGET_SECONDS - self._worked_seconds
        keep = max(1, int(spare_seconds / self._seconds_per_image))
        return remaining if remaining <= TOLERANCE * keep else keep

    def images_to_keep_if_queue_is_empty(self, remaining: int) -> int:
        """Return how many of the remaining images to keep when other workers may be idle."""
        each = self._seconds_per_image
        if not each or remaining * each < MIN_SPLIT_SECONDS:
            return remaining
        return -(-remaining // 2)

    def is_queue_check_due(self) -> bool:
        """Return whether to check the queue now: at most once a second."""
        now = time.monotonic()
        if now - self._checked_at < QUEUE_CHECK_SECONDS:
            return False
        self._checked_at = now
        return True
