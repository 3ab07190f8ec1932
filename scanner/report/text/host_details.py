"""Hardware and health of a worker's machine, in words; `info` is what the machine reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.text import labels
from scanner.report.text.tables import safe
from storage.reads.progress import number_of
from workers.host.health import decode_throttled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def hardware(info: Mapping[str, Any]) -> str:
    """Return board or processor, cores, memory, runtime and processes, as far as known."""
    return ", ".join(_hardware(info))


def health(info: Mapping[str, Any]) -> str:
    """Return load, memory, temperature and throttling, as far as known."""
    return ", ".join(_health(info))


def _hardware(info: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(model := info.get("model"), str):
        yield safe(model)
    if cores := number_of(info, "cores"):
        yield labels.count(round(cores), "core", "cores")
    if memory := number_of(info, "memory_mb"):
        yield f"{memory:,.0f} MB"
    if isinstance(runtime := info.get("runtime"), str):
        yield safe(runtime)
    if processes := number_of(info, "processes"):
        threads = number_of(info, "threads") or 1
        each = f" of {labels.count(round(threads), 'thread', 'threads')}"
        yield labels.count(round(processes), "process", "processes") + each


def _health(info: Mapping[str, Any]) -> Iterator[str]:
    if (load := number_of(info, "load")) is not None:
        yield f"load {load:.2f} per core"
    if (size := number_of(info, "process_mb")) is not None:
        yield f"{size:,.0f} MB per process"
    if (free := number_of(info, "free_mb")) is not None:
        yield f"{free:,.0f} MB free"
    if (degrees := number_of(info, "temperature_c")) is not None:
        yield f"{degrees:.1f} °C"
    bits = info.get("throttled")
    if isinstance(bits, str):
        now, before = decode_throttled(bits)
        if now:
            yield f"slowed down: {', '.join(now)}"
        elif before:
            yield f"slowed down since boot: {', '.join(before)}"
        else:
            yield "not throttled"
