"""The current state of a scan, for the live page and the metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scanner.follow.phase import IDLE_SECONDS, Phases
from scanner.follow.progress import read_progress
from scanner.follow.queue_state import read_queue_state
from scanner.report.figures.build import MOSTLY_ACTIVE
from scanner.web.memory_cache import MemoryCache
from storage.reads.gallery import page
from storage.reads.progress import read_activity
from storage.reads.selection import Selection
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.follow.progress import ScanProgress
    from scanner.follow.queue_state import QueueState
    from scanner.report.figures.phase import Phase
    from storage.database.store import Store
    from storage.reads.gallery import Tile
    from storage.reads.progress import Counts, HostActivity, ScanActivity
    from storage.writes.scans import Scan

# Seconds between two queries of the store, and of a broker.
REFRESH_SECONDS = 1.0
# Flagged images on the live page.
TILES = 8


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The state of a scan at time `at`; `queue` is None where no broker can be asked."""

    progress: ScanProgress
    phase: Phase
    activity: ScanActivity
    queue: QueueState | None
    tiles: tuple[Tile, ...]
    at: float

    @property
    def scan(self) -> Scan:
        """Return the scan."""
        return self.progress.scan

    @property
    def is_over(self) -> bool:
        """Return whether the scan is finished or cancelled."""
        return self.progress.is_over

    @property
    def counts(self) -> Counts:
        """Return the scan's counts."""
        return self.progress.counts

    @property
    def images_per_second(self) -> float | None:
        """Return the rate of the busy hosts; of a scan that is over, of its time at work."""
        if self.is_over:
            seconds = self.activity.active_seconds
            return self.counts.judged_here / seconds if seconds > 0 else None
        return sum(map(self.rate_of, self.activity.hosts)) or None

    def rate_of(self, host: HostActivity) -> float:
        """Return a host's images per second; 0 for an idle one."""
        return 0.0 if self._is_idle(host) else host.images_per_second

    def temperature_of(self, host: HostActivity) -> float | None:
        """Return a host's temperature in degrees Celsius; None if unknown or outdated."""
        return None if self._is_idle(host) else host.temperature_c

    def info_of(self, host: HostActivity) -> Mapping[str, Any]:
        """Return what a host reported of itself; empty if outdated."""
        return {} if self._is_idle(host) else host.info

    def _is_idle(self, host: HostActivity) -> bool:
        return self.is_over or self.at - host.last_at > IDLE_SECONDS

    @property
    def seconds_left(self) -> float | None:
        """Return the remaining time at this rate; None while listing, or without a rate."""
        rate = self.images_per_second
        if self.is_over or self.scan.listed_at is None or not rate:
            return None
        return self.counts.pending / rate

    @property
    def is_interrupted(self) -> bool:
        """Return whether nothing was at work for a considerable part of the scan's time."""
        return self.activity.active_seconds < MOSTLY_ACTIVE * self.activity.seconds

    @property
    def oldest_seconds(self) -> float | None:
        """Return the age of the oldest unfinished batch on the queue."""
        if self.is_over or self.activity.oldest_at is None:
            return None
        return max(0.0, self.at - self.activity.oldest_at)


class Monitor:
    """Query the state of scans, at most once a second however many clients ask."""

    def __init__(self, store: Store, broker_url: str) -> None:
        self._store = store
        self.broker_url = broker_url
        self._statuses: MemoryCache[LiveStatus] = MemoryCache(REFRESH_SECONDS)
        self._queues: MemoryCache[QueueState | None] = MemoryCache(REFRESH_SECONDS)

    def live(self, scan_id: int) -> LiveStatus:
        """Return the state of a scan; raises NotFound where there is none."""
        return self._statuses.get(scan_id, lambda: self._status(scan_id))

    def forget(self, scan_id: int) -> None:
        """Drop what is known of a scan, so that the next page shows it as it is."""
        self._statuses.forget(scan_id)

    def queue(self) -> QueueState | None:
        """Return the fleet's queue; None where its broker does not answer."""
        return self._queues.get(
            "queue", lambda: read_queue_state(self.broker_url, self._store.identity)
        )

    def phase(self, scan: Scan) -> Phase:
        """Return the phase of a scan."""
        return Phases(self._store, self.queue).of(scan)

    def _status(self, scan_id: int) -> LiveStatus:
        progress = read_progress(self._store, scan_id)
        # An embedded broker's address is not recorded.
        is_of_fleet = progress.scan.owner == FLEET
        return LiveStatus(
            progress=progress,
            phase=self.phase(progress.scan),
            activity=read_activity(self._store, scan_id),
            queue=self.queue() if is_of_fleet and not progress.is_over else None,
            tiles=tuple(page(self._store, progress.scan, Selection(), TILES)),
            at=time.time(),
        )
