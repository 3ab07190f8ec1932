"""Publish messages to a store's queues. Raises kombu's OperationalError without a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.broker.app import RECORD_BATCH, SCAN_BATCH
from workers.broker.batch_message import encode_batch
from workers.broker.namespace import QUEUE, RESULTS

if TYPE_CHECKING:
    from celery import Celery

    from workers.broker.batch_message import BatchMessage

# While the broker is unavailable; intervals in seconds.
RETRY_POLICY = {"max_retries": 3, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 2.0}


def send_batch(app: Celery, message: BatchMessage) -> None:
    """Publish a signed batch, or a part of one, to the queue of the store's workers."""
    _send(app, SCAN_BATCH, encode_batch(message), app.conf.task_default_queue)


def send_again(app: Celery, kind: str, message: object) -> None:
    """Publish a message that was on the queue, as it was: a batch or a result."""
    task, queue = (RECORD_BATCH, RESULTS) if kind == "result" else (SCAN_BATCH, QUEUE)
    _send(app, task, message, queue)


def send_result(app: Celery, message: object) -> None:
    """Publish a result, as `encode_result` returned it, to the queue of the result writer."""
    _send(app, RECORD_BATCH, message, RESULTS)


def _send(app: Celery, task: str, message: object, queue: str) -> None:
    app.send_task(
        task,
        args=[message],
        # Celery's would be the first 1,024 characters of the message once more, uncompressed.
        argsrepr="",
        queue=queue,
        retry=True,
        retry_policy=RETRY_POLICY,
    )
