"""What is asked while a scan runs and after it: how far it is, and every verdict as a row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import entry, finding, host, image, run, scan, verdict
from storage.errors import NotFound
from storage.reads.filters import clause
from storage.records import ErrorKind, Finding, ImageError, Outcome, Timings, Verdict
from storage.writes.results import Host

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from storage.database.store import Store
    from storage.reads.filters import Condition

# Rows read at a time: enough to make a query worth its while, few enough for a Pi's memory.
PAGE_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Counts:
    """How many images of a scan came to what; with `pending` the five always make `images`.

    `not_examined` are those of `no_evidence` whose pixels no detector looked at; `kept` those
    that took their verdict over from an earlier scan.
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
        """Images that have a verdict, kept or not."""
        return self.ai + self.unsure + self.no_evidence + self.error

    @property
    def judged_here(self) -> int:
        """Images whose verdict was reached in this scan."""
        return self.judged - self.kept

    @property
    def pending(self) -> int:
        """Images without a verdict."""
        return self.images - self.judged


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One image of a scan; `verdict` is None while it is pending, `host` is a label.

    `truth` is what a label says of the image (True: AI-made).
    """

    image_id: int
    path: bytes
    truth: bool | None
    host: str | None
    verdict: Verdict | None


def counts(store: Store, scan_id: int) -> Counts:
    """The counts of a scan just now; NotFound where there is no such scan."""
    with store.read() as connection:
        return read_counts(connection, scan_id)


def read_counts(connection: sa.Connection, scan_id: int) -> Counts:
    """As `counts`, within a transaction."""
    images = connection.scalar(sa.select(scan.c.images).where(scan.c.id == scan_id))
    if images is None:
        raise NotFound(f"There is no scan {scan_id} in this store: `scanner scans` lists them")
    totals = dict.fromkeys(Outcome, 0)
    not_examined = 0
    # In the words of its index, so that no row of the table itself is read.
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
    """When the first batch was begun and the last verdict committed; None before the first."""
    query = sa.select(sa.func.min(run.c.started_at), sa.func.max(run.c.ended_at))
    first, last = connection.execute(query.where(run.c.scan_id == scan_id)).one()
    return None if first is None else (first, last)


def verdict_rows(
    store: Store, scan_id: int, where: Sequence[Condition] = ()
) -> Iterator[VerdictRow]:
    """Every image of a scan, pending ones too, in the order in which they were listed.

    With conditions, those that meet all of them.

    Read in pages of a transaction each: a reader who takes his time (a pager, say) must not hold
    up the write-ahead log. So what is judged meanwhile may show in later rows, not in earlier ones.
    """
    after = 0
    while True:
        with store.read() as connection:
            page = list(connection.execute(_page(scan_id, after, where)))
            if not page:
                return
            findings = _findings(connection, scan_id, [row.image_id for row in page])
        after = page[-1].image_id
        for row in page:
            yield _verdict_row(row, findings)


def verdict_row(store: Store, scan_id: int, image_id: int) -> VerdictRow | None:
    """One image of a scan; None where the scan has no such image."""
    with store.read() as connection:
        row = connection.execute(_page(scan_id, image_id - 1, ()).limit(1)).first()
        if row is None or row.image_id != image_id:
            return None
        findings = _findings(connection, scan_id, [image_id])
    return _verdict_row(row, findings)


def _verdict_row(row: sa.Row[Any], findings: Mapping[int, tuple[Finding, ...]]) -> VerdictRow:
    return VerdictRow(
        row.image_id,
        bytes(row.path),
        row.truth,
        row.label,
        _verdict(row, findings.get(row.image_id, ())),
    )


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that could not be judged, and why."""

    image_id: int
    path: bytes
    kind: ErrorKind
    text: str


def new_errors(store: Store, scan_id: int, known: Container[int]) -> list[FailedImage]:
    """The images of a scan that ended in `error`, but for those that are known."""
    failed = sa.select(verdict.c.image_id).where(
        verdict.c.scan_id == scan_id, verdict.c.outcome == Outcome.ERROR
    )
    found: list[FailedImage] = []
    with store.read() as connection:
        new = [image_id for image_id in connection.scalars(failed) if image_id not in known]
        for start in range(0, len(new), PAGE_ROWS):
            rows = connection.execute(
                sa.select(
                    verdict.c.image_id, image.c.path, verdict.c.error_kind, verdict.c.error_text
                )
                .select_from(verdict.join(image, image.c.id == verdict.c.image_id))
                .where(
                    verdict.c.scan_id == scan_id,
                    verdict.c.image_id.in_(new[start : start + PAGE_ROWS]),
                )
                .order_by(verdict.c.image_id)
            )
            found += [
                FailedImage(image_id, bytes(path), ErrorKind(kind), text or "")
                for image_id, path, kind, text in rows
            ]
    return found


def _page(scan_id: int, after: int, where: Sequence[Condition]) -> sa.Select[Any]:
    judged = (verdict.c.scan_id == entry.c.scan_id) & (verdict.c.image_id == entry.c.image_id)
    return (
        sa.select(
            entry.c.image_id,
            image.c.path,
            entry.c.truth,
            host.c.label,
            *(column for column in verdict.c if not column.primary_key),
        )
        .select_from(
            entry.join(image)
            .outerjoin(verdict, judged)
            .outerjoin(run, run.c.id == verdict.c.run_id)
            .outerjoin(host, host.c.id == run.c.host_id)
        )
        .where(entry.c.scan_id == scan_id, entry.c.image_id > after, *map(clause, where))
        .order_by(entry.c.image_id)
        .limit(PAGE_ROWS)
    )


def _findings(
    connection: sa.Connection, scan_id: int, images: Sequence[int]
) -> dict[int, tuple[Finding, ...]]:
    """The findings on the images of one page, by image, in the order they were made."""
    rows = connection.execute(
        sa.select(finding)
        .where(finding.c.scan_id == scan_id, finding.c.image_id.in_(images))
        .order_by(finding.c.image_id, finding.c.n, finding.c.detector)
    )
    return {
        image_id: tuple(
            Finding(row.detector, row.kind, row.score, row.text, row.detail or {}) for row in said
        )
        for image_id, said in groupby(rows, attrgetter("image_id"))
    }


def _verdict(row: sa.Row[Any], findings: tuple[Finding, ...]) -> Verdict | None:
    if row.outcome is None:
        return None
    error = None
    if row.error_kind is not None:
        error = ImageError(ErrorKind(row.error_kind), row.error_text or "")
    return Verdict(
        image_id=row.image_id,
        outcome=Outcome(row.outcome),
        score=row.score,
        detector=row.detector,
        examined=row.examined,
        findings=findings,
        error=error,
        digest=None if row.digest is None else bytes(row.digest),
        timings=Timings(row.fetch_us, row.decode_us, row.infer_us),
    )


def hosts(store: Store) -> list[Host]:
    """Every machine that has worked, by label."""
    with store.read() as connection:
        rows = connection.execute(sa.select(host).order_by(host.c.label, host.c.id))
        return [Host(row.id, row.label, row.arch, row.info) for row in rows]
