"""Publish batches on the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.broker.batch_message import BatchMessage, sign_batch
from workers.broker.publish import send_batch
from workers.pipeline.plan import require_rules

if TYPE_CHECKING:
    from celery import Celery

    from storage.database.store import Store
    from storage.records import Batch
    from storage.writes.scans import Scan


def publish(store: Store, app: Celery, scan: Scan, batch: Batch, part: int = 0) -> None:
    """Sign and publish a batch of a scan, or a part of it.

    Raise kombu's OperationalError if the broker stays unavailable.
    """
    require_rules(scan.plan.rules)
    message = BatchMessage(
        scan_id=scan.scan_id,
        batch_id=batch.batch_id,
        attempt=batch.attempt,
        part=part,
        collection=scan.collection,
        plan=scan.plan,
        images=batch.images,
    )
    send_batch(app, sign_batch(message, store.identity, store.signing_key))
