"""Batches at work and done, and the verdicts on their images, as workers and keepers write them.

A verdict is unique per (scan, image): the same again changes nothing; one of a later stage, or
any after an `error`, replaces it. So a batch may be run any number of times, by anyone.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import batch, entry, finding, host, image, run, scan, verdict
from storage.database.store import BulkInsert, insert_one, upsert
from storage.records import Batch, BatchImage, Outcome
from storage.text import clean, clean_json
from storage.writes.scans import finish_if_done

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.database.store import Store
    from storage.records import Verdict

# The stages of a verdict (see `storage.writes.cascade`).
FIRST_STAGE, SECOND_STAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Host:
    """One machine that works: an id kept on its disk plus a label for people."""

    host_id: str
    label: str
    arch: str
    info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One worker's go at one batch; `stage` is FIRST_STAGE or SECOND_STAGE.

    `attempt` is the batch's, or its message's where that one is higher.
    """

    run_id: int
    scan_id: int
    batch_id: int
    attempt: int
    stage: int = FIRST_STAGE


def know_host(store: Store, known: Host) -> None:
    """Record a host, or what is new about it."""
    with store.write() as connection:
        put_host(connection, known)


def put_host(connection: sa.Connection, known: Host) -> None:
    """Record a host, or what is new about it, within a transaction."""
    values = {
        "id": known.host_id,
        "label": known.label,
        "arch": known.arch,
        "info": dict(known.info),
    }
    insert = upsert(connection.dialect.name, host).values(**values)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))


def begin_run(
    store: Store, batch_id: int, attempt: int, worker: tuple[str, str]
) -> tuple[Run, frozenset[int]] | None:
    """Start on a batch: the run, and the images of the batch that have no verdict yet.

    `worker` is (host id, worker name). None where nothing is to be done: the batch is done or
    gone, or its scan was cancelled.
    """
    now = time.time()
    with store.write() as connection:
        row = connection.execute(
            sa.select(batch.c.scan_id, batch.c.attempt, batch.c.done_at, scan.c.cancelled_at)
            .join(scan)
            .where(batch.c.id == batch_id)
        ).first()
        if row is None or row.done_at is not None or row.cancelled_at is not None:
            return None
        # An old message of the batch may come after it has failed.
        attempt = max(row.attempt, attempt)
        pending = frozenset(connection.scalars(_pending(batch_id)))
        begun = put_run(connection, Run(0, row.scan_id, batch_id, attempt), worker, (now, now))
    return begun, pending


def put_run(
    connection: sa.Connection, of: Run, worker: tuple[str, str], span: tuple[float, float]
) -> Run:
    """Write a run, within a transaction, and give it with the number that it gets here.

    `worker` is (host id, worker name), `span` its start and its last commit so far.
    """
    run_id = insert_one(
        connection,
        run,
        scan_id=of.scan_id,
        batch_id=of.batch_id,
        host_id=worker[0],
        worker=worker[1],
        attempt=of.attempt,
        started_at=span[0],
        ended_at=span[1],
    )
    return replace(of, run_id=run_id)


def record(store: Store, of: Run, verdicts: Sequence[Verdict]) -> None:
    """Write the verdicts and findings of one chunk in one transaction.

    The findings follow their verdict: refused with it where there is a better one already, else in
    the place of those that are there.
    """
    if not verdicts:
        return
    with store.write() as connection:
        put(connection, of, make_way(connection, of.scan_id, of.stage, verdicts))
        connection.execute(sa.update(run).where(run.c.id == of.run_id).values(ended_at=time.time()))


def put(connection: sa.Connection, of: Run, accepted: Sequence[Verdict]) -> None:
    """Write verdicts that `make_way` has let through, and their findings."""
    put_verdicts, put_findings = _statements(connection.dialect)
    put_verdicts.run(connection, [_verdict_row(of, judged) for judged in accepted])
    findings = [row for judged in accepted for row in _finding_rows(of, judged)]
    put_findings.run(connection, findings)


def make_way(
    connection: sa.Connection, scan_id: int, stage: int, verdicts: Sequence[Verdict]
) -> Sequence[Verdict]:
    """The verdicts that are not refused; the findings that they replace are deleted."""
    if stage > FIRST_STAGE:
        verdicts = _without_errors(connection, scan_id, stage, verdicts)
    there = connection.execute(
        sa.select(verdict.c.image_id, verdict.c.stage, verdict.c.outcome).where(
            verdict.c.scan_id == scan_id,
            verdict.c.image_id.in_([judged.image_id for judged in verdicts]),
        )
    ).all()
    if not there:  # but for a batch that somebody else has run too
        return verdicts
    # As the upsert has it, see `_statements`.
    replaced = {row.image_id for row in there if stage > row.stage or row.outcome == Outcome.ERROR}
    connection.execute(
        sa.delete(finding).where(
            finding.c.scan_id == scan_id, finding.c.image_id.in_(sorted(replaced))
        )
    )
    refused = {row.image_id for row in there} - replaced
    return [judged for judged in verdicts if judged.image_id not in refused]


