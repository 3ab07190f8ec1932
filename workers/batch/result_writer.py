"""The recorder: a Celery worker beside the store that writes what store-less workers found.

One process that does one result at a time: SQLite has one writer. It acknowledges a result after
the commit, so one that is killed loses nothing; what it had at hand comes back within half a
minute and changes nothing the second time.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from celery.exceptions import Reject
from celery.signals import worker_shutting_down

from storage.errors import StoreError
from storage.writes.received import receive
from workers.batch.retry import GiveBack, Retry
from workers.batch.stopping import StopFlag
from workers.batch.tasks import GIVE_BACK_PAUSE_SECONDS, leave_only
from workers.broker.app import RECORD_BATCH, make_result_writer_app
from workers.broker.consumer import guard_this_process
from workers.broker.field_types import MessageError
from workers.broker.result_message import decode_result
from workers.log_context import log_batch

if TYPE_CHECKING:
    from celery import Celery

    from storage.database.store import Store
    from storage.writes.received import Received

log = logging.getLogger(__name__)


class ResultWriter:
    """Writes results into a store, waiting for the store where it is away."""

    def __init__(self, store: Store, stop: StopFlag) -> None:
        self._store = store
        self._stop = stop
        self._retry = Retry(stop, lambda _note: None)

    def record(self, raw: object) -> None:
        """Write one result; Reject puts it back on the queue, returning acknowledges it."""
        try:
            received = decode_result(raw)
        except MessageError as error:
            log.error("a result was dropped: %s", error)  # noqa: TRY400 - the sentence says it
            return
        with log_batch(received.scan_id, received.batch_id):
            self._receive(received)

    def _receive(self, received: Received) -> None:
        try:
            self._retry.until_done(partial(receive, self._store, received))
        except (GiveBack, StoreError) as error:
            log.warning("a result goes back to its queue: %s", error)
            if not self._stop.is_set():
                time.sleep(GIVE_BACK_PAUSE_SECONDS)
            raise Reject(str(error), requeue=True) from error


def make_result_writer(broker_url: str, store: Store) -> Celery:
    """A Celery app whose worker, of the pool `solo`, is the store's recorder."""
    app = make_result_writer_app(broker_url, store.identity)
    app.conf.worker_consumer = "workers.broker.consumer:ResultConsumer"
    guard_this_process()
    stop = StopFlag()
    result_writer = ResultWriter(store, stop)

    @app.task(name=RECORD_BATCH, shared=False)
    def record_batch(message: object) -> None:
        result_writer.record(message)

    leave_only(app, RECORD_BATCH)

    # Weak references would let the closure go at once.
    @worker_shutting_down.connect(weak=False)
    def stop_waiting(**_: object) -> None:
        stop.set()

    return app
