"""The progress of a scan: counts, hosts, errors; quick for scans of any size."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import failed_images
from storage.database.schema import batch, entry, host, run, scan, verdict
from storage.errors import NotFound
from storage.reads.hosts import RunFigures, active_seconds, covered_seconds
from storage.reads.verdicts import FailedImage, read_errors
from storage.records import ErrorKind, Outcome
from storage.writes.results import Host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.database.store import Store

# The last seconds of a host's work, over which its rate is averaged.
RATE_SECONDS = 60.0
# Errors listed by image, the latest first.
LATEST_ERRORS = 8


@dataclass(frozen=True, slots=True)
class Counts:
    """The images of a scan by outcome; the four outcomes and `pending` add up to `images`.

    `not_examined` counts the `no_evidence` images whose pixels no detector examined, `kept` those
    whose verdict is from an earlier scan.
    """

    images: int
    ai: int
    unsure: int
    no_evidence: int
    error: int
    not_examined: int
    kept: int

    @property
    def judged(self) -> int:
        """Return the number of images with a verdict, kept or not."""
        return self.ai + self.unsure + self.no_evidence + self.error

    @property
    def judged_here(self) -> int:
        """Return the number of images judged in this scan."""
        return self.judged - self.kept

    @property
    def pending(self) -> int:
        """Return the number of images without a verdict."""
        return self.images - self.judged


@dataclass(frozen=True, slots=True)
class HostActivity:
    """The rate of a host in its last minute of work, and the time of its last verdict.

    `info` is the host's latest report on itself.
    """

    host_id: str
    label: str
    arch: str
    images_per_second: float
    last_at: float
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def temperature_c(self) -> float | None:
        """Return the last reported temperature (°C), None without one."""
        return number_of(self.info, "temperature_c")


@dataclass(frozen=True, slots=True)
class ScanActivity:
    """The state of a scan.

    `oldest_at` is when the oldest unfinished batch was published; `seconds` is the time from the
    start of the first batch to the last commit, `active_seconds` that of it in which at least one
    batch was at work.
    """

    hosts: tuple[HostActivity, ...]
    oldest_at: float | None
    errors: Mapping[ErrorKind, int]
    latest_errors: tuple[FailedImage, ...]
    seconds: float
    active_seconds: float


def number_of(info: Mapping[str, Any], key: str) -> float | None:
    """Return a number that a host reported, None where it is missing or not a number.

    Anyone who can write to the broker may have written anything.
    """
    value = info.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def count_images(store: Store, scan_id: int) -> Counts:
    """Count the images of a scan by outcome; NotFound where there is no such scan."""
    with store.read() as connection:
        return read_counts(connection, scan_id)


def read_counts(connection: sa.Connection, scan_id: int) -> Counts:
    """Do the same within a transaction."""
    images = connection.scalar(sa.select(scan.c.images).where(scan.c.id == scan_id))
    if images is None:
        raise NotFound(f"Scan not found: {scan_id} (`scanner scans` lists all scans)")
    totals = dict.fromkeys(Outcome, 0)
    not_examined = 0
    # By the columns of an index, so that no row of the table is read.
    by_outcome = (
        sa.select(verdict.c.outcome, verdict.c.examined, sa.func.count())
        .where(verdict.c.scan_id == scan_id)
        .group_by(verdict.c.outcome, verdict.c.examined)
    )
    for outcome, examined, number in connection.execute(by_outcome):
        totals[Outcome(outcome)] += number
        if outcome == Outcome.NO_EVIDENCE and not examined:
            not_examined = number
    kept = sa.select(sa.func.count()).where(entry.c.scan_id == scan_id, entry.c.batch_id.is_(None))
    return Counts(
        images=images,
        ai=totals[Outcome.AI],
        unsure=totals[Outcome.UNSURE],
        no_evidence=totals[Outcome.NO_EVIDENCE],
        error=totals[Outcome.ERROR],
        not_examined=not_examined,
        kept=connection.execute(kept).scalar_one(),
    )


def read_span(connection: sa.Connection, scan_id: int) -> tuple[float, float] | None:
    """Return when the first batch began and the last verdict was committed; None before that."""
    query = sa.select(sa.func.min(run.c.started_at), sa.func.max(run.c.ended_at))
    first, last = connection.execute(query.where(run.c.scan_id == scan_id)).one()
    return None if first is None else (first, last)


def last_work(store: Store, scan_id: int) -> dict[str, float]:
    """Return when each host last committed verdicts of a scan, by its own clock."""
    query = sa.select(run.c.host_id, sa.func.max(run.c.ended_at).label("at"))
    query = query.where(run.c.scan_id == scan_id).group_by(run.c.host_id)
    with store.read() as connection:
        return {row.host_id: row.at for row in connection.execute(query)}


def read_activity(store: Store, scan_id: int) -> ScanActivity:
    """Return the state of a scan."""
    unfinished = (batch.c.scan_id == scan_id) & batch.c.done_at.is_(None)
    oldest = sa.select(sa.func.min(batch.c.published_at)).where(unfinished)
    times = sa.select(run.c.started_at, run.c.ended_at).where(run.c.scan_id == scan_id)
    latest = failed_images(scan_id).order_by(verdict.c.image_id.desc()).limit(LATEST_ERRORS)
    with store.read() as connection:
        span = read_span(connection, scan_id)
        return ScanActivity(
            hosts=_hosts(connection, scan_id),
            oldest_at=connection.scalar(oldest),
            errors=_errors(connection, scan_id),
            latest_errors=tuple(read_errors(connection, scan_id, latest)[::-1]),
            seconds=0.0 if span is None else span[1] - span[0],
            active_seconds=covered_seconds(
                (row.started_at, row.ended_at) for row in connection.execute(times)
            ),
        )


def _hosts(connection: sa.Connection, scan_id: int) -> tuple[HostActivity, ...]:
    """Return the hosts, each timed by its own clock: a Raspberry Pi's may be hours off."""
    of_scan = run.c.scan_id == scan_id
    last = (
        sa.select(run.c.host_id, sa.func.max(run.c.ended_at).label("at"))
        .where(of_scan)
        .group_by(run.c.host_id)
        .subquery()
    )
    run_images = (
        sa.select(sa.func.count())
        .where(verdict.c.run_id == run.c.id, verdict.c.scan_id == scan_id)
        .scalar_subquery()
    )
    recent = (
        sa.select(run.c.host_id, run.c.started_at, run.c.ended_at, run_images.label("images"))
        .join(last, last.c.host_id == run.c.host_id)
        .where(of_scan, run.c.ended_at > last.c.at - RATE_SECONDS)
    )
    runs: dict[str, list[RunFigures]] = defaultdict(list)
    for row in connection.execute(recent):
        runs[row.host_id].append(RunFigures(*row))
    hosts = sa.select(host).where(host.c.id.in_(runs)).order_by(host.c.label, host.c.id)
    return tuple(
        HostActivity(
            host_id=row.id,
            label=row.label,
            arch=row.arch,
            images_per_second=_rate(runs[row.id]),
            last_at=max(work.ended_at for work in runs[row.id]),
            info=row.info,
        )
        for row in connection.execute(hosts)
    )


def _rate(runs: Sequence[RunFigures]) -> float:
    """Return images per second of the time at work: what was between two runs says nothing."""
    seconds = active_seconds(runs)
    return sum(work.images for work in runs) / seconds if seconds > 0 else 0.0


def _errors(connection: sa.Connection, scan_id: int) -> dict[ErrorKind, int]:
    query = (
        sa.select(verdict.c.error_kind, sa.func.count())
        .where(verdict.c.scan_id == scan_id, verdict.c.image_id.in_(failed_images(scan_id)))
        .group_by(verdict.c.error_kind)
    )
    return {ErrorKind(kind): number for kind, number in connection.execute(query)}


def list_hosts(store: Store) -> list[Host]:
    """Return all hosts, by label."""
    with store.read() as connection:
        rows = connection.execute(sa.select(host).order_by(host.c.label, host.c.id))
        return [Host(row.id, row.label, row.arch, row.info) for row in rows]
