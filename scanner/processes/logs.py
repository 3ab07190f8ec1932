"""Log lines on stderr: one each, in logfmt, with the host, the scan and the batch they are about.

time=2026-11-28T03:04:05Z level=warning host=attic-pi scan=7 batch=12 msg="waiting: …"
"""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
import time

from workers.log_context import work_now

# What logfmt takes without quotes.
_PLAIN = re.compile(r"[^\s\"=\\]+")


class Logfmt(logging.Formatter):
    """Pairs of a key and a value, so that a line can be read by people and by programs."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, whatever is in it."""
        pairs: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "host": self._host,
            **work_now(),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            pairs["trace"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={_value(str(value))}" for key, value in pairs.items())


def _value(text: str) -> str:
    printable = text.isprintable()
    if printable and _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not printable)


def log_to_stderr(*, verbose: bool, host: str | None = None) -> None:
    """Print warnings, or with `verbose` what is being done too.

    `host` is what reports call this machine; its own name if none is given.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Logfmt(host or socket.gethostname()))
    logging.basicConfig(handlers=[handler], level=logging.INFO if verbose else logging.WARNING)
    # Celery's pool has a logger that passes nothing on to the root.
    pool = logging.getLogger("multiprocessing")
    pool.addHandler(handler)
    pool.propagate = False
    pool.setLevel(logging.ERROR)
    # One line a batch and more: ours says what they say.
    for chatty in ("celery", "kombu", "amqp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_is_no_reject)


def _is_no_reject(record: logging.LogRecord) -> bool:
    """Drop Celery's traceback of a batch that goes back: the task has said so in one sentence."""
    from celery.exceptions import Reject  # noqa: PLC0415 - here it is imported already

    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, Reject)
