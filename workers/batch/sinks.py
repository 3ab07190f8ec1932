"""Where the results of batches go: into the store, or onto a queue for its recorder.

A worker that has the store's URL writes to it. One that has none sends each chunk to the `results`
queue, and the recorder beside the store writes it: so many machines share one SQLite file, which
must never be opened over a network.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from storage.database.store import Store
from storage.writes import cascade, results
from storage.writes.received import Received
from storage.writes.results import FIRST_STAGE, SECOND_STAGE
from storage.writes.scans import collection_root
from workers.batch.retry import GiveBack, ResultWriterAway
from workers.broker.namespace import unrecorded
from workers.broker.publish import send_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery

    from storage.records import Verdict
    from storage.writes.results import Run
    from workers.broker.batch_message import BatchMessage
    from workers.broker.namespace import Namespace
    from workers.host.identity import Vitals
    from workers.sources.location import HubLocation, SourceLocation

# Results that may wait for the recorder, some 30 kB each; then workers wait for it.
MOST_WAITING = 5_000


class BatchWriter(Protocol):
    """What is written of one worker's go at one batch."""

    @property
    def attempt(self) -> int:
        """Which attempt at the batch it is."""

    @property
    def pending(self) -> frozenset[int]:
        """The images that have no verdict yet, as far as is known here."""

    def record(self, verdicts: Sequence[Verdict]) -> None:
        """Put down the verdicts of one chunk, so that nothing but a disk's end can lose them."""

    def finish(self) -> None:
        """No more comes; the batch is done if all of its images have verdicts."""


class ResultSink(Protocol):
    """Where one process's results go."""

    # Whether a message that comes again is done only as far as it was not before.
    remembers: bool

    def begin(self, message: BatchMessage) -> BatchWriter | None:
        """Start on a batch; None where there is nothing to do."""

    def place_of(self, collection: str) -> SourceLocation:
        """Where a collection lies that is not mapped; GiveBack where that is not known here."""

    def close(self) -> None:
        """Give everything back."""


class StoreSink:
    """Writes to the store itself."""

    remembers = True

    def __init__(self, store_url: str, host: Vitals, worker: str) -> None:
        self._store = Store.open(store_url)
        self._host = host
        self._worker = (host.now().host_id, worker)
        results.know_host(self._store, host.now())

    def begin(self, message: BatchMessage) -> BatchWriter | None:
        """Start on a batch; None where it is done, forgotten or cancelled."""
        if self._host.is_due():
            results.know_host(self._store, self._host.now())
        if message.plan.second_stage is not None:
            images = {image.image_id for image in message.images}
            begun = cascade.begin_second_stage(self._store, message.batch_id, images, self._worker)
        else:
            begun = results.begin_run(self._store, message.batch_id, message.attempt, self._worker)
        return None if begun is None else _StoreBatchWriter(self._store, *begun)

    def place_of(self, collection: str) -> SourceLocation:
        """The root that the collection was enqueued with."""
        return Path(os.fsdecode(collection_root(self._store, collection)))

    def close(self) -> None:
        """Close the store."""
        self._store.close()


class _StoreBatchWriter:
    def __init__(self, store: Store, run: Run, pending: frozenset[int]) -> None:
        self._store = store
        self._run = run
        self.pending = pending
        self.attempt = run.attempt

    def record(self, verdicts: Sequence[Verdict]) -> None:
        results.record(self._store, self._run, verdicts)

    def finish(self) -> None:
        # Before a second look it was done already.
        if self._run.stage == FIRST_STAGE:
            results.finish_batch(self._store, self._run)


class QueueSink:
    """Sends everything to the recorder."""

    remembers = False

    def __init__(
        self,
        app: Celery,
        namespace: Namespace,
        host: Vitals,
        worker: str,
        share: HubLocation | None,
    ) -> None:
        self._app = app
        self._share = share
        self._namespace = namespace
        self._host = host
        self._worker = worker

    def begin(self, message: BatchMessage) -> BatchWriter:
        """Start on a batch: all that its message names is to be done."""
        of_this_worker = partial(Received, host=self._host.now(), worker=self._worker)
        return _QueueBatchWriter(message, of_this_worker, self._send)

    def place_of(self, collection: str) -> SourceLocation:
        """The hub's share, if there is one: only the store knows the root."""
        if self._share is None:
            # Somebody else may have been told.
            raise GiveBack(not_mapped(collection))
        return replace(self._share, collection=collection)

    def close(self) -> None:
        """Nothing is its own."""

    def _send(self, received: Received) -> None:
        """Have Redis take one result; what is wrong with Redis comes through."""
        if unrecorded(self._namespace) > MOST_WAITING:
            raise ResultWriterAway(
                f"{MOST_WAITING:,} results wait to be recorded: is the hub running?"
            )
        send_result(self._app, self._namespace, received)


def not_mapped(collection: str) -> str:
    """What to do about a collection that a machine does not find."""
    return f"this machine does not know where {collection} lies: --root {collection}=PATH"


class _QueueBatchWriter:
    def __init__(
        self,
        message: BatchMessage,
        of_this_worker: partial[Received],
        send: Callable[[Received], None],
    ) -> None:
        self._message = message
        self._of_this_worker = of_this_worker
        self._send = send
        self._started_at = time.time()
        self.pending = frozenset(image.image_id for image in message.images)
        self.attempt = message.attempt

    def record(self, verdicts: Sequence[Verdict]) -> None:
        if not verdicts:
            return
        self._send(
            self._of_this_worker(
                scan_id=self._message.scan_id,
                batch_id=self._message.batch_id,
                attempt=self.attempt,
                stage=FIRST_STAGE if self._message.plan.second_stage is None else SECOND_STAGE,
                started_at=self._started_at,
                ended_at=time.time(),
                verdicts=tuple(verdicts),
            )
        )

    def finish(self) -> None:
        """The recorder sees by itself when nothing of the batch is left."""
