"""Files that are there as a whole, or as they were before: a full disk leaves no half of one."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = 0o600


@contextmanager
def replaced(file: Path, mode: int = PRIVATE, *, durable: bool = True) -> Iterator[BinaryIO]:
    """What is written becomes the file's content at the end of the context, at once.

    Where anything goes wrong the file is as it was, and nothing else is left. What is not `durable`
    may be lost in a power cut. Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as made:
            yield made
            made.flush()
            if durable:
                os.fsync(descriptor)
            os.fchmod(descriptor, mode)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
