"""Results that the result writer receives from workers without a store.

Their messages are signed, but a machine may be hostile, so what does not belong to its batch is
ignored, and so is everything for a batch that is done. Messages may arrive twice and in any order;
the second time, nothing changes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import batch, entry, host, run, scan
from storage.writes import results

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.records import Verdict
    from storage.writes.results import Host, Run


@dataclass(frozen=True, slots=True)
class Received:
    """Verdicts on one chunk of a batch, and which worker reached them when (epoch seconds)."""

    scan_id: int
    batch_id: int
    attempt: int
    host: Host
    worker: str
    started_at: float
    ended_at: float
    verdicts: tuple[Verdict, ...]


def receive(store: Store, received: Received) -> int:
    """Write the new verdicts in one transaction, finish the batch if done; return their number.

    Ignores batches that are done or were deleted with their scan, and images that are not in the
    batch.
    """
    with store.write() as connection:
        created_at = connection.scalar(
            sa.select(scan.c.created_at)
            .join(batch)
            .where(
                batch.c.id == received.batch_id,
                scan.c.id == received.scan_id,
                batch.c.done_at.is_(None),
            )
        )
        if created_at is None:
            return 0
        verdicts = _verdicts_in_batch(connection, received)
        if not verdicts:
            return 0
        with connection.begin_nested() as unless_new:
            its_run = _ensure_run(connection, received, created_at)
            written = results.insert_verdicts(connection, its_run, verdicts)
            if not written:
                # The run of a result that arrives again is not recorded again.
                unless_new.rollback()
                return 0
        results.finish_batch_if_done(connection, received.scan_id, received.batch_id)
    return len(written)


def _verdicts_in_batch(connection: sa.Connection, received: Received) -> list[Verdict]:
    """Return one verdict for each image that is in the batch."""
    by_image = {verdict.image_id: verdict for verdict in received.verdicts}
    image_ids = connection.scalars(
        sa.select(entry.c.image_id).where(
            entry.c.batch_id == received.batch_id,
            entry.c.scan_id == received.scan_id,
            entry.c.image_id.in_(sorted(by_image)),
        )
    )
    return [by_image[image_id] for image_id in sorted(image_ids)]


def _ensure_run(connection: sa.Connection, received: Received, created_at: float) -> Run:
    """Return the run of these verdicts; insert it with the first of them."""
    # A worker's clock may be wrong by years.
    now = time.time()
    started_at = min(max(received.started_at, created_at), now)
    ended_at = min(max(received.ended_at, started_at), now)
    run_id = connection.scalar(
        sa.select(run.c.id).where(
            run.c.batch_id == received.batch_id,
            run.c.host_id == received.host.host_id,
            run.c.worker == received.worker,
            run.c.attempt == received.attempt,
            run.c.started_at == started_at,
        )
    )
    current = results.Run(run_id or 0, received.scan_id, received.batch_id, received.attempt)
    if run_id is None:
        _ensure_host(connection, received.host)
        worker = (received.host.host_id, received.worker)
        return results.insert_run(connection, current, worker, (started_at, ended_at))
    connection.execute(
        sa.update(run)
        .where(run.c.id == run_id, run.c.ended_at < ended_at)
        .values(ended_at=ended_at)
    )
    return current


def _ensure_host(connection: sa.Connection, machine: Host) -> None:
    # Reads first: it hardly ever changes, and a write takes longer.
    row = connection.execute(
        sa.select(host.c.label, host.c.arch, host.c.info).where(host.c.id == machine.host_id)
    ).first()
    if row is None or tuple(row) != (machine.label, machine.arch, dict(machine.info)):
        results.upsert_host(connection, machine)
