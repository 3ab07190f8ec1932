"""Let fewer of a worker's processes work while the board is throttled or memory is short.

The worker's main process checks regularly, and ends or starts one process of the pool at a time.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from workers.host.capacity import IMAGE_MB, PROCESS_MB, free_mb
from workers.host.health import throttling_reason

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
# With less, memory can run out with the next large image.
MIN_FREE_MB = IMAGE_MB
# For one more process and a large image.
ENOUGH_FREE_MB = PROCESS_MB + IMAGE_MB
# How long all must be well before one more process may work; doubled after each relapse.
FIRST_WAIT_SECONDS = 60.0
MAX_WAIT_SECONDS = 960.0


class Autoscaler:
    """Determines how many of `maximum` processes may work: `allowed`.

    Short memory leaves one process. With `cool`, throttling of the board may leave none.
    """

    def __init__(
        self, maximum: int, *, cool: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._maximum = maximum
        self._cool = cool
        self._clock = clock
        self.allowed = maximum
        self._reason = ""
        self._checked_at = clock()
        self._well_since: float | None = None
        self._wait = FIRST_WAIT_SECONDS

    def update(self) -> bool:
        """Check throttling and memory if a check is due. Return whether `allowed` changed."""
        now = self._clock()
        if now - self._checked_at < CHECK_SECONDS:
            return False
        self._checked_at = now
        before = self.allowed
        free = free_mb()
        if self._cool and (reason := throttling_reason()):
            self._lower(f"the board is throttled ({reason})", minimum=0)
        elif free is not None and free < MIN_FREE_MB:
            self._lower(f"memory is short ({free:,} MB free)", minimum=1)
        elif self.allowed < self._maximum and (free is None or free >= ENOUGH_FREE_MB):
            self._raise(now)
        return self.allowed != before

    def _lower(self, reason: str, minimum: int) -> None:
        self._well_since = None
        self._reason = reason
        if self.allowed > minimum:
            self.allowed -= 1

    def _raise(self, now: float) -> None:
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since >= self._wait:
            self.allowed += 1
            self._well_since = now
            if self.allowed == self._maximum:
                self._wait = min(2 * self._wait, MAX_WAIT_SECONDS)

    def note(self) -> str:
        """Return a note on the reduced number of processes; empty while all may work."""
        if self.allowed == self._maximum:
            return ""
        if not self.allowed:
            return f"waiting: {self._reason}"
        return f"working with {self.allowed} of {self._maximum} processes: {self._reason}"


class Pool:
    """Celery's pool of processes, with a size that may change."""

    def __init__(self, consumer: Any) -> None:  # noqa: ANN401 - Celery has no types
        self._consumer = consumer
        # How many fewer batches than processes are fetched, since some processes are to end.
        self._withheld = 0

    def resize(self, processes: int) -> None:
        """Start missing processes, or end one surplus process if it is idle; keep at least one."""
        pool, qos = self._consumer.pool, self._consumer.qos
        surplus = pool.num_processes - max(1, processes)
        while self._withheld < surplus:
            # A process becomes idle when no further batch is fetched for it.
            qos.decrement_eventually()
            self._withheld += 1
        while self._withheld > max(0, surplus):
            qos.increment_eventually()
            self._withheld -= 1
        if surplus > 0:
            try:
                pool.shrink(1)
                self._withheld -= 1
            except ValueError:
                log.debug("all processes are busy; one ends after its batch")
        elif surplus < 0:
            pool.grow(1)
            qos.increment_eventually()


def scale_pool(autoscaler: Autoscaler, pool: Pool, label: str) -> str:
    """Update the autoscaler and resize the pool. Return the note, logged when it starts or ends."""
    before = autoscaler.note()
    autoscaler.update()
    pool.resize(autoscaler.allowed)
    note = autoscaler.note()
    # In between, `scanner status` shows the number of processes.
    if bool(note) != bool(before):
        log.warning("%s: %s", label, note or "working with all processes again")
    return note