def _without_errors(
    connection: sa.Connection, scan_id: int, stage: int, verdicts: Sequence[Verdict]
) -> Sequence[Verdict]:
    """What a second look has seen; where it failed, the first one's verdict stands.

    It has been looked at all the same: nobody is to try for ever.
    """
    lost = [judged.image_id for judged in verdicts if judged.error is not None]
    if lost:
        connection.execute(
            sa.update(verdict)
            .where(
                verdict.c.scan_id == scan_id,
                verdict.c.image_id.in_(lost),
                verdict.c.outcome != Outcome.ERROR.value,
            )
            .values(stage=stage)
        )
    return [judged for judged in verdicts if judged.error is None]


@cache
def _statements(dialect: sa.Dialect) -> tuple[BulkInsert, BulkInsert]:
    """How verdicts and findings are written, where they are new or replace what is there.

    The verdicts' condition is `make_way`'s, for what another worker commits after that has looked.
    """
    insert = upsert(dialect.name, verdict)
    later = insert.excluded.stage > verdict.c.stage
    failed = verdict.c.outcome == sa.literal_column(f"'{Outcome.ERROR}'")
    columns = [column.name for column in verdict.c if not column.primary_key]
    put_verdict = insert.on_conflict_do_update(
        index_elements=["scan_id", "image_id"],
        set_={name: insert.excluded[name] for name in columns},
        where=later | failed,
    )
    put_finding = upsert(dialect.name, finding).on_conflict_do_nothing()
    return BulkInsert(put_verdict, dialect), BulkInsert(put_finding, dialect)


def finish_batch(store: Store, of: Run) -> bool:
    """Mark a batch done if every image of it has a verdict; whether it is."""
    with store.write() as connection:
        return finish(connection, of.scan_id, of.batch_id)


def finish(connection: sa.Connection, scan_id: int, batch_id: int) -> bool:
    """The same within a transaction."""
    if connection.execute(_pending(batch_id).limit(1)).first() is not None:
        return False
    connection.execute(
        sa.update(batch)
        .where(batch.c.id == batch_id, batch.c.done_at.is_(None))
        .values(done_at=time.time())
    )
    finish_if_done(connection, scan_id)
    return True


def mark_published(store: Store, batches: Sequence[int]) -> None:
    """Note that messages for these batches are on the queue."""
    if not batches:
        return
    with store.write() as connection:
        connection.execute(
            sa.update(batch).where(batch.c.id.in_(batches)).values(published_at=time.time())
        )


def undone(store: Store, owner: str, scan_id: int | None = None) -> list[int]:
    """The batches of an owner's live scans that are not done, the oldest first."""
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


def again(store: Store, batch_id: int, *, failed: bool) -> tuple[int, Batch] | None:
    """What of a batch is left to do, as (scan id, batch); the attempt one higher if it `failed`.

    None, and the batch marked done, where nothing is left.
    """
    with store.write() as connection:
        row = connection.execute(
            sa.select(batch.c.scan_id, batch.c.attempt).where(
                batch.c.id == batch_id, batch.c.done_at.is_(None)
            )
        ).first()
        if row is None:
            return None
        images = tuple(
            BatchImage(left.id, bytes(left.path), left.size_bytes)
            for left in connection.execute(
                sa.select(image.c.id, image.c.path, entry.c.size_bytes)
                .select_from(entry.join(image))
                .where(image.c.id.in_(_pending(batch_id)), entry.c.scan_id == row.scan_id)
                .order_by(image.c.id)
            )
        )
        attempt = row.attempt + failed
        values = {"attempt": attempt} if images else {"done_at": time.time()}
        connection.execute(sa.update(batch).where(batch.c.id == batch_id).values(values))
        if not images:
            finish_if_done(connection, row.scan_id)
            return None
    return row.scan_id, Batch(batch_id, attempt, images)


def _pending(batch_id: int) -> sa.Select[int]:
    """The images of a batch that have no verdict."""
    judged = (verdict.c.scan_id == entry.c.scan_id) & (verdict.c.image_id == entry.c.image_id)
    return (
        sa.select(entry.c.image_id)
        .outerjoin(verdict, judged)
        .where(entry.c.batch_id == batch_id, verdict.c.image_id.is_(None))
    )


def _verdict_row(of: Run, judged: Verdict) -> dict[str, Any]:
    error = judged.error
    return {
        "scan_id": of.scan_id,
        "image_id": judged.image_id,
        "run_id": of.run_id,
        "outcome": judged.outcome.value,
        "score": judged.score,
        "detector": judged.detector,
        "examined": judged.examined,
        "attempt": of.attempt,
        "stage": of.stage,
        "error_kind": None if error is None else error.kind.value,
        "error_text": None if error is None else clean(error.text),
        "digest": judged.digest,
        "fetch_us": judged.timings.fetch_us,
        "decode_us": judged.timings.decode_us,
        "infer_us": judged.timings.infer_us,
        "kept_from": None,
    }


def _finding_rows(of: Run, judged: Verdict) -> list[dict[str, Any]]:
    return [
        {
            "scan_id": of.scan_id,
            "image_id": judged.image_id,
            "detector": said.detector,
            "n": n,
            "kind": said.kind,
            "score": said.score,
            "text": clean(said.text) if said.text else "",
            "detail": json.dumps(clean_json(dict(said.detail))) if said.detail else None,
        }
        for n, said in enumerate(judged.findings)
    ]
