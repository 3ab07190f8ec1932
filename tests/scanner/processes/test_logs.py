"""Log lines: one each, whatever is in them, with what they are about."""

from __future__ import annotations

import io
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from scanner.processes.logs import Logfmt
from workers.log_context import at_work, of_same_work

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the logger `said` writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Logfmt("attic pi"))
    log = logging.getLogger("said")
    log.addHandler(handler)
    log.propagate = False
    yield out
    log.removeHandler(handler)


def said(lines: io.StringIO) -> str:
    """What was written, but for the time."""
    written = lines.getvalue()
    assert written.startswith("time=20")
    return written.partition(" ")[2]


def test_outside_of_a_batch(lines: io.StringIO) -> None:
    """A line has time, level, host and message; what has blanks in it is quoted."""
    logging.getLogger("said").warning("waiting: %s", "it's away")

    assert 'level=warning host="attic pi" msg="waiting: it\'s away"\n' == said(lines)


def test_within_a_batch(lines: io.StringIO) -> None:
    """A batch and its scan are named in its lines, in those of its other threads too."""
    log = logging.getLogger("said")
    with at_work(7, 12):
        helper = threading.Thread(target=of_same_work(log.error), args=("slow",))
    helper.start()
    helper.join()

    assert 'level=error host="attic pi" scan=7 batch=12 msg=slow\n' == said(lines)


def test_after_a_batch(lines: io.StringIO) -> None:
    """What is logged after a batch is not about it."""
    with at_work(7, 12):
        pass
    logging.getLogger("said").warning("idle")

    assert 'level=warning host="attic pi" msg=idle\n' == said(lines)


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
def test_whatever_is_in_it(lines: io.StringIO, text: str, written: str) -> None:
    """No message ends a line early or moves a terminal's cursor."""
    logging.getLogger("said").warning("%s", text)

    assert f'level=warning host="attic pi" msg={written}\n' == said(lines)


def test_a_traceback_is_in_the_line(lines: io.StringIO) -> None:
    """An exception stands in its line, as one value."""
    try:
        int("no")
    except ValueError:
        logging.getLogger("said").exception("failed")
    line = said(lines)

    assert 1 == line.count("\n")
    assert 'msg=failed trace="Traceback (most recent call last):\\n' in line
    assert line.endswith("""ValueError: invalid literal for int() with base 10: 'no'"\n""")
