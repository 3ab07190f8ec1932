"""Celery's own words to a terminal, which users of scanner need not read."""

from __future__ import annotations

import warnings

from celery.apps import worker as celery_worker
from celery.platforms import SecurityWarning


def quiet_celery() -> None:
    """Keep Celery's warning for root and its words about shutdowns off the terminal."""
    # Root accepts messages that could run code: ours are JSON and validated.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # There is no setting for "Warm shutdown" and "Hitting Ctrl+C again", which go to stdout.
    celery_worker.safe_say = lambda *_: None
