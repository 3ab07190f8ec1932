"""Send `unsure` images to workers that run the second stage of a cascade.

Images are sent only while such a worker listens, so that none waits in a queue without a worker,
and in waves, each after the one before is finished, so that no record of sent images is needed.
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
    """Sends the `unsure` images of one owner's scans to the second stage."""

    def __init__(self, store: Store, broker: Broker, owner: str) -> None:
        self._store = store
        self._app = broker.app
        self._namespace = broker.namespace
        self._owner = owner
        # Finished scans without waiting images, unless they are continued.
        self._settled: set[CascadeScan] = set()
        self._idle: set[int] = set()

    def round(self) -> None:
        """Send the waiting images of each scan whose second stage has an idle worker."""
        scans = cascade.cascade_scans(self._store, self._owner)
        self._settled.intersection_update(scans)
        before, self._idle = self._idle, set()
        for scan in scans:
            if scan in self._settled or not self._has_idle_worker(scan.detector):
                continue
            # Idle twice in a row: a message may be on its way to its worker.
            if scan.scan_id in before:
                self._send(scan)
            else:
                self._idle.add(scan.scan_id)

    def take_back(self, part: BatchPart) -> None:
        """Take back the images of a dead worker; the next round sends them again."""
        log.warning("the second stage of batch %d was lost by its worker", part.batch_id)
        cascade.count_failed_attempt(self._store, part.batch_id)
        leases.remove_part(self._namespace, part)

    def _has_idle_worker(self, detector: str) -> bool:
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
                log.warning("scan %d has no second stage: %s", scan.scan_id, error)
                return
