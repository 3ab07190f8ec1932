"""Log lines in logfmt."""

from __future__ import annotations

import io
import logging
import threading
from typing import TYPE_CHECKING

import pytest
from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError

from scanner.processes.logs import LogfmtFormatter, _shorten_lost_process
from workers.log_context import log_batch, with_log_context

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Return the stream that the logger `test` writes to."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(LogfmtFormatter("attic pi"))
    log = logging.getLogger("test")
    log.addHandler(handler)
    log.propagate = False
    yield out
    log.removeHandler(handler)


def logged(lines: io.StringIO) -> str:
    """Return the line without its time."""
    line = lines.getvalue()
    assert line.startswith("time=20")
    return line.partition(" ")[2]


def test_line_outside_a_batch(lines: io.StringIO) -> None:
    """A line has time, level, host and message; values with spaces are quoted."""
    logging.getLogger("test").warning("waiting: %s", "it's away")

    assert 'level=warning host="attic pi" msg="waiting: it\'s away"\n' == logged(lines)


def test_line_within_a_batch(lines: io.StringIO) -> None:
    """A batch's lines name the batch and its scan, also from its other threads."""
    log = logging.getLogger("test")
    with log_batch(7, 12):
        helper = threading.Thread(target=with_log_context(log.error), args=("slow",))
    helper.start()
    helper.join()

    assert 'level=error host="attic pi" scan=7 batch=12 msg=slow\n' == logged(lines)


def test_line_after_a_batch(lines: io.StringIO) -> None:
    """A line logged after a batch does not name it."""
    with log_batch(7, 12):
        pass
    logging.getLogger("test").warning("idle")

    assert 'level=warning host="attic pi" msg=idle\n' == logged(lines)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", '""'),
        ("two\nlines", '"two\\nlines"'),
        ('a "quoted" word', '"a \\"quoted\\" word"'),
        ("a=b", '"a=b"'),
        ("Fotos für Ömi", '"Fotos für Ömi"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("line\u2028separator", '"line\\u2028separator"'),
        ("Ö", "Ö"),
        ("\u202egnp.exe", '"\\u202egnp.exe"'),
    ],
)
def test_special_characters_are_escaped(lines: io.StringIO, text: str, written: str) -> None:
    """No message ends its line early or moves a terminal's cursor."""
    logging.getLogger("test").warning("%s", text)

    assert f'level=warning host="attic pi" msg={written}\n' == logged(lines)


def test_traceback_is_one_value(lines: io.StringIO) -> None:
    """An exception's traceback is one value of its line."""
    try:
        int("no")
    except ValueError:
        logging.getLogger("test").exception("failed")
    line = logged(lines)

    assert 1 == line.count("\n")
    assert 'msg=failed trace="Traceback (most recent call last):\\n' in line
    assert line.endswith("""ValueError: invalid literal for int() with base 10: 'no'"\n""")


def test_lost_process_is_one_sentence(lines: io.StringIO) -> None:
    """Of a process that was killed the log has what Celery knows, without Celery's own stack."""
    celery = logging.getLogger("test")
    error = WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL)")
    celery.addFilter(_shorten_lost_process)
    wrapped = (WorkerLostError, ExceptionWithTraceback(error, "Traceback"), None)
    celery.error("Task handler raised error: %r", error, exc_info=wrapped)
    celery.removeFilter(_shorten_lost_process)
    line = logged(lines)

    assert "a process was lost, and its batch is done again: Worker exited prematurely" in line
    assert "trace=" not in line
