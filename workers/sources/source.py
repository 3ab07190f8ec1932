"""Sources of image files: what each kind of them provides, checks and raises."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from storage.errors import ScannerError
from storage.records import ErrorKind
from workers.errors import ImageProblem
from workers.images.formats import HEAD_BYTES, TAIL_BYTES, is_worth_reading, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.records import Sidecar
    from workers.sources.location import SourceLocation

# Of larger files the format is checked before the rest is read. Below this size a second read costs
# more than it saves; above it, a few processes that hold videos fill a small board's memory.
LARGE_BYTES = 32 * 2**20
# FAT keeps even seconds, and shares round: the same file may have another time after a remount.
TIME_ACCURACY_S = 2


class FetchError(ImageProblem):
    """The bytes of one image cannot be read."""


class SourceUnavailable(ScannerError):
    """The collection cannot be read now (a lost mount): wait, then open its source again."""


class SourceMoved(SourceUnavailable):
    """The location has other files than the collection had: they were moved, or it was replaced."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file's bytes, their SHA-256, and where it is known when it was written, in seconds."""

    data: bytes
    digest: bytes
    mtime_s: int | None = None


class Source(Protocol):
    """An opened location; not for use by two threads at a time."""

    @property
    def location(self) -> SourceLocation:
        """Return what was opened."""

    @property
    def identity(self) -> object:
        """Return a value that stays equal as long as the same storage is there."""

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Read the file at a relative path, which was listed with that size in bytes.

        Raise FetchError for this file: `outside` for a path that leaves the collection,
        `unreadable`, `empty`, `too_large`, `changed` for another size or a write during the read,
        and for a large file `not_an_image` or `unsupported`, as decoding would. Raise
        SourceUnavailable where the source itself cannot be read.
        """

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Read a sidecar of the image at a relative path; raise what `fetch` does."""

    def close(self) -> None:
        """Close all files and connections."""


def outside() -> FetchError:
    """Return the error for a path that leaves its collection."""
    return FetchError(ErrorKind.OUTSIDE, "its path leaves the collection")


def require_size(size: int, expected_size: int | None, max_bytes: int) -> None:
    """Raise FetchError for a file that was listed with another size, or is too large."""
    if expected_size is not None and size != expected_size:
        text = f"has {size} bytes now, {expected_size} when it was listed"
        raise FetchError(ErrorKind.CHANGED, text)
    if size > max_bytes:
        raise FetchError(ErrorKind.TOO_LARGE, f"has {size} bytes, more than {max_bytes}")


def require_time(mtime_s: int | None, listed_mtime_s: int | None) -> None:
    """Raise FetchError for a file that was written at another time than when it was listed."""
    if mtime_s is None or listed_mtime_s is None or is_same_time(mtime_s, listed_mtime_s):
        return
    raise FetchError(ErrorKind.CHANGED, "was written again after it was listed")


def is_same_time(mtime_s: int, listed_mtime_s: int) -> bool:
    """Return whether two times are those of one write, to the accuracy of file systems."""
    return abs(mtime_s - listed_mtime_s) <= TIME_ACCURACY_S


def require_image(size: int, read: Callable[[int, int], bytes]) -> None:
    """Raise FetchError for a large file that would be refused when it is decoded.

    `read` takes an offset and a number of bytes; only the two ends of the file are read.
    """
    if size <= LARGE_BYTES:
        return
    ends = read(0, HEAD_BYTES)
    if not is_worth_reading(ends):
        raise FetchError(*refusal(ends + read(size - TAIL_BYTES, TAIL_BYTES)))


def to_fetched(data: bytes, mtime_s: int | None = None) -> Fetched:
    """Return a file's bytes with their digest; raise FetchError where there are none."""
    if not data:
        raise FetchError(ErrorKind.EMPTY, "is empty (0 bytes)")
    return Fetched(data, sha256(data).digest(), mtime_s)
