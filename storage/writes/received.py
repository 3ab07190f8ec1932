"""Results that came by message from a worker without a store, as the recorder writes them.

Whoever can write to the broker can send anything: what does not fit the store is left out here.
A message may come twice and in any order; the second time it changes nothing.
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
    """Verdicts on one chunk of a batch, and who gave them when (seconds since the epoch).

    `stage` is that of `storage.writes.results.Run`.
    """

    scan_id: int
    batch_id: int
    attempt: int
    host: Host
    worker: str
    started_at: float
    ended_at: float
    verdicts: tuple[Verdict, ...]
    stage: int = results.FIRST_STAGE


def receive(store: Store, one: Received) -> int:
    """Write what is new in one transaction, and mark its batch done if it is; how many that was.

    Nothing is written for a batch that is not there (its scan was forgotten), nor of images that
    are not in it.
    """
    with store.write() as connection:
        created_at = connection.scalar(
            sa.select(scan.c.created_at)
            .join(batch)
            .where(batch.c.id == one.batch_id, scan.c.id == one.scan_id)
        )
        if created_at is None:
            return 0
        found = _of_batch(connection, one)
        accepted = results.make_way(connection, one.scan_id, one.stage, found)
        if accepted:
            of = _run(connection, one, created_at)
            results.put(connection, of, accepted)
            results.finish(connection, one.scan_id, one.batch_id)
    return len(accepted)


def _of_batch(connection: sa.Connection, one: Received) -> list[Verdict]:
    """One verdict for each image that is in the batch."""
    by_image = {verdict.image_id: verdict for verdict in one.verdicts}
    asked_for = connection.scalars(
        sa.select(entry.c.image_id).where(
            entry.c.batch_id == one.batch_id,
            entry.c.scan_id == one.scan_id,
            entry.c.image_id.in_(sorted(by_image)),
        )
    )
    return [by_image[image_id] for image_id in sorted(asked_for)]


def _run(connection: sa.Connection, one: Received, created_at: float) -> Run:
    """The run that these verdicts belong to, begun with its first ones."""
    # A clock that is wrong must not make a scan seem to last for years.
    now = time.time()
    started_at = min(max(one.started_at, created_at), now)
    ended_at = min(max(one.ended_at, started_at), now)
    run_id = connection.scalar(
        sa.select(run.c.id).where(
            run.c.batch_id == one.batch_id,
            run.c.host_id == one.host.host_id,
            run.c.worker == one.worker,
            run.c.attempt == one.attempt,
            run.c.started_at == started_at,
        )
    )
    of = results.Run(run_id or 0, one.scan_id, one.batch_id, one.attempt, one.stage)
    if run_id is None:
        _know_host(connection, one.host)
        worker = (one.host.host_id, one.worker)
        return results.put_run(connection, of, worker, (started_at, ended_at))
    connection.execute(
        sa.update(run)
        .where(run.c.id == run_id, run.c.ended_at < ended_at)
        .values(ended_at=ended_at)
    )
    return of


def _know_host(connection: sa.Connection, known: Host) -> None:
    there = connection.execute(
        sa.select(host.c.label, host.c.arch, host.c.info).where(host.c.id == known.host_id)
    ).first()
    if there is None or tuple(there) != (known.label, known.arch, dict(known.info)):
        results.put_host(connection, known)
