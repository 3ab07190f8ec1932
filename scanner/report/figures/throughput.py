"""Throughput over time: images per second, by host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.reads.hosts import RunFigures

# Intervals that the time is divided into.
STEPS = 48
# A shorter interval would show clock resolution rather than work.
SHORTEST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Throughput:
    """Images per second by host id, in equal intervals of `step_seconds` from `started_at` on."""

    started_at: float
    step_seconds: float
    by_host: Mapping[str, tuple[float, ...]]


def throughput(runs: Iterable[RunFigures]) -> Throughput:
    """Return the throughput of a scan, as if each run of a batch had a constant rate."""
    timed = [run for run in runs if run.images and run.ended_at > run.started_at]
    if not timed:
        return Throughput(0.0, 0.0, {})
    start = min(run.started_at for run in timed)
    seconds = max(run.ended_at for run in timed) - start
    steps = max(1, min(STEPS, int(seconds / SHORTEST_SECONDS)))
    step = seconds / steps
    images: dict[str, list[float]] = {}
    for run in timed:
        of_host = images.setdefault(run.host_id, [0.0] * steps)
        begin, end = (run.started_at - start) / step, (run.ended_at - start) / step
        for part in range(int(begin), min(steps, int(end) + 1)):
            overlap = min(end, part + 1) - max(begin, part)
            of_host[part] += run.images * max(0.0, overlap) / (end - begin)
    return Throughput(
        started_at=start,
        step_seconds=step,
        by_host={host: tuple(number / step for number in rates) for host, rates in images.items()},
    )
