"""The work of each host in a scan, and the time that each stage took there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence  # noqa: TC003 - msgspec reads the fields' types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import host, run, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

# Timings are taken from all images up to this many,
TIMED_IMAGES = 100_000
# otherwise from every n-th batch of each host, to get about this many.
TIMED_SAMPLE = 25_000
STAGES = ("fetch", "decode", "infer")


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median and 95th percentile of the microseconds that images took in a stage."""

    p50_us: int
    p95_us: int


@dataclass(frozen=True, slots=True)
class HostFigures:
    """The work of one host for a scan; `stages` lacks those that no image went through there.

    `seconds` is the time from the start of its first batch to its last commit; `info` the host's
    latest report on itself.
    """

    host_id: str
    label: str
    arch: str
    images: int
    seconds: float
    stages: Mapping[str, Percentiles]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run of a batch: its host, its times, and the number of its verdicts that remain."""

    host_id: str
    started_at: float
    ended_at: float
    images: int


def read_runs(connection: sa.Connection, scan_id: int) -> list[RunFigures]:
    """Return the runs of a scan; a kept verdict belongs to none of them."""
    # Run by run, since the index on them then has all that is needed.
    images = sa.select(sa.func.count()).where(
        verdict.c.run_id == run.c.id, verdict.c.scan_id == scan_id
    )
    rows = connection.execute(
        sa.select(run.c.host_id, run.c.started_at, run.c.ended_at, images.scalar_subquery())
        .where(run.c.scan_id == scan_id)
        .order_by(run.c.started_at)
    )
    return [RunFigures(*row) for row in rows]


def active_seconds(runs: Iterable[RunFigures]) -> float:
    """Return the time in which at least one of the runs was at work."""
    return covered_seconds((work.started_at, work.ended_at) for work in runs)


def covered_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Return the time that lies in at least one of the spans, each from its start to its end."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def read_hosts(
    connection: sa.Connection, scan_id: int, runs: Iterable[RunFigures]
) -> tuple[HostFigures, ...]:
    """Return the hosts with verdicts in a scan, the one with most images first."""
    images: Counter[str] = Counter()
    seconds: dict[str, tuple[float, float]] = {}
    for work in runs:
        images[work.host_id] += work.images
        start, end = seconds.get(work.host_id, (work.started_at, work.ended_at))
        seconds[work.host_id] = min(start, work.started_at), max(end, work.ended_at)
    images = +images
    stages = _stages(connection, scan_id, images.total())
    rows = connection.execute(sa.select(host).where(host.c.id.in_(list(images))))
    figures = [
        HostFigures(
            host_id=row.id,
            label=row.label,
            arch=row.arch,
            images=images[row.id],
            seconds=seconds[row.id][1] - seconds[row.id][0],
            stages=stages[row.id],
            info=row.info,
        )
        for row in rows
    ]
    return tuple(sorted(figures, key=lambda item: (-item.images, item.label, item.host_id)))


def _stages(
    connection: sa.Connection, scan_id: int, judged: int
) -> Mapping[str, dict[str, Percentiles]]:
    """Return the percentiles by host id and stage, over the images that went through it."""
    every = 1 if judged <= TIMED_IMAGES else -(-judged // TIMED_SAMPLE)
    nth = sa.func.row_number().over(partition_by=run.c.host_id, order_by=run.c.id)
    runs = sa.select(run.c.id, run.c.host_id, nth.label("nth")).where(run.c.scan_id == scan_id)
    numbered = runs.subquery()
    timings = (
        sa.select(numbered.c.host_id, verdict.c.fetch_us, verdict.c.decode_us, verdict.c.infer_us)
        .select_from(
            numbered.join(
                verdict, (verdict.c.run_id == numbered.c.id) & (verdict.c.scan_id == scan_id)
            )
        )
        .where(numbered.c.nth % every == 1 % every)
    )
    by_stage: dict[tuple[str, str], list[int]] = defaultdict(list)
    for host_id, *each in connection.execute(timings):
        for stage, stage_us in zip(STAGES, each, strict=True):
            if stage_us > 0:
                by_stage[host_id, stage].append(stage_us)
    stages: dict[str, dict[str, Percentiles]] = defaultdict(dict)
    for (host_id, stage), all_us in by_stage.items():
        all_us.sort()
        stages[host_id][stage] = Percentiles(nearest_rank(all_us, 50), nearest_rank(all_us, 95))
    return stages


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest value that at least `percent` % of the ordered values do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1]
