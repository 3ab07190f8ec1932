"""Log lines on stderr in logfmt, one each, with host, scan and batch.

time=2026-11-28T03:04:05Z level=warning host=attic-pi scan=7 batch=12 msg="waiting: …"
"""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

from structlog.contextvars import merge_contextvars
from structlog.processors import TimeStamper, add_log_level, format_exc_info
from structlog.stdlib import ProcessorFormatter

from scanner.error_messages import as_scanner_error
from scanner.exits import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, WrappedLogger

# structlog's keys in the order of a line, with their names there.
_NAMES = {key: key for key in ("time", "level", "host", "scan", "batch")} | {
    "event": "msg",
    "exception": "trace",
}
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


def make_formatter(host: str) -> logging.Formatter:
    """Return the formatter of all log records, those of Celery and kombu too."""

    def add_host(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, "host": host}

    return ProcessorFormatter(
        processors=[
            TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True, key="time"),
            add_log_level,
            add_host,
            merge_contextvars,
            format_exc_info,
            _render,
        ]
    )


def _render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Return the event as one line of logfmt.

    structlog's own renderer lets control characters through, which move a terminal's cursor.
    """
    return " ".join(
        f"{name}={_value(str(event[key]))}" for key, name in _NAMES.items() if key in event
    )


def _value(text: str) -> str:
    printable = text.isprintable()
    if printable and _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not printable)


def log_to_stderr(*, verbose: bool, host: str | None = None) -> None:
    """Log warnings to stderr, and with `verbose` informational messages too.

    `host` is the name of this machine in reports (default: its hostname).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(host or socket.gethostname()))
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
