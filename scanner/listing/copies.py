"""The files of a listing that are copies of earlier ones."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from scanner.listing.scratch import scratch_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

    _Digest = Callable[[bytes, int, int], bytes]

# Bytes at each end of two files of one size that are compared before the whole files are.
_END_BYTES = 64 * 2**10


class _Step(NamedTuple):
    """How to find the first of the files that agree so far, and to note its next digest."""

    find: str
    update: str


_OF_SIZE = _Step(
    "SELECT rowid, path, size, mtime_ns, ends FROM known WHERE size = ? ORDER BY ends LIMIT 1",
    "UPDATE known SET ends = ? WHERE rowid = ?",
)
_OF_ENDS = _Step(
    "SELECT rowid, path, size, mtime_ns, whole FROM known WHERE size = ? AND ends = ?"
    " ORDER BY whole LIMIT 1",
    "UPDATE known SET whole = ? WHERE rowid = ?",
)
_SAME = "SELECT 1 FROM known WHERE size = ? AND ends = ? AND whole = ?"


class Digests:
    """Digests of whole files by path, size and time of change: kept between looks at a folder."""

    def __init__(self) -> None:
        self._kept = scratch_database(
            self,
            "CREATE TABLE kept (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, digest BLOB)"
            " WITHOUT ROWID",
        )

    def take(self, root: bytes, path: bytes, size: int, mtime_ns: int) -> bytes:
        """Return the digest of a file, read only if it is not kept; empty if it is not readable."""
        row = self._kept.execute(
            "SELECT digest FROM kept WHERE path = ? AND size = ? AND mtime_ns = ?",
            (path, size, mtime_ns),
        ).fetchone()
        if row is not None:
            return bytes(row[0])
        digest = _read(root + path, _digest_whole)
        self._kept.execute(
            "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", (path, size, mtime_ns, digest)
        )
        return digest


class Copies:
    """The files that were listed, to know their copies; on disk, not in memory.

    Files are copies that have the same size and the same bytes. Those of files whose size no
    other has are not read, and only both ends of those that differ there.
    """

    def __init__(self, root: bytes, digests: Digests | None = None) -> None:
        self._root = root
        self._digests = digests or Digests()
        self._known = scratch_database(
            self,
            "CREATE TABLE known (size INTEGER, ends BLOB, whole BLOB, path BLOB, mtime_ns INTEGER)",
            "CREATE INDEX by_size ON known (size, ends, whole)",
        )

    def add(self, path: bytes, size: int, mtime_ns: int) -> bool:
        """Return whether a file is a copy of an earlier one; otherwise keep it in mind."""
        if not size:
            return False
        ends = whole = None
        if self._complete(_OF_SIZE, (size,), self._ends):
            ends = self._ends(path, size, mtime_ns)
            if ends and self._complete(_OF_ENDS, (size, ends), self._whole):
                whole = self._whole(path, size, mtime_ns)
                if whole and self._known.execute(_SAME, (size, ends, whole)).fetchone():
                    return True
        row = (size, ends, whole, path, mtime_ns)
        self._known.execute("INSERT INTO known VALUES (?, ?, ?, ?, ?)", row)
        return False

    def _complete(self, step: _Step, values: tuple[object, ...], digest: _Digest) -> bool:
        """Return whether files agree so far; the first alone may lack the next digest."""
        row = self._known.execute(step.find, values).fetchone()
        if row is None:
            return False
        number, path, size, mtime_ns, known = row
        if known is None:
            self._known.execute(step.update, (digest(bytes(path), size, mtime_ns), number))
        return True

    def _ends(self, path: bytes, size: int, _mtime_ns: int) -> bytes:
        return _read(self._root + path, lambda file: _digest_ends(file, size))

    def _whole(self, path: bytes, size: int, mtime_ns: int) -> bytes:
        if size <= 2 * _END_BYTES:
            return self._ends(path, size, mtime_ns)
        return self._digests.take(self._root, path, size, mtime_ns)


def _read(path: bytes, digest: Callable[[BufferedReader], bytes]) -> bytes:
    """Return a digest of a file; empty where it cannot be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 -- paths are bytes here
            return digest(file)
    except OSError:
        return b""


def _digest_ends(file: BufferedReader, size: int) -> bytes:
    head = file.read(_END_BYTES)
    file.seek(max(len(head), size - _END_BYTES))
    return hashlib.sha256(head + file.read(_END_BYTES)).digest()


def _digest_whole(file: BufferedReader) -> bytes:
    return hashlib.file_digest(file, "sha256").digest()
