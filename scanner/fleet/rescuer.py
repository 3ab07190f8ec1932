"""The keeper: publishes again what a dead worker, or a lost queue, left undone.

One at a time by a lock in Redis; any number may be started. It is also the one that folds SQLite's
write-ahead log into the file (`storage.database.checkpoint` says why only one may).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import redis
from kombu.exceptions import OperationalError

from scanner.fleet.publisher import publish
from scanner.fleet.second_stage import SecondStage
from storage.errors import StoreError
from storage.records import PlanError
from storage.writes import results
from storage.writes.scans import find_scan
from workers.broker import leases
from workers.broker.namespace import count_pending_results
from workers.log_context import log_batch
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.fleet.broker import Broker
    from storage.database.store import Store
    from storage.records import Batch

log = logging.getLogger(__name__)

# Seconds between two rounds: with a lease of 20 s, work goes on within about 23 s of a death.
ROUND_SECONDS = 2.0
# Seconds until another keeper takes over from one that has died.
LOCK_SECONDS = 15
_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


class Rescuer:
    """Looks after a store's scans in one broker: those that bear `name`."""

    def __init__(self, store: Store, broker: Broker, name: str) -> None:
        self._store = store
        self._app = broker.app
        self._namespace = broker.namespace
        self._name = name
        self._me = uuid.uuid4().hex
        self._idle: set[int] = set()
        self._second = SecondStage(store, broker, name)

    def run_until(self, stop: threading.Event) -> None:
        """One round after the other; what is away is waited for."""
        while not stop.wait(ROUND_SECONDS):
            try:
                self.round()
            except (StoreError, redis.RedisError, OperationalError) as error:
                log.warning("the keeper waits: %s", error)

    def round(self) -> None:
        """Publish what was left behind; if the queue is empty, whatever is undone and not begun."""
        lock = self._namespace.key("keeper")
        if not self._namespace.client.eval(_HOLD, 1, lock, self._me, LOCK_SECONDS):
            return
        for part in leases.orphaned_parts(self._namespace):
            if part.is_second_stage:
                self._second.left_behind(part)
                continue
            left = results.again(self._store, part.batch_id, failed=True)
            # Once the store knows of the failure, and not before: it may be away.
            leases.remove_part(self._namespace, part)
            self._publish(left, "left behind by its worker; published again")
        for batch_id in self._overlooked():
            left = results.again(self._store, batch_id, failed=False)
            self._publish(left, "on no queue; published again")
        self._second.round()
        self._store.checkpoint()

    def _overlooked(self) -> set[int]:
        """The undone batches that nobody is at work on, if the queue was empty twice in a row.

        Twice: a batch may be on its way into the queue, or out of it, just now. What waits to be
        recorded may be all that is undone.
        """
        before, self._idle = self._idle, set()
        if self._namespace.client.llen(self._namespace.queue) or count_pending_results(
            self._namespace
        ):
            return set()
        undone = results.undone(self._store, self._name)
        self._idle = set(leases.batches_without_lease(self._namespace, undone))
        return before & self._idle

    def _publish(self, left: tuple[int, Batch] | None, why: str) -> None:
        if left is None:
            return
        scan_id, batch = left
        with log_batch(scan_id, batch.batch_id):
            try:
                publish(self._app, find_scan(self._store, scan_id), batch)
                log.warning(why)
            except PlanError as error:
                # Another version's scan; those of this one go on.
                log.warning("it cannot be published: %s", error)


def main() -> None:
    """The keeper as a process beside a worker.

    The URLs are in the environment, the argument is what the worker calls its machine.
    """
    from scanner.fleet.broker import open_broker  # noqa: PLC0415 - only a process of its own
    from scanner.processes.logs import log_to_stderr  # noqa: PLC0415
    from storage.database.store import Store  # noqa: PLC0415

    log_to_stderr(verbose=False, host=next(iter(sys.argv[1:]), None))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with (
        closing(Store.open(os.environ["SCANNER_STORE_URL"], make=False)) as store,
        open_broker(os.environ["SCANNER_BROKER_URL"], store.identity) as broker,
    ):
        Rescuer(store, broker, FLEET).run_until(stop)


if __name__ == "__main__":
    main()
