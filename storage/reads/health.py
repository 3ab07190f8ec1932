"""How a scan goes on just now: hosts, the oldest batch, errors; quick at any size of a scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import batch, host, image, run, verdict
from storage.reads.queries import read_span
from storage.records import ErrorKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.database.store import Store

# A host's rate is that of its runs that were at work in the last so many seconds of its work.
RATE_SECONDS = 60.0
# Errors that are named, the latest listed first.
LATEST_ERRORS = 8


@dataclass(frozen=True, slots=True)
class HostPulse:
    """A host's images a second in its last minute of work, and when it last wrote a verdict.

    `info` is what it said of itself last.
    """

    host_id: str
    label: str
    arch: str
    images_per_second: float
    last_at: float
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def temperature_c(self) -> float | None:
        """How warm it was; None where it did not say."""
        return number_of(self.info, "temperature_c")


@dataclass(frozen=True, slots=True)
class LatestError:
    """An image that could not be read."""

    image_id: int
    path: bytes
    kind: ErrorKind
    text: str


@dataclass(frozen=True, slots=True)
class Pulse:
    """A scan just now.

    `oldest_at` is when the oldest batch that is not done was published, `seconds` runs from the
    first batch's start to the last commit.
    """

    hosts: tuple[HostPulse, ...]
    oldest_at: float | None
    errors: Mapping[ErrorKind, int]
    latest_errors: tuple[LatestError, ...]
    seconds: float


def number_of(info: Mapping[str, Any], key: str) -> float | None:
    """A number that a host said of itself; None where it did not, or what it said is none.

    Anyone who can write to the broker may have written anything.
    """
    found = info.get(key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def pulse(store: Store, scan_id: int) -> Pulse:
    """How a scan goes on just now."""
    undone = (batch.c.scan_id == scan_id) & batch.c.done_at.is_(None)
    oldest = sa.select(sa.func.min(batch.c.published_at)).where(undone)
    with store.read() as connection:
        span = read_span(connection, scan_id)
        return Pulse(
            hosts=_hosts(connection, scan_id),
            oldest_at=connection.scalar(oldest),
            errors=_errors(connection, scan_id),
            latest_errors=_latest_errors(connection, scan_id),
            seconds=0.0 if span is None else span[1] - span[0],
        )


def _hosts(connection: sa.Connection, scan_id: int) -> tuple[HostPulse, ...]:
    """Each host by its own clock alone: that of a Raspberry Pi may be hours off."""
    ours = run.c.scan_id == scan_id
    last = (
        sa.select(run.c.host_id, sa.func.max(run.c.ended_at).label("at"))
        .where(ours)
        .group_by(run.c.host_id)
        .subquery()
    )
    of_run = (
        sa.select(sa.func.count())
        .where(verdict.c.run_id == run.c.id, verdict.c.scan_id == scan_id)
        .scalar_subquery()
    )
    recent = (
        sa.select(
            run.c.host_id,
            run.c.started_at,
            run.c.ended_at,
            of_run.label("images"),
        )
        .join(last, last.c.host_id == run.c.host_id)
        .where(ours, run.c.ended_at > last.c.at - RATE_SECONDS)
        .subquery()
    )
    images, took = sa.func.sum(recent.c.images), sa.func.max(recent.c.ended_at)
    query = (
        sa.select(
            host.c.id,
            host.c.label,
            host.c.arch,
            host.c.info,
            images.label("images"),
            (took - sa.func.min(recent.c.started_at)).label("seconds"),
            took.label("last_at"),
        )
        .join(recent, recent.c.host_id == host.c.id)
        .group_by(host.c.id)
        .order_by(host.c.label, host.c.id)
    )
    return tuple(
        HostPulse(
            host_id=row.id,
            label=row.label,
            arch=row.arch,
            images_per_second=int(row.images) / row.seconds if row.seconds > 0 else 0.0,
            last_at=row.last_at,
            info=row.info,
        )
        for row in connection.execute(query)
    )


def _errors(connection: sa.Connection, scan_id: int) -> dict[ErrorKind, int]:
    # The images that failed come from the index; SQLite would read every verdict else.
    failed = sa.select(verdict.c.image_id).where(
        verdict.c.scan_id == scan_id, verdict.c.outcome == Outcome.ERROR
    )
    query = (
        sa.select(verdict.c.error_kind, sa.func.count())
        .where(verdict.c.scan_id == scan_id, verdict.c.image_id.in_(failed))
        .group_by(verdict.c.error_kind)
    )
    return {ErrorKind(kind): number for kind, number in connection.execute(query)}


def _latest_errors(connection: sa.Connection, scan_id: int) -> tuple[LatestError, ...]:
    latest = (
        sa.select(verdict.c.image_id)
        .where(verdict.c.scan_id == scan_id, verdict.c.outcome == Outcome.ERROR)
        .order_by(verdict.c.image_id.desc())
        .limit(LATEST_ERRORS)
    )
    query = (
        sa.select(verdict.c.image_id, image.c.path, verdict.c.error_kind, verdict.c.error_text)
        .join(image, image.c.id == verdict.c.image_id)
        .where(verdict.c.scan_id == scan_id, verdict.c.image_id.in_(latest))
        .order_by(verdict.c.image_id.desc())
    )
    return tuple(
        LatestError(row.image_id, bytes(row.path), ErrorKind(row.error_kind), row.error_text or "")
        for row in connection.execute(query)
    )
