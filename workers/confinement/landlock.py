"""Landlock: a process gives up the files that it does not need (Linux 5.13, landlock(7)).

What it gives up it cannot have back, nor can anything that it starts.
"""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# System calls, with the same numbers on every architecture that has them.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
# Rights to files, bits as of <linux/landlock.h>: all that each version of the interface knows.
_RIGHTS_OF = {1: 13, 2: 14, 3: 15, 5: 16}
_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_DEVICES = 1 << 15
_EXECUTE = 1
# TCP: to bind and to connect, version 4; abstract sockets and signals to others, version 6.
_NETWORK, _SCOPED = 0b11, 0b11
_NETWORK_VERSION, _SCOPED_VERSION = 4, 6


@cache
def landlock_version() -> int:
    """Return the version of the kernel's interface, 0 where it has none."""
    try:
        return max(0, _call(_CREATE_RULESET, None, 0, _VERSION))
    except OSError:
        return 0


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Have this thread, and what it starts, read and write below these paths only.

    Paths that do not exist are left out. Nothing may be executed, and TCP is closed where the
    kernel can do that. Raises OSError.
    """
    version = landlock_version()
    handled = (1 << _RIGHTS_OF[max(known for known in _RIGHTS_OF if known <= version)]) - 1
    attributes = struct.pack(
        "=QQQ",
        handled,
        _NETWORK if version >= _NETWORK_VERSION else 0,
        _SCOPED if version >= _SCOPED_VERSION else 0,
    )
    # Older kernels take zeros behind what they know.
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in readable:
            _allow(rules, path, _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(rules, path, handled & ~(_EXECUTE | _DEVICES))
        _call(_RESTRICT_SELF, rules, 0, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(opened):  # noqa: PTH112 - a descriptor
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: bytes | int | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(library.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
