"""Show the progress of a scan: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from scanner.exits import DONE, FAILED, INCOMPLETE
from scanner.report.text.console import ReportConsole
from scanner.report.text.labels import count
from storage.errors import StoreUnavailable
from storage.reads.progress import count_images
from storage.writes.scans import UNFINISHED, find_scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from rich.console import RenderableType

    from storage.database.store import Store
    from storage.reads.progress import Counts
    from storage.writes.scans import Scan

# Seconds between two queries to the store at least, at first and after five seconds: a short scan
# does not wait for them.
FIRST_POLL_SECONDS = 0.05
POLL_SECONDS = 0.5
# Of the time that has passed, until then.
POLL_GROWTH = 0.1
# The share of time that queries may take: counting a million verdicts takes 0.1 s.
POLL_SHARE = 0.02
# Seconds that a store may be unavailable, as for workers; and without a new verdict, until it is
# checked whether one could be written.
RETRY_SECONDS = 120.0
# Seconds between two lines off a terminal.
LINE_SECONDS = 10.0
BAR_COLUMNS = 10
# Columns of `judging` and the bar, each with a space after it.
TAKEN_COLUMNS = len("judging ") + BAR_COLUMNS + 1


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """The progress of a scan."""

    scan: Scan
    counts: Counts

    @property
    def is_over(self) -> bool:
        """Whether the scan is finished or cancelled."""
        return self.scan.state != UNFINISHED

    @property
    def exit_code(self) -> int:
        """The exit code of a command that waited for the scan, which is over."""
        if self.scan.state != "finished":
            return FAILED
        return INCOMPLETE if self.counts.error or self.scan.unreadable_folders else DONE


def read_progress(store: Store, scan_id: int) -> ScanProgress:
    """Return the progress of a scan."""
    return ScanProgress(find_scan(store, scan_id), count_images(store, scan_id))


class Follower:
    """Shows the progress of a scan on stderr."""

    def __init__(
        self,
        store: Store,
        scan_id: int,
        note: Callable[[], str] = str,
        on_progress: Callable[[ScanProgress, float], object] | None = None,
        on_stall: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare to follow a scan.

        `note` returns what the scan waits for, if anything. `on_progress` is called with each
        state of the scan and its current rate in images per second, `on_stall` while there was no
        new verdict for RETRY_SECONDS.
        """
        self._store = store
        self._scan_id = scan_id
        self._note = note
        self._on_progress = on_progress
        self._on_stall = on_stall
        self._judged = 0
        self._started_at = self._judged_at = time.monotonic()
        console = ReportConsole(stderr=True)
        self._live = console.is_terminal
        self._bar = _Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=BAR_COLUMNS),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console,
            disable=not self._live,
        )
        self._console = console
        self._task = self._bar.add_task("listing", total=None, figures="")
        self._poll_at = 0.0
        self._line_at = time.monotonic()
        self._unavailable_since: float | None = None
        self._rate = _Rate()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self) -> ScanProgress | None:
        """Read and show the scan's progress; return None if it is too early or the store is away.

        Raise StoreUnavailable if the store has been unavailable for RETRY_SECONDS, and what
        `on_stall` raises.
        """
        now = time.monotonic()
        if now < self._poll_at:
            return None
        pause = self._pause(now)
        self._poll_at = now + pause
        try:
            progress = read_progress(self._store, self._scan_id)
        except StoreUnavailable as error:
            self._unavailable_since = self._unavailable_since or now
            if now - self._unavailable_since > RETRY_SECONDS:
                raise
            self._print_line(now, f"waiting: {error}")
            return None
        query_seconds = time.monotonic() - now
        self._poll_at = now + max(pause, query_seconds / POLL_SHARE)
        self._unavailable_since = None
        if progress.counts.judged != self._judged:
            self._judged, self._judged_at = progress.counts.judged, now
        elif now - self._judged_at > RETRY_SECONDS:
            self._on_stall()
        self._show(now, progress)
        return progress

    def _pause(self, now: float) -> float:
        """Return the seconds between two queries."""
        passed = now - self._started_at
        return min(POLL_SECONDS, max(FIRST_POLL_SECONDS, POLL_GROWTH * passed))

    def _show(self, now: float, progress: ScanProgress) -> None:
        counts = progress.counts
        is_listed = progress.scan.listed_at is not None
        rate = self._rate.update(now, counts.judged)
        if self._on_progress is not None:
            self._on_progress(progress, rate)
        speed = f"{rate:,.0f}/s" if rate else ""
        remaining = ""
        # The total is unknown while the folder is listed.
        if is_listed and rate and counts.pending:
            remaining = str(timedelta(seconds=round(counts.pending / rate)))
        self._bar.note = self._note()
        self._bar.update(
            self._task,
            description="judging" if is_listed else "listing",
            completed=counts.judged,
            total=counts.images or None,
            figures=fit_figures(
                self._console.width - TAKEN_COLUMNS,
                (f"{counts.judged:,}/{counts.images:,}", remaining, f"{counts.ai:,} AI", speed),
            ),
        )
        images = count(counts.images, "image", "images")
        verdicts = f"{counts.ai:,} AI, {counts.unsure:,} unsure"
        parts = (f"{counts.judged:,} of {images}", speed, verdicts, self._bar.note)
        self._print_line(now, ", ".join(part for part in parts if part))

    def _print_line(self, now: float, text: str) -> None:
        """Print a line off a terminal, not too often; show only waiting on a terminal."""
        if self._live:
            if text.startswith("waiting"):
                self._bar.note = text
        elif now - self._line_at >= LINE_SECONDS:
            self._line_at = now
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def follow(self, *checks: Callable[[], object]) -> ScanProgress:
        """Show the scan's progress until it is over; the checks are called often and may raise."""
        while True:
            for check in checks:
                check()
            progress = self.update()
            if progress and progress.is_over:
                return progress
            time.sleep(self._pause(time.monotonic()) / 5)


def fit_figures(columns: int, figures: Iterable[str]) -> str:
    """Return a line of the figures that fit into some columns, and always the first."""
    first, *others = figures
    line = first
    for figure in others:
        if figure and len(line) + 1 + len(figure) <= columns:
            line += f" {figure}"
    return line


class _Bar(Progress):
    """The bar, with a note below it."""

    note = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bar and the note, which may take several lines."""
        yield self.make_tasks_table(self.tasks)
        if self.note:
            yield Text(self.note, style="yellow", overflow="fold")


class _Rate:
    """The images per second over the last WINDOW_SECONDS."""

    WINDOW_SECONDS = 10.0

    def __init__(self) -> None:
        self._samples: list[tuple[float, int]] = []

    def update(self, now: float, images: int) -> float:
        """Add the number of images judged until now; return the rate, 0 at first."""
        self._samples.append((now, images))
        self._samples = [
            sample for sample in self._samples if now - sample[0] <= self.WINDOW_SECONDS
        ]
        start, images_before = self._samples[0]
        return (images - images_before) / (now - start) if now > start else 0.0
