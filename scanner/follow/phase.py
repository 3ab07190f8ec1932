"""Decide what becomes of a scan, by its lock, its workers' heartbeats and its latest verdicts."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from scanner.config import state_dir
from scanner.processes.lock import is_locked, is_paused, lock_file
from scanner.report.figures.phase import Phase, stored
from storage.reads.progress import last_work
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scanner.follow.queue_state import QueueState
    from storage.database.store import Store
    from storage.writes.scans import Scan

# A host without a verdict for so many seconds counts as idle.
IDLE_SECONDS = 60.0


class Phases:
    """Tells of scans what becomes of them; a broker is asked once, for an unfinished scan only."""

    def __init__(self, store: Store, read_queue: Callable[[], QueueState | None]) -> None:
        self._store = store
        self._read_queue = read_queue

    @cached_property
    def queue(self) -> QueueState | None:
        """Return the state of the fleet's queue; None where its broker does not answer."""
        return self._read_queue()

    def of(self, scan: Scan) -> Phase:
        """Return the phase of a scan."""
        if (phase := stored(scan)) is not Phase.UNFINISHED:
            return phase
        return self._of_fleet(scan) if scan.owner == FLEET else self._of_machine(scan)

    def _of_fleet(self, scan: Scan) -> Phase:
        from workers.broker.heartbeat import PAUSED  # noqa: PLC0415 - Redis' client costs 0.1 s

        if self.queue is None:
            return Phase.RUNNING if self._is_judged(scan) else Phase.WAITING
        workers = self.queue.workers
        if any(worker.scan_id == scan.scan_id and not worker.note for worker in workers):
            return Phase.RUNNING
        if workers and all(worker.note.startswith(PAUSED) for worker in workers):
            return Phase.PAUSED
        # Between two batches no process has one.
        is_running = any(not worker.note for worker in workers) and self._is_judged(scan)
        return Phase.RUNNING if is_running else Phase.WAITING

    def _of_machine(self, scan: Scan) -> Phase:
        """Return the phase of a scan with an embedded broker: the process that has it locks it."""
        from workers.host.identity import known_host_id  # noqa: PLC0415 - as above

        file = lock_of(self._store, scan)
        # Another machine's lock is not seen here.
        if is_locked(file) or self._is_judged(scan, besides=known_host_id(state_dir())):
            return Phase.RUNNING
        return Phase.PAUSED if is_paused(file) else Phase.INTERRUPTED

    def _is_judged(self, scan: Scan, besides: str = "") -> bool:
        """Return whether a host, `besides` one, has just judged images of a scan."""
        hosts = last_work(self._store, scan.scan_id)
        return any(
            time.time() - at <= IDLE_SECONDS for host_id, at in hosts.items() if host_id != besides
        )


def phases_of(store: Store, broker_url: str) -> Phases:
    """Return what tells the phases of scans, a fleet's with the broker at a URL."""

    def read_queue() -> QueueState | None:
        from scanner.follow.queue_state import read_queue_state  # noqa: PLC0415 - it needs Celery

        return read_queue_state(broker_url, store.identity)

    return Phases(store, read_queue)


def lock_of(store: Store, scan: Scan) -> Path:
    """Return the lock file of a scan."""
    return lock_file(state_dir(), store.identity, scan.root, scan.plan.digest())
