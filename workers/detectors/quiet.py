"""Keep a native library's chatter off stderr, and nothing else."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STDERR = 2


@contextmanager
def without_info_lines() -> Iterator[None]:
    """Drop the lines beginning with "INFO" that native code writes to stderr meanwhile.

    LiteRT announces its XNNPACK delegate so, and offers Python no way to say no. All other lines
    come out at the end. Redirects the whole process, so it is for moments such as loading a model.
    """
    try:
        kept = os.dup(STDERR)
    except OSError:  # started without stderr: nothing to keep clean
        yield
        return
    try:
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), STDERR)
            try:
                yield
            finally:
                os.dup2(kept, STDERR)
                caught.seek(0)
                for line in caught:
                    if not line.startswith(b"INFO"):
                        os.write(STDERR, line)
    finally:
        os.close(kept)
