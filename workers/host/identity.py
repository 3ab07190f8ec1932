"""The identity of this machine: an id on its disk, since two machines may have the same name."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import platform
import re
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from storage.private import make_private_folder, open_private
from storage.writes.results import Host
from workers.host.health import hardware, health

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Scanner writes 32 hex digits; anything else of this form is accepted as an id too.
_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
FILE_NAME = "host-id"
# Between two checks of the health: each costs the store a commit.
HEALTH_SECONDS = 30.0
# More than an id and its line end.
_MAX_BYTES = 256


def this_host(state_dir: Path, label: str, facts: Mapping[str, Any] | None = None) -> Host:
    """Return this machine, with `facts` added to what is known about it.

    Reads its id from the state folder, or creates it there. Raises OSError.
    """
    return Host(
        host_id=_host_id(state_dir / FILE_NAME),
        label=label,
        arch=platform.machine(),
        info={
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "runtime": _runtime(),
            **hardware(),
            **(facts or {}),
        },
    )


class HostStatus:
    """A host with its health, which is checked now and then."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._current = host
        self._checked_at = 0.0

    def is_due(self) -> bool:
        """Return whether the next check is due."""
        return time.monotonic() - self._checked_at >= HEALTH_SECONDS

    def current(self) -> Host:
        """Return the host with its health, at most HEALTH_SECONDS old."""
        if self.is_due():
            self._checked_at = time.monotonic()
            self._current = replace(self._host, info={**self._host.info, **health()})
        return self._current


def _runtime() -> str:
    """Return the name and version of the model runtime."""
    try:
        return f"LiteRT {importlib.metadata.version('ai-edge-litert')}"
    except importlib.metadata.PackageNotFoundError:
        return "none"


def known_host_id(state_dir: Path) -> str:
    """Return this machine's id; empty where it has none yet."""
    try:
        with (state_dir / FILE_NAME).open("rb") as handle:
            return _read_id(handle) or ""
    except OSError:
        return ""


def _host_id(file: Path) -> str:
    """Return the id in the file; write a new one if there is none. Raises OSError."""
    with contextlib.suppress(FileNotFoundError), file.open("rb") as handle:
        if host_id := _read_id(handle):
            return host_id
    make_private_folder(file.parent)
    with open_private(file, "a+b") as handle:
        # Of processes that start together, the first one writes; the others wait and read.
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        host_id = _read_id(handle)
        if not host_id:
            host_id = uuid.uuid4().hex
            handle.truncate(0)
            handle.write(host_id.encode() + b"\n")
    return host_id


def _read_id(handle: BinaryIO) -> str | None:
    """Return the id in the file; None if it has none, as after a power cut that left it zeros."""
    content = handle.read(_MAX_BYTES).strip()
    return content.decode() if _ID.fullmatch(content) else None
