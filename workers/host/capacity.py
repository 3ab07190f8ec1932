"""What a machine has for a worker: cores and memory, as its container or service is given them."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")
SYS = Path("/sys")
MEGABYTE = 10**6
# Megabytes that a process has to itself once all shipped detectors are loaded and it has judged
# pictures with each of them: 122 to 143 were measured (`benchmarks/process_memory.py`).
PROCESS_MB = 140
# What the largest picture that is decoded takes for a moment: 330 as a PNG of 64 megapixels.
PICTURE_MB = 330
# Without a limit a cgroup's file has this word.
UNLIMITED = "max"


def cores() -> int:
    """Cores that this process may use; at least one."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _cgroups():
        with contextlib.suppress(OSError, ValueError):
            quota, period = (group / "cpu.max").read_text().split()
            if quota != UNLIMITED:
                most = min(most, math.ceil(int(quota) / int(period)))
    return max(1, most)


def free_mb() -> int | None:
    """Megabytes that this process may still take; None where the system does not tell."""
    found = [room for group in _cgroups() if (room := _room(group)) is not None]
    if available := meminfo().get("MemAvailable"):
        found.append(available)
    return max(0, min(found)) // MEGABYTE if found else None


def processes_that_fit() -> int:
    """A process a core, as long as there is memory for all, and for one large picture."""
    free = free_mb()
    if free is None:
        return cores()
    return max(1, min(cores(), (free - PICTURE_MB) // PROCESS_MB))


def own_mb() -> int | None:
    """Megabytes that this process shares with no other; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (PROC / "self" / "smaps_rollup").read_text().splitlines()
        private = [line.split() for line in lines if line.startswith("Private_")]
        return sum(int(words[1]) for words in private) * 1024 // MEGABYTE
    return None


def peak_mb() -> int | None:
    """Megabytes that this process has taken at most; None where the system does not tell.

    Not `getrusage`, which begins with what the process that started this one had.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (PROC / "self" / "status").read_text().splitlines()
        (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return int(peak) * 1024 // MEGABYTE
    return None


def meminfo() -> dict[str, int]:
    """What the system says of its memory: bytes by name."""
    found = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (PROC / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0]) * 1024
    return found


def _cgroups() -> Iterator[Path]:
    """The control groups (version 2) that this process is in, from its own up to the outermost."""
    with contextlib.suppress(OSError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                top = SYS / "fs" / "cgroup"
                group = top / path.lstrip("/")
                yield from (group, *(one for one in group.parents if one.is_relative_to(top)))


def _room(group: Path) -> int | None:
    """Bytes between a group's memory limit and what it uses, less files that can be dropped."""
    with contextlib.suppress(OSError, ValueError):
        limit = (group / "memory.max").read_text().strip()
        if limit != UNLIMITED:
            used = int((group / "memory.current").read_text())
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            return int(limit) - used + int(stat.get("inactive_file", 0))
    return None
