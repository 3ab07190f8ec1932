"""`--json-lines`: how a scan goes on as JSON, one event a line on stdout, as it happens.

Each line is an object with an `event`: `status`, `error` (once for each image that could not be
judged) or, last, `summary`, which has all that `--json` prints.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from scanner.follow.progress import look
from scanner.report.formats.json import verdicts_json
from storage.errors import StoreUnavailable
from storage.paths import fields
from storage.reads.queries import new_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.follow.progress import Look
    from storage.database.store import Store

# Seconds between two `status` lines at the least.
STATUS_SECONDS = 1.0


class Events:
    """Prints the events of one scan."""

    def __init__(self, store: Store, scan_id: int) -> None:
        self._store = store
        self._scan_id = scan_id
        self._status_at = float("-inf")
        self._told: set[int] = set()
        self._errors = 0

    def look(self, seen: Look, rate: float) -> None:
        """Print what is new; `rate` are the images judged a second of late, 0 where unknown."""
        self._tell_errors(seen)
        now = time.monotonic()
        if now - self._status_at < STATUS_SECONDS and not seen.over:
            return
        self._status_at = now
        counts, is_listed = seen.counts, seen.scan.listed_at is not None
        left = None
        # While a folder is listed, nobody knows how much is to come.
        if is_listed and (rate or not counts.pending):
            left = round(counts.pending / rate, 1) if counts.pending else 0.0
        _print(
            "status",
            {
                "scan": self._scan_id,
                "listed": is_listed,
                "images": counts.images,
                "judged": counts.judged,
                "verdicts": verdicts_json(counts),
                "images_per_second": round(rate, 1),
                "seconds_remaining": left,
                "error_count": counts.error,
            },
        )

    def update(self) -> None:
        """Look at the store and print what is new, if it is time to."""
        if time.monotonic() - self._status_at >= STATUS_SECONDS:
            self.look(look(self._store, self._scan_id), 0.0)

    def summary(self, body: Mapping[str, Any], error_count: int) -> None:
        """Print the last line; of what is not over nobody knows what remains."""
        remaining = None if body.get("state", "unfinished") == "unfinished" else 0.0
        _print("summary", {**body, "seconds_remaining": remaining, "error_count": error_count})

    def _tell_errors(self, seen: Look) -> None:
        if seen.counts.error == self._errors:
            return
        try:
            errors = new_errors(self._store, self._scan_id, self._told)
        except StoreUnavailable:
            # The next look asks again, and it is the one that knows how long to be patient.
            return
        self._errors = seen.counts.error
        for one in errors:
            self._told.add(one.image_id)
            body = {"scan": self._scan_id, **fields(one.path)}
            _print("error", {**body, "error": one.kind.value, "error_text": one.text})


def _print(event: str, body: Mapping[str, Any]) -> None:
    click.echo(json.dumps({"event": event, **body}, allow_nan=False))
