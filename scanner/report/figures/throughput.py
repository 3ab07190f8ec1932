"""How a scan went over time: images a second, host by host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.reads.breakdown import RunFigures

# Parts that the time is cut into.
STEPS = 48
# A shorter part than this says more of the clock than of the work.
SHORTEST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Course:
    """Images a second by host id, in equal parts of `step_seconds` from `started_at` on."""

    started_at: float
    step_seconds: float
    by_host: Mapping[str, tuple[float, ...]]


def course(runs: Iterable[RunFigures]) -> Course:
    """The course of a scan; each go at a batch is taken to have been steady."""
    worked = [one for one in runs if one.images and one.ended_at > one.started_at]
    if not worked:
        return Course(0.0, 0.0, {})
    start = min(one.started_at for one in worked)
    seconds = max(one.ended_at for one in worked) - start
    steps = max(1, min(STEPS, int(seconds / SHORTEST_SECONDS)))
    step = seconds / steps
    images: dict[str, list[float]] = {}
    for one in worked:
        of_host = images.setdefault(one.host_id, [0.0] * steps)
        begin, end = (one.started_at - start) / step, (one.ended_at - start) / step
        for part in range(int(begin), min(steps, int(end) + 1)):
            overlap = min(end, part + 1) - max(begin, part)
            of_host[part] += one.images * max(0.0, overlap) / (end - begin)
    return Course(
        started_at=start,
        step_seconds=step,
        by_host={host: tuple(number / step for number in one) for host, one in images.items()},
    )
