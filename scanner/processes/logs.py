"""Log lines on stderr in logfmt, one each, with host, scan and batch.

time=2026-11-28T03:04:05Z level=warning host=attic-pi scan=7 batch=12 msg="waiting: …"
"""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from scanner.error_messages import as_scanner_error
from scanner.exits import FAILED
from workers.log_context import log_context

if TYPE_CHECKING:
    from collections.abc import Callable

# A logfmt value that needs no quotes.
_PLAIN = re.compile(r"[^\s\"=\\]+")


def run_logged(main: Callable[[], int | None]) -> NoReturn:
    """Run a process to its end; what a command would say of an error is a line of its log."""
    try:
        code = main()
    except Exception as error:
        told = as_scanner_error(error)
        if told is None:
            raise
        logging.getLogger(__name__).error("%s", told)  # noqa: TRY400 - the sentence is enough
        code = FAILED
    sys.exit(code or 0)


class LogfmtFormatter(logging.Formatter):
    """Formats all log records, those of Celery and kombu too, as one line of logfmt each."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with the batch that its thread works on."""
        time = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "host": self._host,
            **log_context(),
            "msg": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["trace"] = self.formatException(record.exc_info)
        return " ".join(f"{name}={_value(str(value))}" for name, value in fields.items())


def _value(text: str) -> str:
    """Return a value, quoted where it has to be: control characters would move a cursor."""
    printable = text.isprintable()
    if printable and _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not printable)


def log_to_stderr(*, verbose: bool, host: str | None = None) -> None:
    """Log warnings to stderr, and with `verbose` informational messages too.

    `host` is the name of this machine in reports (default: its hostname).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter(host or socket.gethostname()))
    logging.basicConfig(handlers=[handler], level=logging.INFO if verbose else logging.WARNING)
    # The logger of Celery's pool passes nothing on to the root logger.
    pool = logging.getLogger("multiprocessing")
    pool.addHandler(handler)
    pool.propagate = False
    pool.setLevel(logging.ERROR)
    # They log at least one line a batch, which repeats ours.
    for name in ("celery", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_is_not_a_reject)
    logging.getLogger("celery.worker.request").addFilter(_shorten_lost_process)


def _is_not_a_reject(record: logging.LogRecord) -> bool:
    """Return False for Celery's traceback of a returned batch, which the task has logged."""
    from celery.exceptions import Reject  # noqa: PLC0415 - already imported where it matters

    error = record.exc_info[0] if record.exc_info else None
    return error is None or not issubclass(error, Reject)


def _shorten_lost_process(record: logging.LogRecord) -> bool:
    """Say in one line that a process was lost: Celery's traceback is of its own main loop."""
    from billiard.exceptions import WorkerLostError  # noqa: PLC0415 - as above

    error = record.exc_info[1] if record.exc_info else None
    # billiard wraps it, with its traceback as text.
    error = getattr(error, "exc", error)
    if isinstance(error, WorkerLostError):
        record.msg, record.args = "a process was lost, and its batch is done again: %s", (error,)
        record.exc_info = record.exc_text = None
    return True
