"""Print the events of a scan as JSON lines on stdout (`--json-lines`).

Each line is an object with an `event`: `status`, `error` (once per image with an error) or, at the
end, `summary` with all that `--json` prints.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from scanner.follow.progress import read_progress
from scanner.report.formats.json import verdicts_json
from storage.errors import StoreUnavailable
from storage.paths import fields
from storage.reads.verdicts import new_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.follow.progress import ScanProgress
    from storage.database.store import Store

# Minimum seconds between two `status` lines.
STATUS_SECONDS = 1.0


class Events:
    """Prints the events of one scan."""

    def __init__(self, store: Store, scan_id: int) -> None:
        self._store = store
        self._scan_id = scan_id
        self._status_at = float("-inf")
        self._printed: set[int] = set()
        self._errors = 0

    def show(self, progress: ScanProgress, rate: float) -> None:
        """Print new errors and the status; `rate` is in images per second, 0 if unknown."""
        self._print_errors(progress)
        now = time.monotonic()
        if now - self._status_at < STATUS_SECONDS and not progress.is_over:
            return
        self._status_at = now
        counts, is_listed = progress.counts, progress.scan.listed_at is not None
        remaining = None
        # The total is unknown while the folder is listed.
        if is_listed and (rate or not counts.pending):
            remaining = round(counts.pending / rate, 1) if counts.pending else 0.0
        _print(
            "status",
            {
                "scan": self._scan_id,
                "listed": is_listed,
                "images": counts.images,
                "judged": counts.judged,
                "verdicts": verdicts_json(counts),
                "images_per_second": round(rate, 1),
                "seconds_remaining": remaining,
                "error_count": counts.error,
            },
        )

    def update(self) -> None:
        """Read the scan's progress and print it, if the last status is old enough."""
        if time.monotonic() - self._status_at >= STATUS_SECONDS:
            self.show(read_progress(self._store, self._scan_id), 0.0)

    def summary(self, body: Mapping[str, Any], error_count: int) -> None:
        """Print the last line."""
        remaining = None if body.get("state", "unfinished") == "unfinished" else 0.0
        _print("summary", {**body, "seconds_remaining": remaining, "error_count": error_count})

    def _print_errors(self, progress: ScanProgress) -> None:
        if progress.counts.error == self._errors:
            return
        try:
            errors = new_errors(self._store, self._scan_id, self._printed)
        except StoreUnavailable:
            return  # printed the next time; the caller decides how long to retry
        self._errors = progress.counts.error
        for error in errors:
            self._printed.add(error.image_id)
            body = {"scan": self._scan_id, **fields(error.path)}
            _print("error", {**body, "error": error.kind.value, "error_text": error.text})


def _print(event: str, body: Mapping[str, Any]) -> None:
    print(json.dumps({"event": event, **body}, allow_nan=False), flush=True)  # noqa: T201
