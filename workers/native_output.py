"""Keeping native libraries from printing; for moments, since the whole process is redirected."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two threads in here at once could put back each other's silence.
_lock = threading.Lock()
_STDERR = 2


@contextmanager
def without_stderr() -> Iterator[None]:
    """Nothing that is written to the process's stderr meanwhile comes out, by any thread.

    For libtiff, which writes its remarks on bad files there and which Pillow gives no way to
    still.
    """
    with open(os.devnull, "wb") as null, _stderr_into(null.fileno()):  # noqa: PTH123 - no path of ours
        yield


@contextmanager
def without_info_lines() -> Iterator[None]:
    """Drop the lines beginning with "INFO" that native code writes to stderr meanwhile.

    LiteRT announces its XNNPACK delegate so, and offers Python no way to say no. All other lines
    come out at the end.
    """
    with tempfile.TemporaryFile() as caught:
        try:
            with _stderr_into(caught.fileno()):
                yield
        finally:
            caught.seek(0)
            for line in caught:
                if not line.startswith(b"INFO"):
                    os.write(_STDERR, line)


@contextmanager
def _stderr_into(descriptor: int) -> Iterator[None]:
    """What is written to stderr goes elsewhere; where there is no stderr, nothing happens."""
    with _lock:
        try:
            kept = os.dup(_STDERR)
        except OSError:
            yield
            return
        try:
            os.dup2(descriptor, _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
