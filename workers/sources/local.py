"""A collection in a folder: files are read from inside the folder, and from nowhere else."""
# ruff: noqa: PTH116 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from storage.paths import shown
from workers.sources.files import MAX_BYTES, OPEN_FLAGS, read_open_file, unreadable
from workers.sources.source import FetchError, SourceUnavailable, is_same_time, outside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.records import BatchImage, Sidecar
    from workers.sources.source import Fetched

# Folders kept open: images come folder by folder, and several workers of one process tree share
# the limit on open files.
_KEPT_FOLDERS = 16

# Never through a link, see `LocalSource`.
_FILE_FLAGS = OPEN_FLAGS | os.O_NOFOLLOW
_FOLDER_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

# The errors that O_NOFOLLOW gives for a link, by system; ENOTDIR also for a file instead of a
# folder.
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})

# Not about this file, and likely to pass.
_TEMPORARY_ERRORS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        # A network mount whose server was restarted or does not answer.
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
# Of these, the errors that a socket or a device without a driver gives, too.
_DEVICE_ERRORS = frozenset({errno.ENODEV, errno.ENXIO})

_NOT_NAMES = frozenset({b"", b".", b".."})


class LocalSource:
    """A collection's root folder, which no path leaves; not for use by two threads at a time.

    Each part of a path is opened from the folder before it without following links, starting from
    the root's own descriptor, so nobody can swap a folder for a link in between. A link is
    resolved on its own, and its target opened the same way if it is inside the root.

    Up to 17 folders stay open, so a disk cannot be unmounted before `close`.
    """

    def __init__(self, path: Path | str, max_bytes: int = MAX_BYTES) -> None:
        """Open the root; raise SourceUnavailable where that is not possible."""
        self.location = Path(path)
        self._max_bytes = max_bytes
        self._real = os.path.realpath(os.fsencode(path))
        try:
            self._root = os.open(self._real, _FOLDER_FLAGS)
        except OSError as error:
            raise SourceUnavailable(
                f"{shown(self._real)} cannot be read ({error.strerror})"
            ) from error
        # Another disk that is mounted there has another one.
        self.identity = _identity(os.fstat(self._root))
        self._folders: dict[bytes, int] = {}

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Read the file at a relative path, see `workers.sources.source.Source.fetch`."""
        with self.open_file(relative) as descriptor:
            return read_open_file(descriptor, expected_size, self._max_bytes)

    def has_times_of(self, images: Iterable[BatchImage]) -> bool:
        """Return whether most of these files have the times that were listed.

        A copy of the folder has others, and so may the same disk on another machine: then times say
        nothing. Raise SourceUnavailable.
        """
        same = []
        for image in images:
            with suppress(FetchError), self.open_file(image.path) as descriptor:
                mtime_s = os.fstat(descriptor).st_mtime_ns // 10**9
                same.append(image.mtime_s is not None and is_same_time(mtime_s, image.mtime_s))
        return any(same) and 2 * sum(same) >= len(same)

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Read a sidecar, see `workers.sources.source.Source.fetch_sidecar`."""
        return self.fetch(sidecar.path(image), sidecar.size_bytes).data

    @contextmanager
    def open_file(self, relative: bytes) -> Iterator[int]:
        """Open the file at a relative path; its descriptor may be of a folder or a device, too.

        Raise what `fetch` does, for OSErrors in the block as well.
        """
        folder, _, name = relative.rpartition(b"/")
        if name in _NOT_NAMES or relative.startswith(b"/") or b"\0" in relative:
            raise outside()
        open_folder = self._folders.get(folder) if folder else self._root
        try:
            descriptor = -1
            if open_folder is not None:
                try:
                    descriptor = os.open(name, _FILE_FLAGS, dir_fd=open_folder)
                except OSError:
                    # The folder may have been replaced since it was opened: open it again.
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
        """Close all folders."""
        for descriptor in (*self._folders.values(), self._root):
            os.close(descriptor)
        self._folders.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, folder: bytes, name: bytes) -> int:
        """Open a file whose folder is not open yet, or that may be a link."""
        try:
            return os.open(name, _FILE_FLAGS, dir_fd=self._folder(folder))
        except OSError as error:
            if error.errno not in _LINK_ERRORS:
                raise
        path = os.path.join(folder, name)  # noqa: PTH118
        folder, _, name = self._resolve(path).rpartition(b"/")
        return os.open(name, _FILE_FLAGS, dir_fd=self._folder(folder))

    def _folder(self, folder: bytes) -> int:
        """Open a folder, and keep its descriptor for the images that follow."""
        if not folder:
            return self._root
        if folder in self._folders:
            return self._folders[folder]
        try:
            descriptor = self._walk(folder)
        except OSError as error:
            if error.errno not in _LINK_ERRORS:
                raise
            descriptor = self._walk(self._resolve(folder))
        if len(self._folders) >= _KEPT_FOLDERS:
            self._forget(next(iter(self._folders)))
        self._folders[folder] = descriptor
        return descriptor

    def _walk(self, folder: bytes) -> int:
        current = os.dup(self._root)
        for part in folder.split(b"/") if folder else ():
            try:
                if part in _NOT_NAMES:
                    raise outside()
                next_folder = os.open(part, _FOLDER_FLAGS, dir_fd=current)
            finally:
                os.close(current)
            current = next_folder
        return current

    def _resolve(self, path: bytes) -> bytes:
        """Return the relative path, without links, that a path with links leads to."""
        base = os.path.join(self._real, b"")  # noqa: PTH118
        if any(part in _NOT_NAMES for part in path.split(b"/")):
            raise outside()
        target = os.path.realpath(base + path, strict=True)
        if not (target + b"/").startswith(base):
            raise outside()
        return target[len(base) :]

    def _forget(self, folder: bytes) -> None:
        descriptor = self._folders.pop(folder, None)
        if descriptor is not None:
            os.close(descriptor)

    def _is_special(self, relative: bytes) -> bool:
        """Check whether a path leads to a socket or a device, which must not stop a batch."""
        try:
            mode = os.stat(relative, dir_fd=self._root).st_mode
        except OSError:
            return False
        return not stat.S_ISREG(mode)

    def _raise_for(self, relative: bytes, error: OSError) -> NoReturn:
        """Raise FetchError for a file that cannot be read, SourceUnavailable for a lost root."""
        name = shown(os.fsencode(self.location))
        try:
            status = os.stat(self.location)
            with os.scandir(self.location) as entries:
                is_empty = next(entries, None) is None
        except OSError as root_error:
            raise SourceUnavailable(f"{name} cannot be read ({root_error.strerror})") from error
        if _identity(status) != self.identity:
            raise SourceUnavailable(f"{name} is not the folder that it was") from error
        if is_empty:
            raise SourceUnavailable(f"{name} is empty; is its disk mounted?") from error
        is_files_own = error.errno in _DEVICE_ERRORS and self._is_special(relative)
        if error.errno in _TEMPORARY_ERRORS and not is_files_own:
            raise SourceUnavailable(f"{name} cannot be read just now ({error.strerror})") from error
        raise unreadable(error) from error


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
