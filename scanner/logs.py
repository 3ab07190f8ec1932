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
