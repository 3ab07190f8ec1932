"""What a watch says of its scan: new findings by name, and when all is judged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scanner.follow.progress import read_progress
from scanner.report.text import labels
from scanner.report.text.why import why
from storage.errors import ScannerError
from storage.paths import shown
from storage.reads.verdicts import images_with, verdict_row
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.database.store import Store
    from storage.writes.scans import Scan

# Seconds between two questions to the store, and the share of time that they may take.
READ_SECONDS = 2.0
READ_SHARE = 0.02
# Seconds between two lines while images are judged.
LINE_SECONDS = 60.0
# Findings of one moment that are named.
MAX_NAMED = 10


class Cancelled(ScannerError):
    """Somebody cancelled the scan of a watch."""


class WatchProgress:
    """Says what becomes of the images of a scan."""

    def __init__(self, store: Store, scan: Scan, say: Callable[[str], object]) -> None:
        self._store = store
        self._scan = scan
        self._say = say
        self._known = set(images_with(store, scan.scan_id, Outcome.AI))
        self._judged = read_progress(store, scan.scan_id).counts.judged
        self._read_at = 0.0
        self._line_at = time.monotonic()

    def step(self) -> None:
        """Say what is new, not too often. Raise Cancelled, and errors of the store."""
        now = time.monotonic()
        if now < self._read_at:
            return
        progress = read_progress(self._store, self._scan.scan_id)
        if progress.scan.cancelled_at is not None:
            raise Cancelled(
                f"scan {self._scan.scan_id} was cancelled; run the same command again to go on"
            )
        counts = progress.counts
        if counts.judged != self._judged:
            self._say_findings()
            if not counts.pending or now - self._line_at >= LINE_SECONDS:
                self._line_at = now
                self._judged = counts.judged
                images = labels.count(counts.images, "image", "images")
                self._say(
                    f"{counts.judged:,} of {images} judged: "
                    f"{counts.ai:,} AI-generated, {counts.unsure:,} unsure, "
                    f"{labels.count(counts.error, 'error', 'errors')}"
                )
        self._read_at = now + max(READ_SECONDS, (time.monotonic() - now) / READ_SHARE)

    def _say_findings(self) -> None:
        flagged = images_with(self._store, self._scan.scan_id, Outcome.AI)
        new = [image_id for image_id in flagged if image_id not in self._known]
        self._known = set(flagged)
        thresholds = self._scan.plan.thresholds()
        for image_id in new[:MAX_NAMED]:
            row = verdict_row(self._store, self._scan.scan_id, image_id)
            if row is not None and row.verdict is not None:
                self._say(f"AI-generated: {shown(row.path)} ({why(row.verdict, thresholds)})")
        if len(new) > MAX_NAMED:
            self._say(f"AI-generated: {len(new) - MAX_NAMED:,} more")
