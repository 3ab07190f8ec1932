"""Putting batches on the queue."""

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

# Images of one message to a strong detector: a few seconds of work, which it does not split.
SECOND_STAGE_IMAGES = 32


def publish(app: Celery, scan: Scan, batch: Batch) -> None:
    """Send one batch of a scan; raises kombu's OperationalError where the broker stays away."""
    _send(app, scan, batch, scan.plan.first_stage())


def publish_second_stage(app: Celery, scan: Scan, batch: Batch) -> None:
    """Send what of a batch is for the strong detector of the scan's plan, in small messages."""
    for n, start in enumerate(range(0, len(batch.images), SECOND_STAGE_IMAGES)):
        some = replace(batch, images=batch.images[start : start + SECOND_STAGE_IMAGES])
        _send(app, scan, some, scan.plan, second_stage_number(n))


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
