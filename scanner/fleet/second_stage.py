"""The keeper's part in second opinions: it sends doubtful images to workers with a strong detector.

Only while such a worker listens, so nothing ever waits on a queue for one that does not come; and
in waves, each when the one before it is over, so nothing has to be kept of what was sent.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from scanner.fleet.publisher import publish_second_stage
from storage.records import PlanError
from storage.writes import cascade
from storage.writes.scans import find_scan
from workers.broker import leases
from workers.broker.namespace import count_pending_results, listening_key, second_stage_queue

if TYPE_CHECKING:
    from scanner.fleet.broker import Broker
    from storage.database.store import Store
    from storage.writes.cascade import CascadeScan
    from workers.broker.batch_parts import BatchPart

log = logging.getLogger(__name__)


class SecondStage:
    """Sends on what a store's scans leave doubtful, those that bear `name`."""

    def __init__(self, store: Store, broker: Broker, name: str) -> None:
        self._store = store
        self._app = broker.app
        self._namespace = broker.namespace
        self._name = name
        # Finished scans in which nothing waits any more, until they are opened again.
        self._settled: set[CascadeScan] = set()
        self._idle: set[int] = set()

    def round(self) -> None:
        """Send what waits for a strong detector that listens and has nothing to do."""
        scans = cascade.cascade_scans(self._store, self._name)
        self._settled.intersection_update(scans)
        before, self._idle = self._idle, set()
        for scan in scans:
            if scan in self._settled or not self._is_free(scan.detector):
                continue
            # Twice: a message may be on its way to its worker just now.
            if scan.scan_id in before:
                self._send(scan)
            else:
                self._idle.add(scan.scan_id)

    def left_behind(self, part: BatchPart) -> None:
        """Take back what a dead worker had: its images still wait, and a round finds them."""
        log.warning("a second look at batch %d was left behind", part.batch_id)
        cascade.count_failed_attempt(self._store, part.batch_id)
        leases.remove_part(self._namespace, part)

    def _is_free(self, detector: str) -> bool:
        client, store_id = self._namespace.client, self._namespace.store_id
        return bool(
            client.exists(listening_key(store_id, detector))
            and not client.llen(second_stage_queue(self._namespace.queue, detector))
            and not count_pending_results(self._namespace)
        )

    def _send(self, scan: CascadeScan) -> None:
        waiting = cascade.waiting_batches(self._store, scan.scan_id)
        if not waiting and scan.is_finished:
            self._settled.add(scan)
        busy = leases.batches_in_second_stage(self._namespace)
        found = find_scan(self._store, scan.scan_id)
        for batch in waiting:
            if batch.batch_id in busy:
                continue
            try:
                publish_second_stage(self._app, found, batch)
            except PlanError as error:
                log.warning("scan %d gets no second opinions: %s", scan.scan_id, error)
                return
