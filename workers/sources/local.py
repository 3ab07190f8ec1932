"""The first stage: the bytes of an image, from inside its collection's root and nowhere else."""
# ruff: noqa: PTH116 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from storage.paths import shown
from storage.records import ErrorKind
from workers.errors import ImageProblem
from workers.images.formats import HEAD_BYTES, TAIL_BYTES, decodable_format, refusal
from workers.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = Limits().max_bytes

# Bytes from which on the first ones are looked at before the rest is read: below, a second read
# costs more than it saves; above, a few processes that hold videos fill a small board's memory.
LARGE_BYTES = 32 * 2**20

# Folders kept open: images come folder by folder, and several workers of one process tree share
# the limit on open files.
_KEPT_FOLDERS = 16

# Never through a link (see `Root`), never waiting for the other end of a FIFO.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

# What O_NOFOLLOW says of a link, by system; ENOTDIR also of a file in a folder's place.
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})

# Not this file's fault, and likely to pass: nothing is to be said of the image.
_WORLD_ERRORS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        # A network mount whose server was restarted or is away.
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOTCONN,
        # A disk that was pulled out.
        errno.ENODEV,
        errno.ENXIO,
    }
)
# Of these, what a socket or a device without a driver says too: see `Root._special`.
_DEVICE_ERRORS = frozenset({errno.ENODEV, errno.ENXIO})

_NO_NAMES = frozenset({b"", b".", b".."})


class FetchError(ImageProblem):
    """The bytes of one image cannot be had."""


class SourceUnavailable(Exception):
    """The collection cannot be read just now (a vanished mount): wait, and open its root anew."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file's bytes and their SHA-256."""

    data: bytes
    digest: bytes


