"""What the live page and the metrics show of a scan."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scanner.follow.progress import read_progress
from scanner.follow.queue_state import read_queue_state
from scanner.web.memo import Memo
from storage.reads.gallery import Selection, page
from storage.reads.health import pulse
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.follow.progress import ScanProgress
    from scanner.follow.queue_state import QueueState
    from storage.database.store import Store
    from storage.reads.gallery import Tile
    from storage.reads.health import HostPulse, Pulse
    from storage.reads.queries import Counts
    from storage.writes.scans import Scan

# Seconds between two looks at the store, and at a broker.
LOOK_SECONDS = 1.0
# Flagged images that are shown beside the figures.
TILES = 8
# A host that has written nothing for so many seconds is not counted on.
AWAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Live:
    """A scan just now; `queue` is None where no broker can be asked about it."""

    look: ScanProgress
    pulse: Pulse
    queue: QueueState | None
    tiles: tuple[Tile, ...]
    at: float

    @property
    def scan(self) -> Scan:
        """The scan."""
        return self.look.scan

    @property
    def counts(self) -> Counts:
        """Its counts."""
        return self.look.counts

    @property
    def images_per_second(self) -> float | None:
        """Of the hosts that are at work; once it is over, of all its time."""
        if self.look.is_over:
            seconds = self.pulse.seconds
            return self.counts.judged_here / seconds if seconds > 0 else None
        return sum(map(self.rate_of, self.pulse.hosts)) or None

    def rate_of(self, host: HostPulse) -> float:
        """A host's images a second just now: none where it has written nothing for a while."""
        return 0.0 if self._is_away(host) else host.images_per_second

    def temperature_of(self, host: HostPulse) -> float | None:
        """How warm a host is, in degrees Celsius; None where nobody knows, or not any more."""
        return None if self._is_away(host) else host.temperature_c

    def said_by(self, host: HostPulse) -> Mapping[str, Any]:
        """What a host says of itself; nothing where that is an old story."""
        return {} if self._is_away(host) else host.info

    def _is_away(self, host: HostPulse) -> bool:
        return self.look.is_over or self.at - host.last_at > AWAY_SECONDS

    @property
    def seconds_left(self) -> float | None:
        """Until it is over at this rate; None while the folder is still listed, or nobody works."""
        rate = self.images_per_second
        if self.look.is_over or self.scan.listed_at is None or not rate:
            return None
        return self.counts.pending / rate

    @property
    def oldest_seconds(self) -> float | None:
        """How long ago the oldest batch that is not done was put on the queue."""
        if self.look.is_over or self.pulse.oldest_at is None:
            return None
        return max(0.0, self.at - self.pulse.oldest_at)


class Watch:
    """Looks at scans, not more often than once a second, however many ask."""

    def __init__(self, store: Store, broker_url: str) -> None:
        self._store = store
        self._broker_url = broker_url
        self._lives: Memo[Live] = Memo(LOOK_SECONDS)
        self._queues: Memo[QueueState | None] = Memo(LOOK_SECONDS)

    def live(self, scan_id: int) -> Live:
        """A scan just now; NotFound where there is none."""
        return self._lives.get(scan_id, lambda: self._look(scan_id))

    def queue(self) -> QueueState | None:
        """The fleet's queue, or None where its broker does not answer."""
        return self._queues.get(
            "queue", lambda: read_queue_state(self._broker_url, self._store.identity)
        )

    def _look(self, scan_id: int) -> Live:
        seen = read_progress(self._store, scan_id)
        # A `scan` with a queue of its own tells nobody where that is.
        is_of_fleet = seen.scan.owner == FLEET
        return Live(
            look=seen,
            pulse=pulse(self._store, scan_id),
            queue=self.queue() if is_of_fleet and not seen.is_over else None,
            tiles=tuple(page(self._store, seen.scan, Selection(), TILES)),
            at=time.time(),
        )
