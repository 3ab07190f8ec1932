"""Following a scan until it is finished: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from storage.errors import StoreUnavailable
from storage.queries import counts
from storage.scans import find_scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from storage.queries import Counts
    from storage.scans import Scan
    from storage.store import Store

# Seconds between two looks at the store at the least,
LOOK_SECONDS = 0.5
# and the share of the time that they may take: counting a million verdicts takes 0.1 s.
LOOK_SHARE = 0.02
# Seconds that a store may be away; workers wait as long.
PATIENCE_SECONDS = 120.0
# Seconds between two lines where there is no terminal.
LINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """How far a scan is."""

    scan: Scan
    counts: Counts

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.scan.finished_at is not None or self.scan.cancelled_at is not None


def look(store: Store, scan_id: int) -> Look:
    """How far a scan is, as the store has it."""
    return Look(find_scan(store, scan_id), counts(store, scan_id))


class Follower:
    """Shows how a scan goes on; on stderr, for stdout is for data."""

    def __init__(self, store: Store, scan_id: int, note: Callable[[], str] = str) -> None:
        """`note` says what the scan waits for, if it does."""
        self._store = store
        self._scan_id = scan_id
        self._note = note
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[found]}"),
            TextColumn("{task.fields[note]}", style="yellow", markup=False),
            console=console,
            disable=not self._live,
        )
        self._console = console
        self._task = self._bar.add_task("listing", total=None, rate="", found="", note="")
        self._look_at = 0.0
        self._line_at = time.monotonic()
        self._away_since: float | None = None
        self._rate = _Rate()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self) -> Look | None:
        """Look at the store if it is time to, and show what is new.

        Raises StoreUnavailable where the store has been away for longer than PATIENCE_SECONDS.
        """
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + LOOK_SECONDS
        try:
            seen = look(self._store, self._scan_id)
        except StoreUnavailable as error:
            self._away_since = self._away_since or now
            if now - self._away_since > PATIENCE_SECONDS:
                raise
            self._say(now, f"waiting: {error}")
            return None
        took = time.monotonic() - now
        self._look_at = now + max(LOOK_SECONDS, took / LOOK_SHARE)
        self._away_since = None
        self._show(now, seen)
        return seen

    def _show(self, now: float, seen: Look) -> None:
        counts = seen.counts
        rate = self._rate.at(now, counts.judged)
        speed = f"{rate:,.0f}/s" if rate else ""
        found = f"{counts.ai:,} AI, {counts.unsure:,} unsure"
        note = self._note()
        self._bar.update(
            self._task,
            description="judging" if seen.scan.listed_at is not None else "listing",
            completed=counts.judged,
            total=counts.images or None,
            rate=speed,
            found=found,
            note=note,
        )
        parts = (f"{counts.judged:,} of {counts.images:,} images", speed, found, note)
        self._say(now, ", ".join(part for part in parts if part))

    def _say(self, now: float, words: str) -> None:
        """A line where there is no terminal, not too often; else a note behind the bar."""
        if self._live:
            if words.startswith("waiting"):
                self._bar.update(self._task, note=words)
        elif now - self._line_at >= LINE_SECONDS:
            self._line_at = now
            self._console.print(words, highlight=False, markup=False)

    def follow(self, *checks: Callable[[], object]) -> Look:
        """Show the scan until it is over; the checks are called all the time and may raise."""
        while True:
            for check in checks:
                check()
            seen = self.update()
            if seen is not None and seen.over:
                return seen
            time.sleep(LOOK_SECONDS / 5)


class _Rate:
    """Images a second over the last while."""

    WINDOW_SECONDS = 10.0

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def at(self, now: float, done: int) -> float:
        """The rate with one more look; 0 until there are two."""
        self._seen.append((now, done))
        self._seen = [one for one in self._seen if now - one[0] <= self.WINDOW_SECONDS]
        then, before = self._seen[0]
        return (done - before) / (now - then) if now > then else 0.0
