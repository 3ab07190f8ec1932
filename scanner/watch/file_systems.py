"""Which file systems tell of changes: those of this machine do, network mounts do not."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOUNTS = Path("/proc/self/mountinfo")
# Changes that other machines make are not told.
NETWORK = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs"),
    *("lustre", "nfs", "nfs4", "ocfs2", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs"),
)
# As sshfs and rclone: what they tell differs.
FUSE = "fuse"
# Octal escapes of blanks and backslashes.
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def silent_file_system(root: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of a file system in a folder that does not tell of all changes.

    Empty where all do, or where the system does not say which it has.
    """
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return ""
    types = {kind for kind in _types_of(os.fsencode(root), lines) if _is_silent(kind)}
    return min(types, default="")


def _is_silent(kind: str) -> bool:
    return kind in NETWORK or kind.split(".", maxsplit=1)[0] == FUSE


def _types_of(root: bytes, lines: Iterable[bytes]) -> list[str]:
    """Return the types of the file system that a folder is on, and of those mounted below it."""
    on, below = (-1, ""), []
    for line in lines:
        fields, _, rest = line.partition(b" - ")
        point = _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), fields.split()[4])
        kind = rest.split()[0].decode()
        start = point.rstrip(b"/") + b"/"
        # Of several mounts on one point the last is the one that is seen.
        if (root + b"/").startswith(start) and len(start) >= on[0]:
            on = (len(start), kind)
        elif start.startswith(root.rstrip(b"/") + b"/"):
            below.append(kind)
    return [on[1], *below]
