"""Cores and memory that a worker may use, within the limits of its container or service."""

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
# Private memory of a process that has judged images with all built-in detectors: 122 to 143 MB
# (`benchmarks/process_memory.py`).
PROCESS_MB = 140
# Peak memory to decode the largest accepted image, a PNG of 67 megapixels.
IMAGE_MB = 355
# The content of a cgroup's file without a limit.
UNLIMITED = "max"


def usable_cores() -> int:
    """Return the number of cores that this process may use; at least one."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    for group in _cgroups():
        with contextlib.suppress(OSError, ValueError):
            quota, period = (group / "cpu.max").read_text().split()
            if quota != UNLIMITED:
                cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def free_mb() -> int | None:
    """Return the megabytes that this process may still use; None if the system does not tell."""
    free = [size for group in _cgroups() if (size := _free_bytes(group)) is not None]
    if available := meminfo().get("MemAvailable"):
        free.append(available)
    return max(0, min(free)) // MEGABYTE if free else None


def max_processes() -> int:
    """Return one process per core, or as many as fit into memory next to one large image."""
    free = free_mb()
    if free is None:
        return usable_cores()
    return max(1, min(usable_cores(), (free - IMAGE_MB) // PROCESS_MB))


def private_mb() -> int | None:
    """Return the private memory of this process in MB; None if the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (PROC / "self" / "smaps_rollup").read_text().splitlines()
        private = [line.split() for line in lines if line.startswith("Private_")]
        return sum(int(words[1]) for words in private) * 1024 // MEGABYTE
    return None


def peak_mb() -> int | None:
    """Return the peak memory of this process in MB; None if the system does not tell.

    Not by `getrusage`, which starts with the peak of the parent process.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (PROC / "self" / "status").read_text().splitlines()
        (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return int(peak) * 1024 // MEGABYTE
    return None


def meminfo() -> dict[str, int]:
    """Return the fields of /proc/meminfo in bytes; empty if the system has none."""
    sizes = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (PROC / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            sizes[name] = int(value.split()[0]) * 1024
    return sizes


def _cgroups() -> Iterator[Path]:
    """Yield the control groups (version 2) of this process, from the innermost outwards."""
    with contextlib.suppress(OSError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                top = SYS / "fs" / "cgroup"
                group = top / path.lstrip("/")
                yield from (
                    group,
                    *(parent for parent in group.parents if parent.is_relative_to(top)),
                )


def _free_bytes(group: Path) -> int | None:
    """Return a group's memory limit minus its use, not counting evictable cache."""
    with contextlib.suppress(OSError, ValueError):
        limit = (group / "memory.max").read_text().strip()
        if limit != UNLIMITED:
            used = int((group / "memory.current").read_text())
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            return int(limit) - used + int(stat.get("inactive_file", 0))
    return None
