"""Write a file completely or not at all: a full disk leaves no half of it."""

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
def atomic_write(file: Path, mode: int = PRIVATE, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Replace a file's content at the end of the context by what was written in it.

    After an error the file is unchanged. A write that is not `durable` may be lost in a power cut.
    Raise OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as output:
            yield output
            output.flush()
            if durable:
                os.fsync(descriptor)
            os.fchmod(descriptor, mode)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
