"""Log lines on stderr."""

from __future__ import annotations

import logging
import sys


def log_to_stderr(*, verbose: bool) -> None:
    """Print warnings, or with `verbose` what is being done too, one line each."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    # One line a batch and more: they are counted in the store already.
    for chatty in ("celery", "kombu", "amqp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_is_no_reject)


def _is_no_reject(record: logging.LogRecord) -> bool:
    """Drop Celery's traceback of a batch that goes back: the task has said so in one sentence."""
    from celery.exceptions import Reject  # noqa: PLC0415 - here it is imported already

    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, Reject)
