"""Celery's own words to a terminal and a log, which users of scanner need not read."""

from __future__ import annotations

import logging
import warnings

from celery.apps import worker as celery_worker
from celery.platforms import SecurityWarning


def quiet_celery() -> None:
    """Keep Celery's warnings and its words about shutdowns and connections off terminal and log."""
    # Root accepts messages that could run code: ours are JSON and validated.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # An error for each attempt to connect; GuardedConsumer says what there is to say.
    logging.getLogger("celery.worker.consumer.consumer").setLevel(logging.CRITICAL)
    # There is no setting for "Warm shutdown" and "Hitting Ctrl+C again", which go to stdout.
    celery_worker.safe_say = lambda *_: None
