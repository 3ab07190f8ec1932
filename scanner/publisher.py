"""Putting batches on the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.messages import BatchMessage
from workers.plan import plan_from
from workers.send import send_batch

if TYPE_CHECKING:
    from celery import Celery

    from storage.records import Batch
    from storage.scans import Scan


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
    send_batch(app, message)