class Root:
    """A collection's root, out of which no path leads; not for two threads at a time.

    Each step of a path is opened from the folder before it without following links, starting from
    the root's own descriptor, so nobody can swap a folder for a link in between. A link is
    resolved by itself, and its target walked the same way, if that lies inside the root.

    Holds up to 17 open folders, so a disk cannot be unmounted before `close`.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.place = path
        self._max_bytes = max_bytes
        self._real = os.path.realpath(os.fsencode(path))
        try:
            self._root = os.open(self._real, _FOLDER_FLAGS)
        except OSError as error:
            raise SourceUnavailable(
                f"{shown(self._real)} cannot be read ({error.strerror})"
            ) from error
        # Of what is mounted there: another disk in its place has another one.
        self.identity = _identity(os.fstat(self._root))
        self._folders: dict[bytes, int] = {}

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """The bytes of the file at a relative path, of the size in bytes that was listed.

        Raises `FetchError` of the kind `outside` for a path that leaves the root, `unreadable`,
        `empty`, `too_large`, or `changed` where the size is another or the file was written to
        meanwhile, and of a large file `not_an_image` or `unsupported`, so that it is not read to
        be refused by `workers.images.decode`; `SourceUnavailable` where the root cannot be read.
        """
        with self.opened(relative) as descriptor:
            return _read(descriptor, expected_size, self._max_bytes)

    @contextmanager
    def opened(self, relative: bytes) -> Iterator[int]:
        """A descriptor of the file at a relative path; raises what `fetch` does, in the block too.

        What it is of (a folder, a device) was not looked at.
        """
        folder, _, name = relative.rpartition(b"/")
        if name in _NO_NAMES or relative.startswith(b"/") or b"\0" in relative:
            raise _outside()
        known = self._folders.get(folder) if folder else self._root
        try:
            descriptor = -1
            if known is not None:
                try:
                    descriptor = os.open(name, _FILE_FLAGS, dir_fd=known)
                except OSError:
                    # The folder may have been replaced since it was opened: look once more.
                    self._forget(folder)
            if descriptor < 0:
                descriptor = self._open(folder, name)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            self._raise_for(relative, error)

    def close(self) -> None:
        """Give all descriptors back."""
        for descriptor in (*self._folders.values(), self._root):
            os.close(descriptor)
        self._folders.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, folder: bytes, name: bytes) -> int:
        """A descriptor of a file whose folder is not open yet, or that may be a link."""
        try:
            return os.open(name, _FILE_FLAGS, dir_fd=self._folder(folder))
        except OSError as error:
            if error.errno not in _LINK_ERRORS:
                raise
        path = os.path.join(folder, name)  # noqa: PTH118
        folder, _, name = self._resolved(path).rpartition(b"/")
        return os.open(name, _FILE_FLAGS, dir_fd=self._folder(folder))

    def _folder(self, folder: bytes) -> int:
        """The descriptor of a folder, kept for the images that follow."""
        if not folder:
            return self._root
        if folder in self._folders:
            return self._folders[folder]
        try:
            descriptor = self._walk(folder)
        except OSError as error:
            if error.errno not in _LINK_ERRORS:
                raise
            descriptor = self._walk(self._resolved(folder))
        if len(self._folders) >= _KEPT_FOLDERS:
            self._forget(next(iter(self._folders)))
        self._folders[folder] = descriptor
        return descriptor

    def _walk(self, folder: bytes) -> int:
        current = os.dup(self._root)
        for part in folder.split(b"/") if folder else ():
            try:
                if part in _NO_NAMES:
                    raise _outside()
                following = os.open(part, _FOLDER_FLAGS, dir_fd=current)
            finally:
                os.close(current)
            current = following
        return current

    def _resolved(self, path: bytes) -> bytes:
        """The relative path without links that a path with some leads to; inside the root."""
        base = os.path.join(self._real, b"")  # noqa: PTH118
        if any(part in _NO_NAMES for part in path.split(b"/")):
            raise _outside()
        target = os.path.realpath(base + path, strict=True)
        if not (target + b"/").startswith(base):
            raise _outside()
        return target[len(base) :]

    def _forget(self, folder: bytes) -> None:
        descriptor = self._folders.pop(folder, None)
        if descriptor is not None:
            os.close(descriptor)

    def _special(self, relative: bytes) -> bool:
        """Whether a path leads to a socket or a device, by which no batch may be held up."""
        try:
            mode = os.stat(relative, dir_fd=self._root).st_mode
        except OSError:
            return False
        return not stat.S_ISREG(mode)

    def _raise_for(self, relative: bytes, error: OSError) -> NoReturn:
        """Tell a file that cannot be read from a root that is gone."""
        name = shown(os.fsencode(self.place))
        try:
            found = os.stat(self.place)
            with os.scandir(self.place) as entries:
                empty = next(entries, None) is None
        except OSError as trouble:
            raise SourceUnavailable(f"{name} cannot be read ({trouble.strerror})") from error
        if _identity(found) != self.identity:
            raise SourceUnavailable(f"{name} is not the folder that it was") from error
        if empty:
            raise SourceUnavailable(f"{name} is empty; is its disk mounted?") from error
        its_own = error.errno in _DEVICE_ERRORS and self._special(relative)
        if error.errno in _WORLD_ERRORS and not its_own:
            raise SourceUnavailable(f"{name} cannot be read just now ({error.strerror})") from error
        reason = error.strerror or str(error)
        raise FetchError(ErrorKind.UNREADABLE, f"cannot be read ({reason})") from error


def open_root(path: Path | str, max_bytes: int = MAX_BYTES) -> Root:
    """The root of a collection, of whose files at most `max_bytes` each are read.

    Raises `SourceUnavailable` where it is not there.
    """
    return Root(Path(path), max_bytes)


def fetch_file(path: Path, max_bytes: int = MAX_BYTES) -> Fetched:
    """The bytes of a file that the user named, so links are followed. Raises `FetchError`."""
    try:
        descriptor = os.open(path, _FILE_FLAGS & ~os.O_NOFOLLOW)
        try:
            return _read(descriptor, None, max_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FetchError(ErrorKind.UNREADABLE, f"cannot be read ({reason})") from error


def _read(descriptor: int, expected_size: int | None, max_bytes: int) -> Fetched:
    before = os.fstat(descriptor)
    size = before.st_size
    if not stat.S_ISREG(before.st_mode):
        what = "a folder" if stat.S_ISDIR(before.st_mode) else "a pipe or a device"
        raise FetchError(ErrorKind.UNREADABLE, f"cannot be read ({what}, not a file)")
    if expected_size is not None and size != expected_size:
        text = f"has {size} bytes now, {expected_size} when it was listed"
        raise FetchError(ErrorKind.CHANGED, text)
    if size > max_bytes:
        raise FetchError(ErrorKind.TOO_LARGE, f"has {size} bytes, more than {max_bytes}")
    if not size:
        raise FetchError(ErrorKind.EMPTY, "has no bytes at all")
    if size > LARGE_BYTES:
        _require_image(descriptor, size)
    # One byte more than there should be: a file that has grown tells itself.
    data = os.read(descriptor, size + 1)
    while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
        data += more
    after = os.fstat(descriptor)
    if len(data) != size or after.st_size != size or after.st_mtime_ns != before.st_mtime_ns:
        raise FetchError(ErrorKind.CHANGED, "was written to while it was read")
    return Fetched(data, sha256(data).digest())


def _require_image(descriptor: int, size: int) -> None:
    """Refuse, by its two ends, a file that would be refused when it is decoded."""
    ends = os.pread(descriptor, HEAD_BYTES, 0)
    if decodable_format(ends) is None:
        ends += os.pread(descriptor, TAIL_BYTES, size - TAIL_BYTES)
        raise FetchError(*refusal(ends))


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _outside() -> FetchError:
    return FetchError(ErrorKind.OUTSIDE, "its path leaves the collection")
