"""Which machine this is: an id kept on its disk, for two boards may have the same name."""

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

from storage.writes.results import Host
from workers.host.health import health, made_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# An id, whoever wrote it: ours are 32 digits. What else the file holds is no id.
_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
# Seconds between two looks at a machine's health: each costs its store a commit.
LOOK_SECONDS = 30.0
# Bytes that are read of the file, which is more than an id and its line end.
_MOST_BYTES = 256


def this_host(state_dir: Path, label: str, facts: Mapping[str, Any] | None = None) -> Host:
    """This machine, with its id read from the state folder, or made and written there.

    `facts` are what else is to be known of it.
    """
    return Host(
        host_id=_host_id(state_dir / "host-id"),
        label=label,
        arch=platform.machine(),
        info={
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "runtime": _runtime(),
            **made_of(),
            **(facts or {}),
        },
    )


class Vitals:
    """A host as it is: what it is made of, and its health, looked at now and then."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._seen = host
        self._at = 0.0

    def is_due(self) -> bool:
        """Whether the last look was a while ago."""
        return time.monotonic() - self._at >= LOOK_SECONDS

    def now(self) -> Host:
        """The host, its health not much older than LOOK_SECONDS."""
        if self.is_due():
            self._at = time.monotonic()
            self._seen = replace(self._host, info={**self._host.info, **health()})
        return self._seen


def _runtime() -> str:
    """What runs the nets here."""
    try:
        return f"LiteRT {importlib.metadata.version('ai-edge-litert')}"
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _host_id(file: Path) -> str:
    """The id in the file, or a new one where it has none; OSError where it cannot be written."""
    with contextlib.suppress(FileNotFoundError), file.open("rb") as handle:
        if known := _known(handle):
            return known
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as handle:
        # Processes that start at once: the first one writes, the others wait and read.
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        known = _known(handle)
        if not known:
            known = uuid.uuid4().hex
            handle.truncate(0)
            handle.write(known.encode() + b"\n")
    return known


def _known(handle: BinaryIO) -> str | None:
    """The id in the file; None where it holds none, as after a power cut that left it zeros."""
    content = handle.read(_MOST_BYTES).strip()
    return content.decode() if _ID.fullmatch(content) else None
