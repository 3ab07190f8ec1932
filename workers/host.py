"""Which machine this is: an id kept on its disk, for two boards may have the same name."""

from __future__ import annotations

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
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True)
    made = uuid.uuid4().hex
    try:
        # Two workers that start at once: the one that makes the file wins, both read it.
        with file.open("x", encoding="ascii") as handle:
            handle.write(made + "\n")
    except FileExistsError:
        return _host_id(file)
    return made
