"""The result writer: a Celery worker next to the store that writes the results of other machines.

It is one process that writes one result at a time, since SQLite has one writer. It acknowledges a
result after the commit, so a killed writer loses nothing: the result is redelivered within half a
minute, and written again without effect if it was stored already.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from celery.exceptions import Reject
from celery.signals import worker_shutting_down

from storage.errors import StoreError
from storage.writes.machines import find_machine
from storage.writes.received import receive
from workers.batch.retry import RequeueBatch, Retry, SaidReasons
from workers.batch.stopping import StopFlag
from workers.batch.tasks import REQUEUE_DELAY_SECONDS, unregister_other_tasks
from workers.broker.app import RECORD_BATCH, make_namespace, make_result_writer_app
from workers.broker.consumer import guard_this_process
from workers.broker.dead_letters import bury, dead_letter
from workers.broker.field_types import MessageError
from workers.broker.result_message import decode_result
from workers.broker.signatures import batch_ticket
from workers.log_context import log_batch

if TYPE_CHECKING:
    from celery import Celery

    from storage.database.store import Store
    from storage.writes.received import Received
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)


class ResultWriter:
    """Writes results into a store, and waits while the store is unavailable."""

    def __init__(self, store: Store, namespace: Namespace, stop: StopFlag) -> None:
        self._store = store
        self._namespace = namespace
        self._stop = stop
        self._retry = Retry(stop, lambda _note: None, SaidReasons())

    def write(self, raw: object) -> None:
        """Write one result. Raises Reject to requeue it; otherwise it is acknowledged."""
        try:
            received = self._retry.until_done(partial(self._decode, raw))
            with log_batch(received.scan_id, received.batch_id):
                self._retry.until_done(partial(receive, self._store, received))
        except MessageError as error:
            bury(self._namespace, dead_letter("result", str(error), "result writer", raw))
        except (RequeueBatch, StoreError) as error:
            log.warning("result returned to the queue: %s", error)
            if not self._stop.is_set():
                time.sleep(REQUEUE_DELAY_SECONDS)
            raise Reject(str(error), requeue=True) from error

    def _decode(self, raw: object) -> Received:
        ticket_of = partial(batch_ticket, self._store.signing_key)
        return decode_result(raw, self._store.identity, self._key_of, ticket_of)

    def _key_of(self, machine_id: str) -> bytes:
        """Return the public key of a machine; raise MessageError where it may send nothing."""
        machine = find_machine(self._store, machine_id)
        if machine is None:
            raise MessageError(f"a machine that has not joined sent it: {machine_id[:100]!r}")
        if machine.revoked_at is not None:
            raise MessageError(f"a machine that was shut out sent it: {machine.label!r}")
        return machine.public_key


def make_result_writer(broker_url: str, store: Store) -> Celery:
    """Return a Celery app whose worker, with the pool `solo`, is the store's result writer."""
    app = make_result_writer_app(broker_url, store.identity)
    # For the consumer's dead letters.
    app.letters = make_namespace(broker_url, store.identity)
    app.conf.worker_consumer = "workers.broker.consumer:ResultConsumer"
    guard_this_process(app.letters, "result")
    stop = StopFlag()
    result_writer = ResultWriter(store, app.letters, stop)

    @app.task(name=RECORD_BATCH, shared=False)
    def record_batch(message: object) -> None:
        result_writer.write(message)

    unregister_other_tasks(app, RECORD_BATCH)

    # Without `weak=False` the closure would be garbage-collected at once.
    @worker_shutting_down.connect(weak=False)
    def stop_waiting(**_: object) -> None:
        stop.set()

    return app
