"""Result sinks: verdicts go into the store, or onto a queue for the store's result writer.

A worker that has the store's URL writes to it. Any other worker sends each chunk to the `results`
queue, and the result writer next to the store writes it: so many machines share one SQLite file,
which must never be opened over a network.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from storage.database.engine import WORK_ANSWER_S
from storage.database.store import Store
from storage.writes import results
from storage.writes.received import Received
from storage.writes.scans import collection_root
from workers.batch.retry import CollectionUnknown, ResultBacklog
from workers.broker.namespace import count_pending_results
from workers.broker.publish import send_result
from workers.broker.result_message import encode_result
from workers.broker.signatures import STORE, Signer
from workers.sources.location import location_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery

    from storage.records import Verdict
    from storage.writes.results import Run
    from workers.broker.batch_message import BatchMessage
    from workers.broker.namespace import Namespace
    from workers.host.identity import HostStatus
    from workers.settings import WorkerSettings
    from workers.sources.location import SourceLocation

# Verdicts in one result at most: some 30 kB.
RESULT_IMAGES = 64
# Results that may wait; then workers wait for the result writer.
MAX_PENDING_RESULTS = 5_000


class BatchWriter(Protocol):
    """Writes the verdicts of one worker's attempt at one batch."""

    @property
    def attempt(self) -> int:
        """Return the number of the attempt, from 1."""

    @property
    def pending(self) -> frozenset[int]:
        """Return the images without a verdict, as far as this worker knows."""

    def write(self, verdicts: Sequence[Verdict], *, is_last: bool = False) -> None:
        """Write verdicts, so that only a disk failure can lose them.

        With `is_last`, mark the batch as done if all of its images have verdicts.
        """


class ResultSink(Protocol):
    """Where the results of one process go."""

    # Whether redelivered messages skip images that already have verdicts.
    skips_judged: bool
    # The public key of the store, with which its batches are signed.
    batch_key: bytes

    def open_batch(self, message: BatchMessage) -> BatchWriter | None:
        """Return a writer for the batch; None if there is nothing to do."""

    def location_of(self, collection: str) -> SourceLocation:
        """Return the location of a collection that is not mapped on this machine."""

    def close(self) -> None:
        """Close the connections."""


class StoreSink:
    """Writes to the store directly."""

    skips_judged = True

    def __init__(self, store_url: str, host: HostStatus, worker: str) -> None:
        self._store = Store.open(store_url, answer_s=WORK_ANSWER_S)
        self._host = host
        self._worker = (host.current().host_id, worker)
        self.batch_key = Signer(STORE, self._store.signing_key).public_key
        results.record_host(self._store, host.current())

    def open_batch(self, message: BatchMessage) -> BatchWriter | None:
        """Return a writer for the batch; None if it is done, deleted or cancelled."""
        if self._host.is_due():
            results.record_host(self._store, self._host.current())
        begun = results.begin_run(self._store, message.batch_id, message.attempt, self._worker)
        return None if begun is None else _StoreBatchWriter(self._store, *begun)

    def location_of(self, collection: str) -> SourceLocation:
        """Return the folder or URL with which the collection was enqueued."""
        return location_at(collection_root(self._store, collection))

    def close(self) -> None:
        """Close the store."""
        self._store.close()


class _StoreBatchWriter:
    def __init__(self, store: Store, run: Run, pending: frozenset[int]) -> None:
        self._store = store
        self._run = run
        self.pending = pending
        self.attempt = run.attempt

    def write(self, verdicts: Sequence[Verdict], *, is_last: bool = False) -> None:
        results.record_verdicts(self._store, self._run, verdicts, is_last=is_last)


class QueueSink:
    """Sends everything to the result writer."""

    skips_judged = False

    def __init__(
        self,
        app: Celery,
        namespace: Namespace,
        host: HostStatus,
        worker: str,
        settings: WorkerSettings,
    ) -> None:
        if settings.membership is None:
            raise ValueError("expected a machine that has joined, or the store's URL")
        self._app = app
        self._share = settings.share
        self._namespace = namespace
        self._host = host
        self._worker = worker
        self._signer = Signer(host.current().host_id, settings.membership.private_key)
        self.batch_key = settings.membership.store_key

    def open_batch(self, message: BatchMessage) -> BatchWriter:
        """Return a writer for all images that the message names."""
        make_result = partial(
            Received,
            scan_id=message.scan_id,
            batch_id=message.batch_id,
            attempt=message.attempt,
            host=self._host.current(),
            worker=self._worker,
            started_at=time.time(),
        )
        return _QueueBatchWriter(message, make_result, partial(self._send, message.ticket))

    def location_of(self, collection: str) -> SourceLocation:
        """Return the hub's file server. Raises CollectionUnknown without one."""
        if self._share is None:
            # Another worker may know the location.
            raise CollectionUnknown(not_mapped(collection))
        return replace(self._share, collection=collection)

    def close(self) -> None:
        """Do nothing: the app and the client belong to the worker context."""

    def _send(self, ticket: bytes, received: Received) -> None:
        """Publish one result for a batch's ticket. Raises ResultBacklog, and errors of Redis."""
        if count_pending_results(self._namespace) > MAX_PENDING_RESULTS:
            raise ResultBacklog(
                f"{MAX_PENDING_RESULTS:,} results wait to be written: is the hub running?"
            )
        send_result(
            self._app, encode_result(received, ticket, self._namespace.store_id, self._signer)
        )


class _QueueBatchWriter:
    def __init__(
        self,
        message: BatchMessage,
        make_result: partial[Received],
        send: Callable[[Received], None],
    ) -> None:
        self._make_result = make_result
        self._send = send
        self.pending = frozenset(image.image_id for image in message.images)
        self.attempt = message.attempt

    def write(self, verdicts: Sequence[Verdict], *, is_last: bool = False) -> None:  # noqa: ARG002 - the result writer notices when a batch is done
        for first in range(0, len(verdicts), RESULT_IMAGES):
            part = tuple(verdicts[first : first + RESULT_IMAGES])
            self._send(self._make_result(ended_at=time.time(), verdicts=part))


def not_mapped(collection: str) -> str:
    """Return what to do about a collection whose location is unknown to this machine."""
    return f"the location of {collection} is unknown on this machine: --root {collection}=PATH"
