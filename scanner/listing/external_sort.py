"""Sort more file names than fit in memory."""

from __future__ import annotations

import heapq
import os
import tempfile
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Names sorted in memory at a time, about 1 MB of them.
RUN_LENGTH = 10_000

# Bytes read at a time from each sorted run: a million names are 100 runs, so 400 kB.
_BLOCK_BYTES = 4096


def sort_names(names: Iterable[bytes], run_length: int = RUN_LENGTH) -> Iterator[bytes]:
    """Yield file names sorted, in memory that grows by only 10 kB per `run_length` names.

    Up to `run_length` names are sorted in memory. More are written to a temporary file in sorted
    runs, each name ended by a slash, and merged. Raise OSError if that file cannot be written.
    """
    source = iter(names)
    run = sorted(islice(source, run_length))
    following = next(source, None)
    if following is None:
        yield from run
        return
    source = chain((following,), source)
    with tempfile.TemporaryFile(prefix="scanner-walk-") as file:
        bounds = [0]
        while run:
            bounds.append(bounds[-1] + file.write(b"".join(name + b"/" for name in run)))
            run = sorted(islice(source, run_length))
        file.flush()
        descriptor = file.fileno()
        yield from heapq.merge(
            *(_read_run(descriptor, start, end) for start, end in pairwise(bounds))
        )


def _read_run(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the names of one run, read block by block.

    All runs share one file, because file descriptors are limited.
    """
    partial_name = b""
    while start < end:
        block = os.pread(descriptor, min(_BLOCK_BYTES, end - start), start)
        if not block:
            raise OSError("the temporary file of a walk was truncated")
        start += len(block)
        *names, partial_name = (partial_name + block).split(b"/")
        yield from names
