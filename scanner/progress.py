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

from storage.queries import counts
from storage.scans import find_scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from storage.queries import Counts
    from storage.scans import Scan
    from storage.store import Store

# Seconds between two looks at the store: each costs it a millisecond.
LOOK_SECONDS = 0.5
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

    def __init__(self, store: Store, scan_id: int) -> None:
        self._store = store
        self._scan_id = scan_id
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[found]}"),
            console=console,
            disable=not self._live,
        )
        self._console = console
        self._task = self._bar.add_task("listing", total=None, rate="", found="")
        self._looked_at = 0.0
        self._line_at = time.monotonic()
        self._rate = _Rate()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self) -> Look | None:
        """Look at the store if it is time to, and show what is new."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return None
        self._looked_at = now
        seen = look(self._store, self._scan_id)
        done = seen.counts.judged
        rate = self._rate.at(now, done)
        found = f"[bold]{seen.counts.ai:,}[/] AI, {seen.counts.unsure:,} unsure"
        self._bar.update(
            self._task,
            description="judging" if seen.scan.listed_at is not None else "listing",
            completed=done,
            total=seen.counts.images or None,
            rate=f"{rate:,.0f}/s" if rate else "",
            found=found,
        )
        if not self._live and now - self._line_at >= LINE_SECONDS:
            self._line_at = now
            self._console.print(
                f"{done:,} of {seen.counts.images:,} images, {rate:,.0f}/s, {found}",
                highlight=False,
            )
        return seen

    def follow(self, check: Callable[[], object]) -> Look:
        """Show the scan until it is over; `check` is called at each look and may raise."""
        while True:
            seen = self.update()
            if seen is not None:
                check()
                if seen.over:
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
