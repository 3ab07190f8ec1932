"""Putting messages on a store's queues; kombu's OperationalError where the broker stays away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.broker.app import RECORD_BATCH, SCAN_BATCH
from workers.broker.batch_message import encode_batch
from workers.broker.namespace import results_queue, second_stage_queue
from workers.broker.result_message import encode_result

if TYPE_CHECKING:
    from celery import Celery

    from storage.writes.received import Received
    from workers.broker.batch_message import BatchMessage
    from workers.broker.namespace import Namespace

# Seconds between tries to publish while the broker is away, and how many there are.
RETRY = {"max_retries": 3, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 2.0}


def send_batch(app: Celery, message: BatchMessage) -> None:
    """Put a batch, or what is left of one, on the queue of those who can do it."""
    second_stage = message.plan.second_stage
    queue = app.conf.task_default_queue
    app.send_task(
        SCAN_BATCH,
        args=[encode_batch(message)],
        queue=queue if second_stage is None else second_stage_queue(queue, second_stage),
        retry=True,
        retry_policy=RETRY,
    )


def send_result(app: Celery, namespace: Namespace, received: Received) -> None:
    """Put a result on the queue of the store's recorder."""
    app.send_task(
        RECORD_BATCH,
        args=[encode_result(received)],
        queue=results_queue(namespace.store_id),
        retry=True,
        retry_policy=RETRY,
    )
