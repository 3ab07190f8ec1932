"""Which machine this is: an id kept on its disk, for two boards may have the same name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import uuid
from typing import TYPE_CHECKING

from storage.results import Host

if TYPE_CHECKING:
    from pathlib import Path


def this_host(state_dir: Path, label: str) -> Host:
    """This machine, with its id read from the state folder, or made and written there."""
    return Host(
        host_id=_host_id(state_dir / "host-id"),
        label=label,
        arch=platform.machine(),
        info={
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
        },
    )


def _host_id(file: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        if known := file.read_text(encoding="ascii").strip():
            return known
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="ascii") as handle:
        # Processes that start at once: the first one writes, the others wait and read.
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        known = handle.read().strip()
        if not known:
            known = uuid.uuid4().hex
            handle.write(known + "\n")
    return known
