"""Following a scan until it is finished: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from scanner.report.text.labels import count
from storage.errors import StoreUnavailable
from storage.reads.queries import counts
from storage.writes.cascade import count_waiting
from storage.writes.scans import UNFINISHED, find_scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from rich.console import RenderableType

    from storage.database.store import Store
    from storage.reads.queries import Counts
    from storage.writes.scans import Scan

# Seconds between two looks at the store at the least,
LOOK_SECONDS = 0.5
# and the share of the time that they may take: counting a million verdicts takes 0.1 s.
LOOK_SHARE = 0.02
# Seconds that a store may be away; workers wait as long.
RETRY_SECONDS = 120.0
# Seconds between two lines where there is no terminal.
LINE_SECONDS = 10.0
BAR_COLUMNS = 10
# Columns of `judging` and the bar, with a space behind each.
TAKEN_COLUMNS = len("judging ") + BAR_COLUMNS + 1


@dataclass(frozen=True, slots=True)
class Look:
    """How far a scan is."""

    scan: Scan
    counts: Counts
    # For a second opinion, in a scan that asks for such.
    waiting: int = 0

    @property
    def over(self) -> bool:
        """Whether all is judged, or nobody goes on; second opinions may still come."""
        return self.scan.state != UNFINISHED

    @property
    def settled(self) -> bool:
        """Whether nothing more will come, not even a second opinion."""
        return self.over and (self.scan.cancelled_at is not None or not self.waiting)


def look(store: Store, scan_id: int) -> Look:
    """How far a scan is, as the store has it."""
    found = find_scan(store, scan_id)
    return Look(found, counts(store, scan_id), count_waiting(store, found))


class Follower:
    """Shows how a scan goes on; on stderr, for stdout is for data."""

    def __init__(
        self,
        store: Store,
        scan_id: int,
        note: Callable[[], str] = str,
        tell: Callable[[Look, float], object] | None = None,
    ) -> None:
        """`note` says what the scan waits for, if it does.

        `tell` is called with each look, and with the images judged a second of late.
        """
        self._store = store
        self._scan_id = scan_id
        self._note = note
        self._tell = tell
        console = Console(stderr=True)
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
            if now - self._away_since > RETRY_SECONDS:
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
        is_listed = seen.scan.listed_at is not None
        rate = self._rate.at(now, counts.judged)
        if self._tell is not None:
            self._tell(seen, rate)
        speed = f"{rate:,.0f}/s" if rate else ""
        left = ""
        # While a folder is listed, nobody knows how much is to come.
        if is_listed and rate and counts.pending:
            left = str(timedelta(seconds=round(counts.pending / rate)))
        found = f"{counts.ai:,} AI, {counts.unsure:,} unsure"
        self._bar.note = self._note()
        if seen.over and seen.waiting:
            images = count(seen.waiting, "image waits", "images wait")
            self._bar.note = f"{images} for a second opinion"
        self._bar.update(
            self._task,
            description="judging" if is_listed else "listing",
            completed=counts.judged,
            total=counts.images or None,
            figures=fitting(
                self._console.width - TAKEN_COLUMNS,
                (f"{counts.judged:,}/{counts.images:,}", left, f"{counts.ai:,} AI", speed),
            ),
        )
        images = count(counts.images, "image", "images")
        parts = (f"{counts.judged:,} of {images}", speed, found, self._bar.note)
        self._say(now, ", ".join(part for part in parts if part))

    def _say(self, now: float, words: str) -> None:
        """A line where there is no terminal, not too often; else a note below the bar."""
        if self._live:
            if words.startswith("waiting"):
                self._bar.note = words
        elif now - self._line_at >= LINE_SECONDS:
            self._line_at = now
            self._console.print(words, highlight=False, markup=False, soft_wrap=True)

    def follow(self, *checks: Callable[[], object], to_the_last: bool = False) -> Look:
        """Show the scan until it is over; the checks are called all the time and may raise.

        `to_the_last` waits for the last second opinion, too: there has to be somebody to give it.
        """
        while True:
            for check in checks:
                check()
            seen = self.update()
            if seen is not None and (seen.settled if to_the_last else seen.over):
                return seen
            time.sleep(LOOK_SECONDS / 5)


def fitting(columns: int, figures: Iterable[str]) -> str:
    """The figures in one line of so many columns, what does not fit left out; the first ever."""
    first, *others = figures
    line = first
    for figure in others:
        if figure and len(line) + 1 + len(figure) <= columns:
            line += f" {figure}"
    return line


class _Bar(Progress):
    """The bar, and below it a line that says what is waited for."""

    note = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The lines; a note may be longer than one."""
        yield self.make_tasks_table(self.tasks)
        if self.note:
            yield Text(self.note, style="yellow", overflow="fold")


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
