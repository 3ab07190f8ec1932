"""Keep native libraries from printing to stderr; only briefly, as it affects the whole process."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import contextmanager
from functools import cache
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two threads at once could each restore the other's redirected stderr.
_lock = threading.Lock()
_STDERR = 2


@contextmanager
def without_stderr() -> Iterator[None]:
    """Discard what any thread writes to the process's stderr within the context.

    For libtiff, which prints warnings about bad files that Pillow cannot turn off.
    """
    with _stderr_into(null_device()):
        yield


@cache
def null_device() -> int:
    """Return the null device, opened once: a confined process cannot open it for writing."""
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


@contextmanager
def without_info_lines() -> Iterator[None]:
    """Discard lines that start with "INFO" from stderr within the context, print others at its end.

    For LiteRT, which announces its XNNPACK delegate; Python code cannot turn that off.
    """
    with file_in_memory() as captured:
        try:
            with _stderr_into(captured.fileno()):
                yield
        finally:
            captured.seek(0)
            for line in captured:
                if not line.startswith(b"INFO"):
                    os.write(_STDERR, line)


def file_in_memory() -> IO[bytes]:
    """Return a file without a name, in memory where the system can: no folder may be writable."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


@contextmanager
def _stderr_into(descriptor: int) -> Iterator[None]:
    """Redirect stderr within the context; do nothing if the process has no stderr."""
    with _lock:
        try:
            original = os.dup(_STDERR)
        except OSError:
            yield
            return
        try:
            os.dup2(descriptor, _STDERR)
            yield
        finally:
            os.dup2(original, _STDERR)
            os.close(original)
