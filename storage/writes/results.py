"""Verdicts on the images of a batch, and the progress of batches.

A verdict is unique per (scan, image) and final: another one for the image changes nothing, unless
the first is an `error`. So any number of workers may run a batch any number of times.
"""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from storage.database.clauses import ENTRY_VERDICT
from storage.database.schema import batch, entry, finding, host, image, run, scan, verdict
from storage.database.store import BulkInsert, among, insert_one, is_taken, upsert
from storage.records import Batch, BatchImage, Outcome
from storage.sidecars import sidecars_from_json
from storage.text import clean, clean_json
from storage.writes.scans import finish_if_done, lock_scan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from storage.database.store import Store
    from storage.records import Verdict

_image_id = attrgetter("image_id")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with workers: an id kept on its disk, and a label for people."""

    host_id: str
    label: str
    arch: str
    info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One worker's run of one batch; `attempt` is the batch's or its message's, the higher one."""

    run_id: int
    scan_id: int
    batch_id: int
    attempt: int


def record_host(store: Store, machine: Host) -> None:
    """Insert or update a host."""
    with store.write() as connection:
        upsert_host(connection, machine)


def upsert_host(connection: sa.Connection, machine: Host) -> None:
    """Insert or update a host, within a transaction."""
    values = {
        "id": machine.host_id,
        "label": machine.label,
        "arch": machine.arch,
        "info": dict(machine.info),
    }
    insert = upsert(connection.dialect.name, host).values(**values)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))


def begin_run(
    store: Store, batch_id: int, attempt: int, worker: tuple[str, str]
) -> tuple[Run, frozenset[int]] | None:
    """Begin a batch: return the run, and the ids of its images that have no verdict.

    `worker` is (host id, worker name). None where the batch is done or deleted, or its scan was
    cancelled.
    """
    now = time.time()
    # A run that a power cut takes back has no verdicts: they are committed after it.
    with store.write(durable=False) as connection:
        row = connection.execute(
            sa.select(batch.c.scan_id, batch.c.attempt, batch.c.done_at, scan.c.cancelled_at)
            .join(scan)
            .where(batch.c.id == batch_id)
        ).first()
        if row is None or row.done_at is not None or row.cancelled_at is not None:
            return None
        # An older message of the batch may arrive after it has failed.
        attempt = max(row.attempt, attempt)
        pending = frozenset(connection.scalars(_pending(batch_id)))
        new = Run(0, row.scan_id, batch_id, attempt)
        return insert_run(connection, new, worker, (now, now)), pending


def insert_run(
    connection: sa.Connection, new: Run, worker: tuple[str, str], span: tuple[float, float]
) -> Run:
    """Insert a run, within a transaction, and return it with its new id.

    `worker` is (host id, worker name), `span` its start and its last commit (epoch seconds).
    """
    run_id = insert_one(
        connection,
        run,
        scan_id=new.scan_id,
        batch_id=new.batch_id,
        host_id=worker[0],
        worker=worker[1],
        attempt=new.attempt,
        started_at=span[0],
        ended_at=span[1],
    )
    return replace(new, run_id=run_id)


def record_verdicts(
    store: Store, current: Run, verdicts: Sequence[Verdict], *, is_last: bool = False
) -> None:
    """Write verdicts of a batch with their findings, in one transaction.

    With `is_last`, mark the batch done in it if all its images have verdicts.
    """
    if not verdicts and not is_last:
        return
    with store.write() as connection:
        if verdicts:
            insert_verdicts(connection, current, verdicts)
            connection.execute(
                sa.update(run).where(run.c.id == current.run_id).values(ended_at=time.time())
            )
        if is_last:
            finish_batch_if_done(connection, current.scan_id, current.batch_id)


def insert_verdicts(
    connection: sa.Connection, current: Run, verdicts: Sequence[Verdict]
) -> Sequence[Verdict]:
    """Write the verdicts that are new or replace errors, with their findings; return them.

    Findings are accepted, and replaced, with their verdicts.
    """
    into_verdict, into_finding = _statements(connection.dialect)
    # By image, so that two workers that write the same ones do not lock each other out.
    judged_images = {judged.image_id: judged for judged in sorted(verdicts, key=_image_id)}
    replaced: set[int] = set()
    while True:
        others, failed = _make_way(connection, current.scan_id, list(judged_images))
        replaced |= failed
        written = [judged for image_id, judged in judged_images.items() if image_id not in others]
        try:
            with _savepoint(connection):
                into_verdict.run(connection, [_verdict_row(current, judged) for judged in written])
            break
        except IntegrityError as error:
            # Another worker committed a verdict in between, which may be an error: look again.
            if not is_taken(error):
                raise
    findings = [row for judged in written for row in _finding_rows(current, judged)]
    into_finding.run(connection, findings)
    if replaced:
        _renew_finished_time(connection, current.scan_id)
    return written


def _renew_finished_time(connection: sa.Connection, scan_id: int) -> None:
    """Let a scan that was finished be finished now: its figures have changed since.

    It waits for a transaction that finishes the scan, and lets none finish it before this one ends.
    """
    lock_scan(connection, scan_id)
    connection.execute(
        sa.update(scan)
        .where(scan.c.id == scan_id, scan.c.finished_at.is_not(None))
        .values(finished_at=time.time())
    )


def _savepoint(connection: sa.Connection) -> AbstractContextManager[object]:
    """Begin what Postgres may refuse; SQLite has one writer at a time, which saw all verdicts."""
    return connection.begin_nested() if connection.dialect.name == "postgresql" else nullcontext()


