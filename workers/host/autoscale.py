"""How many of a worker's processes may work: fewer while the board is slow or memory is short.

The worker's main process looks now and then, and ends or starts one process of the pool at a time.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from workers.host.capacity import PICTURE_MB, PROCESS_MB, free_mb
from workers.host.health import slowed_down

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
# Memory that is so short can run out with the next large picture.
LEAST_FREE_MB = PICTURE_MB
# As much as one process more takes, and the picture.
ENOUGH_FREE_MB = PROCESS_MB + PICTURE_MB
# All has to be well for so long until one process more may work; twice as long after each relapse.
FIRST_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 960.0


class Autoscaler:
    """How many of `most` processes may work; with `cool` fewer when the board is slowed down.

    None may while the last one is too much for the board; short of memory one still may.
    """

    def __init__(
        self, most: int, *, cool: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._cool = cool
        self._clock = clock
        self.allowed = most
        self.why = ""
        self._looked = clock()
        self._well_since: float | None = None
        self._wait = FIRST_WAIT_SECONDS

    def look(self) -> bool:
        """Look at heat and memory if it is time to; whether another number may work now."""
        now = self._clock()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        before = self.allowed
        free = free_mb()
        if self._cool and (why := slowed_down()):
            self._lower(f"the board is slowed down ({why})", least=0)
        elif free is not None and free < LEAST_FREE_MB:
            self._lower(f"memory is short ({free:,} MB left)", least=1)
        elif self.allowed < self._most and (free is None or free >= ENOUGH_FREE_MB):
            self._raise(now)
        return self.allowed != before

    def _lower(self, why: str, least: int) -> None:
        self._well_since = None
        self.why = why
        if self.allowed > least:
            self.allowed -= 1

    def _raise(self, now: float) -> None:
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since >= self._wait:
            self.allowed += 1
            self._well_since = now
            if self.allowed == self._most:
                self.why = ""
                self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS)

    def words(self) -> str:
        """What is to be said of it; empty while all may work."""
        if self.allowed == self._most:
            return ""
        if not self.allowed:
            return f"waits: {self.why}"
        return f"works with {self.allowed} of {self._most} processes: {self.why}"


class Pool:
    """Celery's pool of processes, kept at a size that may change."""

    def __init__(self, consumer: Any) -> None:  # noqa: ANN401 - Celery has no types
        self._consumer = consumer
        # Batches fewer that are fetched than there are processes, for some are to end.
        self._held = 0

    def keep(self, processes: int) -> None:
        """Have so many processes, never none: more at once, fewer as soon as one is idle."""
        pool, qos = self._consumer.pool, self._consumer.qos
        too_many = pool.num_processes - max(1, processes)
        while self._held < too_many:
            # One becomes idle when no other batch is fetched for it.
            qos.decrement_eventually()
            self._held += 1
        while self._held > max(0, too_many):
            qos.increment_eventually()
            self._held -= 1
        if too_many > 0:
            try:
                pool.shrink(1)
                self._held -= 1
            except ValueError:
                log.debug("all processes are at work; one ends when its batch is done")
        elif too_many < 0:
            pool.grow(1)
            qos.increment_eventually()


def ease(easing: Autoscaler, pool: Pool, label: str) -> str:
    """Look, and have the pool follow; what is to be said of it, logged when it begins and ends."""
    before = easing.words()
    easing.look()
    pool.keep(easing.allowed)
    words = easing.words()
    # In between, `status` shows how many it comes to.
    if bool(words) != bool(before):
        log.warning("%s %s", label, words or "works with all processes again")
    return words
