"""Write a file completely or not at all: a full disk leaves no half of it."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = 0o600

# Folders of links to what a process has open (/dev/stdout, /proc/self/fd/1), which are not paths.
_PROCESS_FOLDERS = (Path("/dev"), Path("/proc"))


@contextmanager
def atomic_write(file: Path, mode: int = PRIVATE, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Replace a file's content at the end of the context by what was written in it.

    After an error the file is unchanged. A write that is not `durable` may be lost in a power cut.
    Of a symbolic link, the target is replaced. A device, a pipe or an open file (/dev/stdout) is
    written to directly. Raise OSError.
    """
    target = _target(file)
    if target is None:
        with _open_directly(file) as output:
            yield output
        return
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as output:
            yield output
            output.flush()
            if durable:
                os.fsync(descriptor)
            os.fchmod(descriptor, mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _target(file: Path) -> Path | None:
    """Return the path to replace, with links followed; None for what must not be replaced."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(file.stat().st_mode):
            return None
    while file.is_symlink():
        folder = Path(os.path.realpath(file.parent))
        if folder == _PROCESS_FOLDERS[0] or _PROCESS_FOLDERS[1] in folder.parents:
            return None
        _refuse_planted(file, folder)
        file = folder / file.readlink()
    return file


def _refuse_planted(link: Path, folder: Path) -> None:
    """Refuse a link of another user in a folder like /tmp, as Linux does when it opens one."""
    shared = folder.stat()
    is_public = shared.st_mode & stat.S_ISVTX and shared.st_mode & stat.S_IWOTH
    if is_public and link.lstat().st_uid not in {os.geteuid(), shared.st_uid}:
        raise PermissionError(errno.EACCES, "a link of another user", str(link))


def _open_directly(file: Path) -> BinaryIO:
    """Open what is not a regular file, or one that a process has open: that is appended to."""
    append = os.O_APPEND if file.is_file() else 0
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_NOCTTY | append), "wb")
