"""Simulated workers: everything that a worker does except judging images.

Threads that take real batches from a real queue with Celery's own consumer, hold real leases,
split, write with the real batch writers, and acknowledge; they sleep where a worker would
judge an image.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject

from scanner.fleet.publisher import publish
from storage.records import Finding, ListedImage, Outcome, Plan, Timings, Verdict
from storage.writes import listing, scans
from workers.batch.context import WorkerContext
from workers.batch.stopping import StopFlag
from workers.batch.tasks import run_batch
from workers.broker.app import make_app

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from storage.database.store import Store
    from storage.records import BatchImage
    from storage.writes.scans import Scan
    from workers.settings import WorkerSettings
    from workers.sources.source import Source

COLLECTION = "photos"
BATCH_IMAGES = 500
CHUNK_SECONDS = 2.0
CHUNK_IMAGES = 64
# Seconds that a consumer waits for a batch before it looks whether all is done.
WAIT_SECONDS = 1.0


class Sleeper:
    """A pipeline of so many images a second, with a score and `no_evidence` for each."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def chunk(
        self, _root: Source, images: Sequence[BatchImage], begin: Callable[[BatchImage], object]
    ) -> list[Verdict]:
        """Judge a chunk with the limits of the real one, in images and seconds."""
        chunk = images[: max(1, min(CHUNK_IMAGES, int(CHUNK_SECONDS * self._rate)))]
        begin(chunk[0])
        time.sleep(len(chunk) / self._rate)
        return [verdict_of(one.image_id) for one in chunk]


def verdict_of(image_id: int) -> Verdict:
    """Return a verdict as large as most are: a score, a digest, one finding."""
    score = image_id % 997 / 2000
    return Verdict(
        image_id,
        Outcome.NO_EVIDENCE,
        score,
        "objects-32",
        True,
        (Finding("objects-32", "score", score),),
        None,
        hashlib.sha256(b"%d" % image_id).digest(),
        Timings(90, 70, 180),
    )


class SimulatedWorker:
    """A worker with one process; `run` takes batches until it is stopped."""

    def __init__(self, settings: WorkerSettings, rate: float) -> None:
        self.stop = StopFlag()
        self._context = WorkerContext(settings, f"{settings.label}:1", self.stop)
        self._context.pipeline = lambda _plan: Sleeper(rate)  # type: ignore[method-assign,assignment,return-value]

    def current(self) -> WorkerContext:
        """Return the context, as `workers.batch.tasks.WorkerContexts` does."""
        return self._context

    def run(self, stop: threading.Event) -> None:
        """Take one batch after the other, and acknowledge each after it is written."""
        app = self._context.app
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            channel.basic_qos(0, 1, False)
            with app.amqp.TaskConsumer(channel, callbacks=[self._take]):
                while not stop.is_set():
                    try:
                        connection.drain_events(timeout=WAIT_SECONDS)
                    except socket.timeout:  # noqa: UP041 - kombu's own name for it
                        continue
        self._context.close()

    def _take(self, body: Any, message: Any) -> None:  # noqa: ANN401 - kombu's
        try:
            run_batch(self, body[0][0])  # type: ignore[arg-type]
        except Reject:
            message.requeue()
        else:
            message.ack()


def begin(store: Store, folder: Path) -> Scan:
    """Start a scan of a folder that may be empty."""
    plan = Plan(())
    return scans.new_scan(
        store,
        scans.ensure_collection(store, COLLECTION, os.fsencode(folder)),
        scans.ensure_plan(store, plan),
        "fleet",
    )


def enqueue(store: Store, broker_url: str, scan: Scan, images: int) -> None:
    """Record images that do not exist and publish them, as a producer does."""
    app = make_app(broker_url, store.identity)
    for first in range(0, images, BATCH_IMAGES):
        numbers = range(first, min(first + BATCH_IMAGES, images))
        listed = [ListedImage(path_of(number), 2_500_000, 1) for number in numbers]
        batch = listing.add_batch(store, scan, listed, None)
        if batch is not None:
            publish(store, app, scan, batch)
    scans.mark_listed(store, scan.scan_id, {}, 0)


def path_of(number: int) -> bytes:
    """Return a path as cameras and people choose them, 500 per folder."""
    folder, rest = divmod(number, 500)
    year, month = 2005 + folder % 20, folder % 12 + 1
    return b"%d/%02d-%05d/IMG_%d%02d14_%06d.jpg" % (year, month, folder, year, month, rest * 137)
