"""The queue of a watch: one of its own with a worker, or that of a fleet."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scanner.fleet import local
from scanner.fleet.broker import open_broker
from scanner.fleet.fingerprint import take_fingerprint
from scanner.fleet.local_worker import LocalWorker
from workers.broker.collection_fingerprints import store_fingerprint
from workers.broker.heartbeat import uncancel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from scanner.fleet.broker import Broker
    from scanner.fleet.local_worker import WorkerOptions
    from scanner.fleet.producer import ScanRequest
    from storage.database.store import Store
    from storage.writes.scans import Scan

# Seconds for which a fingerprint of the folder serves: its files may be moved away.
FINGERPRINT_SECONDS = 60.0
# Seconds until a worker that exited is restarted.
PAUSE_SECONDS = 5.0


class WatchQueue:
    """Where a watch puts batches."""

    def __init__(self, broker: Broker, request: ScanRequest | None) -> None:
        """Take the request whose folder workers elsewhere are to recognise, if there are any."""
        self._broker = broker
        self._request = request
        self._fingerprint_at = float("-inf")

    @property
    def app(self) -> Celery:
        """Return what batches are published with."""
        return self._broker.app

    def begin(self, scan: Scan) -> None:
        """Let workers work at a scan that was cancelled before."""
        uncancel(self._broker.namespace, scan.scan_id)

    def prepare(self) -> None:
        """Tell workers by which files they recognise the folder; call it before publishing."""
        now = time.monotonic()
        if self._request is not None and now - self._fingerprint_at >= FINGERPRINT_SECONDS:
            fingerprint = take_fingerprint(self._request)
            store_fingerprint(self._broker.namespace, self._request.name, fingerprint)
            self._fingerprint_at = now

    def check(self) -> None:
        """Keep what serves the queue running. Raise what ends the watch."""


class OwnQueue(WatchQueue):
    """A queue for this watch alone, with a worker and a rescuer."""

    def __init__(
        self,
        own: local.LocalBroker,
        worker: LocalWorker,
        check_rescuer: Callable[[], object],
        say: Callable[[str], object],
    ) -> None:
        super().__init__(own.broker, None)
        self._own = own
        self._worker = worker
        self._check_rescuer = check_rescuer
        self._say = say
        self._restarted_at = float("-inf")

    def check(self) -> None:
        """Restart the worker if it exited. Raise ServerFailed and RescuerStopped."""
        self._own.check()
        self._check_rescuer()
        now = time.monotonic()
        if now - self._restarted_at >= PAUSE_SECONDS and (end := self._worker.restart_if_exited()):
            self._restarted_at = now
            self._say(f"the worker {end}; started again")


@contextmanager
def open_queue(
    store: Store,
    request: ScanRequest,
    broker_url: str | None,
    options: WorkerOptions,
    say: Callable[[str], object],
) -> Iterator[WatchQueue]:
    """Open the queue at a URL, or run one with a worker while the context lasts."""
    if broker_url is not None:
        with open_broker(broker_url, store.identity) as broker:
            yield WatchQueue(broker, request)
        return
    with (
        local.local_broker(None, options.state_dir, store.identity) as own,
        local.local_rescuer(store, own.broker, request.owner) as check_rescuer,
        LocalWorker(options) as worker,
        worker.serving(own.broker.url),
    ):
        yield OwnQueue(own, worker, check_rescuer, say)
