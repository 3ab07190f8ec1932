"""Second opinions: what the first look left doubtful, until a strong detector has looked too.

Nothing is kept of who was asked. A doubtful verdict of the first stage waits, in a scan whose plan
has a strong detector; one of the second stage has been looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import batch, entry, image, plan, scan, verdict
from storage.records import Batch, BatchImage, Outcome
from storage.writes.results import ROUTED, STRONG, Run, put_run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from storage.database.store import Store
    from storage.writes.scans import Scan

# Images that are read in one go; the others wait a little longer.
MOST_IMAGES = 5_000


@dataclass(frozen=True, slots=True)
class Asking:
    """A scan whose doubtful images are for a strong detector; `over` when no more come."""

    scan_id: int
    detector: str
    over: bool


@dataclass(frozen=True, slots=True)
class CascadeProgress:
    """How far the second opinions of a scan are: images that were looked at, and that wait."""

    detector: str
    given: int
    waiting: int


def strong_in(body: Mapping[str, Any]) -> str | None:
    """The name of the strong detector in a plan's body."""
    return next((one["name"] for one in body.get("detectors", ()) if one.get("strong")), None)


def asking(store: Store, broker: str) -> list[Asking]:
    """A broker's scans, finished or not, that have a strong detector in their plan."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(scan.c.id, scan.c.finished_at, plan.c.body)
            .join(plan)
            .where(
                scan.c.broker == broker,
                scan.c.cancelled_at.is_(None),
                sa.cast(plan.c.body, sa.Text).contains('"strong"'),
            )
            .order_by(scan.c.id)
        ).all()
    named = ((row, strong_in(row.body)) for row in rows)
    return [
        Asking(row.id, name, row.finished_at is not None) for row, name in named if name is not None
    ]


def wanted(store: Store, scan_id: int) -> list[Batch]:
    """What waits for a second opinion in a scan, by batch; of batches whose first look is over."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(
                entry.c.batch_id, batch.c.attempt, image.c.id, image.c.path, entry.c.size_bytes
            )
            .select_from(_judged.join(batch, batch.c.id == entry.c.batch_id).join(image))
            .where(_waits(scan_id), batch.c.done_at.is_not(None))
            .order_by(entry.c.batch_id, image.c.id)
            .limit(MOST_IMAGES)
        ).all()
    return [
        Batch(
            batch_id,
            attempt,
            tuple(BatchImage(row.id, bytes(row.path), row.size_bytes) for row in of),
        )
        for (batch_id, attempt), of in groupby(rows, lambda row: (row.batch_id, row.attempt))
    ]


def opinions(store: Store, of: Scan) -> CascadeProgress | None:
    """How far they are; None where the scan's plan asks for none."""
    detector = strong_in(of.plan)
    if detector is None:
        return None
    of_it = sa.select(sa.func.count()).select_from(verdict).where(verdict.c.scan_id == of.scan_id)
    with store.read() as connection:
        given = connection.scalar(of_it.where(verdict.c.stage == STRONG))
    return CascadeProgress(detector, int(given or 0), waiting(store, of))


def waiting(store: Store, of: Scan) -> int:
    """How many images wait for a second opinion: quickly, for those who follow a scan."""
    if strong_in(of.plan) is None:
        return 0
    with store.read() as connection:
        found = connection.scalar(
            sa.select(sa.func.count()).select_from(verdict).where(_waits(of.scan_id))
        )
    return int(found or 0)


def begin_second(
    store: Store, batch_id: int, images: Collection[int], worker: tuple[str, str]
) -> tuple[Run, frozenset[int]] | None:
    """Start on a second look at images of a batch: the run, and those that still wait for it.

    None where none does, or the batch is gone, or its scan was cancelled.
    """
    now = time.time()
    with store.write() as connection:
        row = connection.execute(
            sa.select(batch.c.scan_id, batch.c.attempt)
            .join(scan)
            .where(batch.c.id == batch_id, scan.c.cancelled_at.is_(None))
        ).first()
        if row is None:
            return None
        pending = frozenset(
            connection.scalars(
                sa.select(verdict.c.image_id)
                .select_from(_judged)
                .where(
                    _waits(row.scan_id),
                    entry.c.batch_id == batch_id,
                    verdict.c.image_id.in_(sorted(images)),
                )
            )
        )
        if not pending:
            return None
        of = Run(0, row.scan_id, batch_id, row.attempt, STRONG)
        begun = put_run(connection, of, worker, (now, now))
    return begun, pending


def failed(store: Store, batch_id: int) -> None:
    """Count an attempt at a batch whose second look was left behind by its worker."""
    with store.write() as connection:
        connection.execute(
            sa.update(batch).where(batch.c.id == batch_id).values(attempt=batch.c.attempt + 1)
        )


_judged = entry.join(
    verdict,
    (verdict.c.scan_id == entry.c.scan_id) & (verdict.c.image_id == entry.c.image_id),
)


def _waits(scan_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        verdict.c.scan_id == scan_id,
        verdict.c.outcome == Outcome.UNSURE.value,
        verdict.c.stage == ROUTED,
    )
