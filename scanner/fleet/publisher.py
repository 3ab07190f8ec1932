"""Publish batches on the queue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workers.broker.batch_message import BatchMessage
from workers.broker.batch_parts import second_stage_number
from workers.broker.publish import send_batch
from workers.pipeline.plan import require_rules

if TYPE_CHECKING:
    from celery import Celery

    from storage.records import Batch, Plan
    from storage.writes.scans import Scan

# Images per message to the second stage: a few seconds of work, which is not split further.
SECOND_STAGE_IMAGES = 32


def publish(app: Celery, scan: Scan, batch: Batch) -> None:
    """Publish a batch of a scan. Raise kombu's OperationalError if the broker stays unavailable."""
    _send(app, scan, batch, scan.plan.first_stage())


def publish_second_stage(app: Celery, scan: Scan, batch: Batch) -> None:
    """Publish the images of a batch that wait for the second stage, in small messages."""
    for number, start in enumerate(range(0, len(batch.images), SECOND_STAGE_IMAGES)):
        part = replace(batch, images=batch.images[start : start + SECOND_STAGE_IMAGES])
        _send(app, scan, part, scan.plan, second_stage_number(number))


def _send(app: Celery, scan: Scan, batch: Batch, plan: Plan, part: int = 0) -> None:
    require_rules(plan.rules)
    message = BatchMessage(
        scan_id=scan.scan_id,
        batch_id=batch.batch_id,
        attempt=batch.attempt,
        collection=scan.collection,
        plan=plan,
        images=batch.images,
        part=part,
    )
    send_batch(app, message)
