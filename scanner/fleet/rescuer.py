"""The rescuer: publishes again the batches that a dead worker or a lost queue left unfinished.

Any number may run; a lock in Redis lets one work at a time. It also checkpoints SQLite's
write-ahead log (`storage.database.checkpoint` says why only one process may).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import uuid
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import redis
from kombu.exceptions import OperationalError

from scanner.fleet.broker import open_broker
from scanner.fleet.publisher import publish
from scanner.processes.logs import log_to_stderr, run_logged
from storage.database.engine import WORK_ANSWER_S
from storage.database.store import Store
from storage.errors import StoreError
from storage.records import PlanError
from storage.writes import results
from storage.writes.scans import find_scan
from workers.broker import leases
from workers.broker.batch_parts import random_part_number
from workers.broker.dead_letters import read_letters
from workers.broker.key_types import RESCUER_LOCK, move_wrong_types
from workers.broker.namespace import count_pending_results
from workers.log_context import log_batch
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.fleet.broker import Broker
    from storage.records import Batch, BatchImage

log = logging.getLogger(__name__)

# Seconds between two rounds: with a lease of 20 s, a dead worker's batch is published within 23 s.
ROUND_SECONDS = 2.0
# Seconds until another rescuer takes over from a dead one.
LOCK_SECONDS = 15
_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


class Rescuer:
    """Publishes the lost batches of one owner's scans."""

    def __init__(self, store: Store, broker: Broker, owner: str) -> None:
        self._store = store
        self._app = broker.app
        self._namespace = broker.namespace
        self._owner = owner
        self._lock_token = uuid.uuid4().hex
        self._idle: set[int] = set()

    def run_until(self, stop: threading.Event) -> None:
        """Run rounds until stopped; wait, and say so once, while store or broker is unavailable."""
        waits = False
        while not stop.wait(ROUND_SECONDS):
            try:
                self.round()
            except (StoreError, redis.RedisError, OperationalError) as error:
                if not waits:
                    log.warning("the rescuer waits: %s", error)
                waits = True
            else:
                if waits:
                    log.warning("the rescuer works again")
                waits = False

    def round(self) -> None:
        """Publish batches of dead workers and, if the queue is empty, all other lost batches."""
        move_wrong_types(self._namespace)
        lock = self._namespace.key(RESCUER_LOCK)
        if not self._namespace.client.eval(_ACQUIRE, 1, lock, self._lock_token, LOCK_SECONDS):
            return
        for orphan in leases.orphaned_parts(self._namespace):
            unfinished = results.requeue_batch(self._store, orphan.part.batch_id, failed=True)
            # Only now, when the store has recorded the failure.
            leases.remove_part(self._namespace, orphan.part)
            self._publish(unfinished, "lost by its worker; published again", orphan.hung_image)
        for batch_id in self._find_unqueued():
            unfinished = results.requeue_batch(self._store, batch_id, failed=False)
            self._publish(unfinished, "not on the queue; published again")
        self._store.checkpoint()

    def _find_unqueued(self) -> set[int]:
        """Return the unfinished batches without a lease, if the queue was empty twice in a row.

        Twice, because a batch may be on its way into the queue or out of it. No batch is lost
        while results wait to be written.
        """
        before, self._idle = self._idle, set()
        queued = self._namespace.client.llen(self._namespace.queue)
        if queued or count_pending_results(self._namespace):
            return set()
        unfinished = results.unfinished_batches(self._store, self._owner)
        self._idle = set(leases.batches_without_lease(self._namespace, unfinished))
        # Those that were given up wait for a person.
        return (before & self._idle) - {one.batch_id for one in read_letters(self._namespace)}

    def _publish(
        self, unfinished: tuple[int, Batch] | None, reason: str, hung_image: int = 0
    ) -> None:
        """Publish a batch again, and an image that may hang the next worker too by itself."""
        if unfinished is None:
            return
        scan_id, batch = unfinished
        with log_batch(scan_id, batch.batch_id):
            try:
                scan = find_scan(self._store, scan_id)
                for part, images in _apart(batch.images, hung_image).items():
                    publish(self._store, self._app, scan, replace(batch, images=images), part)
                log.warning(reason)
            except PlanError as error:
                # A scan of another version.
                log.warning("batch cannot be published: %s", error)


def _apart(images: tuple[BatchImage, ...], hung_image: int) -> dict[int, tuple[BatchImage, ...]]:
    """Return the images by part: the one that hung, if it is one of several, has its own."""
    alone = tuple(image for image in images if image.image_id == hung_image)
    others = tuple(image for image in images if image.image_id != hung_image)
    return {0: others, random_part_number(): alone} if alone and others else {0: images}


def main() -> None:
    """Run a rescuer as a process, with URLs from the environment.

    The optional argument is the name of this machine in log lines.
    """
    log_to_stderr(verbose=False, host=next(iter(sys.argv[1:]), None))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with (
        closing(
            Store.open(os.environ["SCANNER_STORE_URL"], make=False, answer_s=WORK_ANSWER_S)
        ) as store,
        open_broker(os.environ["SCANNER_BROKER_URL"], store.identity) as broker,
    ):
        Rescuer(store, broker, FLEET).run_until(stop)


if __name__ == "__main__":
    run_logged(main)
