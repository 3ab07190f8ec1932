"""Sorting more names than should be held in memory."""

from __future__ import annotations

import heapq
import os
import tempfile
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Names sorted in memory at a time, some 1 MB of them.
RUN_LENGTH = 10_000

# Bytes read at a time from each sorted run: a million names are 100 runs, so 400 kB.
_BLOCK_BYTES = 4096


def in_order(names: Iterable[bytes], run_length: int = RUN_LENGTH) -> Iterator[bytes]:
    """The names sorted, in memory that does not grow with their number (but for 10 kB a run).

    Up to `run_length` names stay in memory; more go, sorted run by run, to one temporary file and
    are merged from there. No name may hold a `/`, which no file's name does: it ends each name in
    that file. Raises `OSError` where the temporary file cannot be written.
    """
    source = iter(names)
    run = sorted(islice(source, run_length))
    after = next(source, None)
    if after is None:
        yield from run
        return
    with tempfile.TemporaryFile(prefix="scanner-walk-") as file:
        ends = [file.write(b"".join(name + b"/" for name in run))]
        source = chain((after,), source)
        while run := sorted(islice(source, run_length)):
            ends.append(ends[-1] + file.write(b"".join(name + b"/" for name in run)))
        file.flush()
        starts = [0, *ends[:-1]]
        yield from heapq.merge(
            *(_run(file.fileno(), start, end) for start, end in zip(starts, ends, strict=True))
        )


def _run(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """The names of one run, read block by block (one file for all runs: descriptors are few)."""
    rest = b""
    while start < end:
        block = os.pread(descriptor, min(_BLOCK_BYTES, end - start), start)
        if not block:
            raise OSError("the temporary file of a walk was cut short")
        start += len(block)
        *whole, rest = (rest + block).split(b"/")
        yield from whole
