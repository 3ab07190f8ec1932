"""Which images reviewers have on the screen, so that several people share a review."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

# Seconds after which an image that nobody has answered may be another reviewer's.
SECONDS = 600.0


class _Shown(NamedTuple):
    reviewer: str
    at: float


class OnScreen:
    """The images that reviewers were shown, or that were loaded for them, and are not answered."""

    def __init__(self) -> None:
        self._shown: dict[tuple[int, int], _Shown] = {}
        self._lock = threading.Lock()

    def show(self, scan_id: int, image_id: int, reviewer: str) -> None:
        """Note that a reviewer is shown an image; it stays with whom it was shown first."""
        now = time.monotonic()
        with self._lock:
            self._shown = {key: one for key, one in self._shown.items() if now < one.at + SECONDS}
            first = self._shown.get((scan_id, image_id))
            if first is None or first.reviewer == reviewer:
                self._shown[scan_id, image_id] = _Shown(reviewer, now)

    def answer(self, scan_id: int, image_id: int) -> None:
        """Note that an image is answered."""
        with self._lock:
            self._shown.pop((scan_id, image_id), None)

    def of_others(self, scan_id: int, reviewer: str) -> frozenset[int]:
        """Return the images of a scan that other reviewers have on the screen."""
        now = time.monotonic()
        with self._lock:
            return frozenset(
                image_id
                for (number, image_id), one in self._shown.items()
                if number == scan_id and one.reviewer != reviewer and now < one.at + SECONDS
            )
