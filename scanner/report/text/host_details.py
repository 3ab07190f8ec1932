"""Hardware and health of a worker's machine, in words; `info` is what the machine reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.language import gettext
from scanner.report.text import labels
from scanner.report.text.tables import safe
from storage.reads.progress import number_of
from workers.host.health import decode_throttled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def hardware(info: Mapping[str, Any]) -> str:
    """Return board or processor, cores, memory, runtime and processes, as far as known."""
    return gettext(", ").join(_hardware(info))


def health(info: Mapping[str, Any]) -> str:
    """Return load, memory, temperature and throttling, as far as known."""
    return gettext(", ").join(_health(info))


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
        yield gettext("{processes} of {threads}").format(
            processes=labels.count(round(processes), "process", "processes"),
            threads=labels.count(round(threads), "thread", "threads"),
        )


def _health(info: Mapping[str, Any]) -> Iterator[str]:
    if (load := number_of(info, "load")) is not None:
        yield gettext("load {load} per core").format(load=f"{load:.2f}")
    if (size := number_of(info, "process_mb")) is not None:
        yield gettext("{size} MB per process").format(size=f"{size:,.0f}")
    if (free := number_of(info, "free_mb")) is not None:
        yield gettext("{size} MB free").format(size=f"{free:,.0f}")
    if (degrees := number_of(info, "temperature_c")) is not None:
        yield f"{degrees:.1f} °C"
    bits = info.get("throttled")
    if isinstance(bits, str):
        now, before = decode_throttled(bits)
        if now:
            yield gettext("slowed down: {why}").format(why=gettext(", ").join(now))
        elif before:
            yield gettext("slowed down since boot: {why}").format(why=gettext(", ").join(before))
        else:
            yield gettext("not throttled")
