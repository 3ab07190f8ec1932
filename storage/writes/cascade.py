"""The second stage of a cascade: `unsure` images that a further detector examines.

Which images were sent to it is not recorded. An `unsure` verdict of the first stage waits, in a
scan whose plan has a detector for the second stage; a verdict of the second stage is final.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT
from storage.database.schema import batch, entry, image, plan, scan, verdict
from storage.records import Batch, BatchImage, Outcome
from storage.writes.results import FIRST_STAGE, SECOND_STAGE, Run, insert_run
from storage.writes.scans import read_plan

if TYPE_CHECKING:
    from collections.abc import Collection

    from storage.database.store import Store
    from storage.writes.scans import Scan

# Images that are read at once; the others wait for the next round.
MAX_IMAGES = 5_000


@dataclass(frozen=True, slots=True)
class CascadeScan:
    """A scan with a second stage; once it is finished, no more images come to wait."""

    scan_id: int
    detector: str
    is_finished: bool


@dataclass(frozen=True, slots=True)
class CascadeProgress:
    """How many images of a scan have been through the second stage, and how many wait for it."""

    detector: str
    done: int
    waiting: int


def cascade_scans(store: Store, owner: str) -> list[CascadeScan]:
    """Return an owner's scans that have a second stage, finished or not, but not cancelled."""
    with store.read() as connection:
        # Plans are few: scans with the same detectors share one.
        plans = connection.execute(sa.select(plan.c.id, plan.c.body))
        detectors = {row.id: read_plan(row.body).second_stage for row in plans}
        cascades = [plan_id for plan_id, detector in detectors.items() if detector is not None]
        rows = connection.execute(
            sa.select(scan.c.id, scan.c.plan_id, scan.c.finished_at)
            .where(
                scan.c.owner == owner,
                scan.c.cancelled_at.is_(None),
                scan.c.plan_id.in_(cascades),
            )
            .order_by(scan.c.id)
        )
        return [
            CascadeScan(row.id, detector, row.finished_at is not None)
            for row in rows
            if (detector := detectors[row.plan_id]) is not None
        ]


def waiting_batches(store: Store, scan_id: int) -> list[Batch]:
    """Return the images that wait for the second stage, of batches whose first stage is done."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(
                entry.c.batch_id, batch.c.attempt, image.c.id, image.c.path, entry.c.size_bytes
            )
            .select_from(_judged.join(batch, batch.c.id == entry.c.batch_id).join(image))
            .where(_is_waiting(scan_id), batch.c.done_at.is_not(None))
            .order_by(entry.c.batch_id, image.c.id)
            .limit(MAX_IMAGES)
        ).all()
    return [
        Batch(
            batch_id,
            attempt,
            tuple(BatchImage(row.id, bytes(row.path), row.size_bytes) for row in group),
        )
        for (batch_id, attempt), group in groupby(rows, lambda row: (row.batch_id, row.attempt))
    ]


def cascade_progress(store: Store, current: Scan) -> CascadeProgress | None:
    """Return the progress of the second stage; None where the scan's plan has none."""
    if current.plan.second_stage is None:
        return None
    done = sa.select(sa.func.count()).where(
        verdict.c.scan_id == current.scan_id, verdict.c.stage == SECOND_STAGE
    )
    with store.read() as connection:
        done_images = connection.execute(done).scalar_one()
    return CascadeProgress(current.plan.second_stage, done_images, count_waiting(store, current))


def count_waiting(store: Store, current: Scan) -> int:
    """Count the images that wait for the second stage; quick enough to ask every second."""
    if current.plan.second_stage is None:
        return 0
    waiting = sa.select(sa.func.count()).select_from(verdict).where(_is_waiting(current.scan_id))
    with store.read() as connection:
        return connection.execute(waiting).scalar_one()


def begin_second_stage(
    store: Store, batch_id: int, images: Collection[int], worker: tuple[str, str]
) -> tuple[Run, frozenset[int]] | None:
    """Begin the second stage of images of a batch: return the run, and the images still waiting.

    `worker` is (host id, worker name). None where no image waits, the batch is gone, or its scan
    was cancelled.
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
                    _is_waiting(row.scan_id),
                    entry.c.batch_id == batch_id,
                    verdict.c.image_id.in_(sorted(images)),
                )
            )
        )
        if not pending:
            return None
        run = Run(0, row.scan_id, batch_id, row.attempt, SECOND_STAGE)
        return insert_run(connection, run, worker, (now, now)), pending


def count_failed_attempt(store: Store, batch_id: int) -> None:
    """Count an attempt at a batch whose worker died during the second stage."""
    with store.write() as connection:
        connection.execute(
            sa.update(batch).where(batch.c.id == batch_id).values(attempt=batch.c.attempt + 1)
        )


_judged = entry.join(verdict, ENTRY_VERDICT)


def _is_waiting(scan_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        verdict.c.scan_id == scan_id,
        verdict.c.outcome == Outcome.UNSURE.value,
        verdict.c.stage == FIRST_STAGE,
    )
