"""Keeping native libraries from printing."""

from __future__ import annotations

import os
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
    still. Where there is no stderr, nothing happens.
    """
    with _lock:
        try:
            kept = os.dup(_STDERR)
        except OSError:
            yield
            return
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, _STDERR)
            os.close(null)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
