"""A file system in userspace with one file, `disk`, of which the kernel caches nothing.

It speaks the protocol of linux/fuse.h, version 7.31, with the kernel itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

# Bytes of the largest request to read or write, and of what stands before its data.
REQUEST, HEADS = 2**17, 4096
LOOKUP, FORGET, GETATTR, OPEN, READ, WRITE, STATFS = 1, 2, 3, 14, 15, 16, 17
RELEASE, FSYNC, FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET = 18, 20, 25, 26, 36, 38, 42
UNANSWERED = {FORGET, INTERRUPT, BATCH_FORGET}
# Inodes; and flags: requests of more than a page, and a file without the kernel's cache.
ROOT, DISK = 1, 2
BIG_WRITES, DIRECT_IO = 1 << 5, 1


class Medium(Protocol):
    """What the file's bytes are read from and written to; an OSError is passed on."""

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes."""

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes."""

    def flush(self) -> None:
        """Make all that was written durable."""


class FuseFile:
    """A mounted file system with a file."""

    def __init__(self, folder: Path, medium: Medium) -> None:
        self.device = os.open("/dev/fuse", os.O_RDWR)
        self._medium = medium
        self._answers = {
            INIT: struct.pack(
                "<IIIIHHIIHHI28x", 7, 31, REQUEST, BIG_WRITES, 12, 9, REQUEST, 1, 0, 0, 0
            ),
            LOOKUP: struct.pack("<QQQQII", DISK, 0, 3600, 3600, 0, 0) + self._attributes(DISK),
            OPEN: struct.pack("<QII", 0, DIRECT_IO, 0),
            STATFS: struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, 512, 255, 512, 0),
            **dict.fromkeys((FLUSH, RELEASE, DESTROY), b""),
        }
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"disk", os.fsencode(folder), b"fuse", 0, options):
            raise OSError(ctypes.get_errno(), f"{folder} cannot be mounted")

    def answer_next(self) -> bool:
        """Answer the kernel's next request; return whether the file system is still mounted."""
        try:
            message = os.read(self.device, REQUEST + HEADS)
        except OSError:
            return False
        _, request, number, inode = struct.unpack_from("<IIQQ", message)
        if request not in UNANSWERED:
            try:
                code, body = 0, self._answer(request, inode, message[40:])
            except OSError as error:
                code, body = -(error.errno or errno.EIO), b""
            with suppress(FileNotFoundError):  # interrupted
                os.write(self.device, struct.pack("<IiQ", 16 + len(body), code, number) + body)
        return True

    def _answer(self, request: int, inode: int, body: bytes) -> bytes:
        if request == FSYNC:
            self._medium.flush()
            return b""
        if request == GETATTR:
            return struct.pack("<QII", 3600, 0, 0) + self._attributes(inode)
        if request in {READ, WRITE}:
            offset, size = struct.unpack_from("<8xQI", body)
            if request == READ:
                return self._medium.read(offset, min(size, self._medium.size - offset))
            self._medium.write(offset, body[40 : 40 + size])
            return struct.pack("<II", size, 0)
        if request not in self._answers:
            raise OSError(errno.ENOSYS, "not needed for a loop device")
        return self._answers[request]

    def _attributes(self, inode: int) -> bytes:
        size, mode = (self._medium.size, stat.S_IFREG) if inode == DISK else (0, stat.S_IFDIR)
        times, owner_and_device = [0] * 6, [0] * 3
        last = [mode | 0o700, 1, *owner_and_device, 4096, 0]
        return struct.pack("<6Q10I", inode, size, size // 512, *times, *last)
