"""Putting batches on the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.app import SCAN_BATCH
from workers.messages import BatchMessage, encode
from workers.plan import plan_from

if TYPE_CHECKING:
    from celery import Celery

    from storage.records import Batch
    from storage.scans import Scan

# Seconds between tries to publish while the broker is away, and how many there are.
RETRY = {"max_retries": 3, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 2.0}


def publish(app: Celery, scan: Scan, batch: Batch) -> None:
    """Send one batch of a scan; raises kombu's OperationalError where the broker stays away."""
    message = BatchMessage(
        scan_id=scan.scan_id,
        batch_id=batch.batch_id,
        attempt=batch.attempt,
        collection=scan.collection,
        plan=plan_from(scan.plan),
        images=batch.images,
    )
    app.send_task(SCAN_BATCH, args=[encode(message)], retry=True, retry_policy=RETRY)
