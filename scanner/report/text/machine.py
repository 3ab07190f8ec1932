"""What a machine is made of and how it was when it last said so, in words; `info` is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.text import labels
from scanner.report.text.grid import safe
from storage.reads.health import number_of
from workers.host.health import throttling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def made_of(info: Mapping[str, Any]) -> str:
    """Board or processor, cores, memory, and what runs the nets; what is not known is left out."""
    return ", ".join(_made_of(info))


def how_it_was(info: Mapping[str, Any]) -> str:
    """Load, memory, temperature and throttling; what is not known is left out."""
    return ", ".join(_how_it_was(info))


def _made_of(info: Mapping[str, Any]) -> Iterator[str]:
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
        of = f" of {labels.count(round(threads), 'thread', 'threads')}"
        yield labels.count(round(processes), "process", "processes") + of


def _how_it_was(info: Mapping[str, Any]) -> Iterator[str]:
    if (load := number_of(info, "load")) is not None:
        yield f"load {load:.2f} a core"
    if (size := number_of(info, "process_mb")) is not None:
        yield f"{size:,.0f} MB a process"
    if (free := number_of(info, "free_mb")) is not None:
        yield f"{free:,.0f} MB free"
    if (degrees := number_of(info, "temperature_c")) is not None:
        yield f"{degrees:.1f} °C"
    bits = info.get("throttled")
    if isinstance(bits, str):
        now, before = throttling(bits)
        if now:
            yield f"slowed down: {', '.join(now)}"
        elif before:
            yield f"slowed down since it was started: {', '.join(before)}"
        else:
            yield "not throttled"