def _make_way(
    connection: sa.Connection, scan_id: int, images: Sequence[int]
) -> tuple[set[int], set[int]]:
    """Delete the errors of images, with their findings.

    Return the images with other verdicts, and those with errors.
    """
    of_images = (verdict.c.scan_id == scan_id) & among(connection, verdict.c.image_id, images)
    existing = connection.execute(
        sa.select(verdict.c.image_id, verdict.c.outcome).where(of_images)
    ).all()
    failed = {row.image_id for row in existing if row.outcome == Outcome.ERROR}
    if failed:
        # Another worker may have replaced some in between: those are found at the next try.
        connection.execute(
            sa.delete(verdict).where(
                verdict.c.scan_id == scan_id,
                among(connection, verdict.c.image_id, sorted(failed)),
                verdict.c.outcome == Outcome.ERROR,
            )
        )
    return {row.image_id for row in existing if row.outcome != Outcome.ERROR}, failed


@cache
def _statements(dialect: sa.Dialect) -> tuple[BulkInsert, BulkInsert]:
    return BulkInsert(verdict, dialect), BulkInsert(finding, dialect)


def finish_batch(store: Store, current: Run) -> bool:
    """Mark a batch done if all its images have verdicts; return whether they have."""
    with store.write() as connection:
        return finish_batch_if_done(connection, current.scan_id, current.batch_id)


def finish_batch_if_done(connection: sa.Connection, scan_id: int, batch_id: int) -> bool:
    """Do the same within a transaction."""
    is_pending = _pending(batch_id).exists()
    done = connection.execute(
        sa.update(batch)
        .where(batch.c.id == batch_id, batch.c.done_at.is_(None), ~is_pending)
        .values(done_at=time.time())
    )
    # None is updated where images are pending, and where another worker was first.
    if not done.rowcount and connection.scalar(sa.select(is_pending)):
        return False
    finish_if_done(connection, scan_id)
    return True


def mark_published(store: Store, batches: Sequence[int]) -> None:
    """Record that messages for these batches are on the queue."""
    if not batches:
        return
    with store.write() as connection:
        connection.execute(
            sa.update(batch).where(batch.c.id.in_(batches)).values(published_at=time.time())
        )


def unfinished_batches(store: Store, owner: str, scan_id: int | None = None) -> list[int]:
    """Return the ids of the unfinished batches in an owner's unfinished scans, oldest first."""
    query = (
        sa.select(batch.c.id)
        .join(scan)
        .where(
            batch.c.done_at.is_(None),
            scan.c.finished_at.is_(None),
            scan.c.cancelled_at.is_(None),
            scan.c.owner == owner,
        )
        .order_by(batch.c.id)
    )
    if scan_id is not None:
        query = query.where(scan.c.id == scan_id)
    with store.read() as connection:
        return list(connection.scalars(query))


def requeue_batch(store: Store, batch_id: int, *, failed: bool) -> tuple[int, Batch] | None:
    """Return (scan id, batch) with the unfinished images; increment the attempt after a failure.

    Returns None where no image is unfinished, after marking the batch done.
    """
    with store.write() as connection:
        unfinished = connection.execute(
            sa.select(batch.c.scan_id, batch.c.attempt).where(
                batch.c.id == batch_id, batch.c.done_at.is_(None)
            )
        ).first()
        if unfinished is None:
            return None
        scan_id, attempt = unfinished.scan_id, unfinished.attempt + failed
        images = tuple(
            BatchImage(
                row.id,
                bytes(row.path),
                row.size_bytes,
                sidecars_from_json(row.sidecars),
                row.mtime_ns // 10**9,
            )
            for row in connection.execute(
                sa.select(
                    image.c.id,
                    image.c.path,
                    entry.c.size_bytes,
                    entry.c.sidecars,
                    entry.c.mtime_ns,
                )
                .select_from(entry.join(image))
                .where(image.c.id.in_(_pending(batch_id)), entry.c.scan_id == scan_id)
                .order_by(image.c.id)
            )
        )
        values = {"attempt": attempt} if images else {"done_at": time.time()}
        connection.execute(sa.update(batch).where(batch.c.id == batch_id).values(values))
        if not images:
            finish_if_done(connection, scan_id)
            return None
    return scan_id, Batch(batch_id, attempt, images)


def _pending(batch_id: int) -> sa.Select[int]:
    """Select the images of a batch that have no verdict."""
    return (
        sa.select(entry.c.image_id)
        .outerjoin(verdict, ENTRY_VERDICT)
        .where(entry.c.batch_id == batch_id, verdict.c.image_id.is_(None))
    )


def _verdict_row(current: Run, judged: Verdict) -> tuple[Any, ...]:
    """Return the row of a verdict, in the order of the table's columns."""
    error, timings = judged.error, judged.timings
    return (
        current.scan_id,
        judged.image_id,
        current.run_id,
        judged.outcome.value,
        judged.score,
        judged.detector,
        judged.examined,
        current.attempt,
        None if error is None else error.kind.value,
        None if error is None else clean(error.text),
        judged.digest,
        timings.fetch_us,
        timings.decode_us,
        timings.infer_us,
        None,
        judged.photograph.taken_at,
        judged.photograph.camera,
        judged.photograph.look,
    )


def _finding_rows(current: Run, judged: Verdict) -> list[tuple[Any, ...]]:
    """Return the rows of a verdict's findings, in the order of the table's columns."""
    return [
        (
            current.scan_id,
            judged.image_id,
            result.detector,
            n,
            result.kind,
            result.score,
            clean(result.text),
            json.dumps(clean_json(dict(result.detail))) if result.detail else None,
        )
        for n, result in enumerate(judged.findings)
    ]
