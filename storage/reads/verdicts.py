"""The images of a scan with their verdicts, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT, failed_images
from storage.database.schema import entry, finding, host, image, run, verdict
from storage.reads.filters import to_sql
from storage.records import ErrorKind, Finding, ImageError, Outcome, Photograph, Timings, Verdict

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from storage.database.store import Store
    from storage.reads.filters import Condition

# Rows that are read at once: few enough for the memory of a Raspberry Pi.
PAGE_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One image of a scan; `verdict` is None while it is pending, `host` is the host's label.

    `label` is the ground truth (True: AI-generated), None where it is unknown; `edited` is true of
    the edited version of another image.
    """

    image_id: int
    path: bytes
    label: bool | None
    host: str | None
    verdict: Verdict | None
    edited: bool = False


def verdict_rows(
    store: Store, scan_id: int, where: Sequence[Condition] = ()
) -> Iterator[VerdictRow]:
    """Yield the images of a scan that meet all conditions, pending ones too, as they were listed.

    Each page is one transaction: slow consumers (e.g. a pager) must not block WAL checkpoints. So
    verdicts written in the meantime may appear in later rows.
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
    """Return one image of a scan; None where the scan has no such image."""
    with store.read() as connection:
        row = connection.execute(_page(scan_id, image_id - 1, ()).limit(1)).first()
        if row is None or row.image_id != image_id:
            return None
        findings = _findings(connection, scan_id, [image_id])
    return _verdict_row(row, findings)


def read_verdicts(store: Store, scan_id: int, images: Sequence[int]) -> dict[int, Verdict]:
    """Return the verdicts on a page of images by id; those that are pending are left out."""
    with store.read() as connection:
        rows = list(connection.execute(_rows(scan_id).where(entry.c.image_id.in_(images))))
        findings = _findings(connection, scan_id, images)
    judged = ((row.image_id, _verdict(row, findings.get(row.image_id, ()))) for row in rows)
    return {image_id: verdict for image_id, verdict in judged if verdict is not None}


def images_with(store: Store, scan_id: int, outcome: Outcome) -> list[int]:
    """Return the images of a scan with an outcome that has scores, the highest score first."""
    query = (
        sa.select(verdict.c.image_id)
        .where(verdict.c.scan_id == scan_id, verdict.c.outcome == outcome)
        .order_by(verdict.c.score.desc(), verdict.c.image_id)
    )
    with store.read() as connection:
        return list(connection.scalars(query))


def _verdict_row(row: sa.Row[Any], findings: Mapping[int, tuple[Finding, ...]]) -> VerdictRow:
    return VerdictRow(
        row.image_id,
        bytes(row.path),
        row.truth,
        row.host,
        _verdict(row, findings.get(row.image_id, ())),
        bool(row.edited),
    )


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that could not be judged, and why."""

    image_id: int
    path: bytes
    kind: ErrorKind
    text: str


def new_errors(store: Store, scan_id: int, known: Container[int]) -> list[FailedImage]:
    """Return the images of a scan that ended in `error`, except those in `known`."""
    errors: list[FailedImage] = []
    with store.read() as connection:
        failed = connection.scalars(failed_images(scan_id))
        new = [image_id for image_id in failed if image_id not in known]
        for start in range(0, len(new), PAGE_ROWS):
            errors += read_errors(connection, scan_id, new[start : start + PAGE_ROWS])
    return errors


def read_errors(
    connection: sa.Connection, scan_id: int, images: Sequence[int] | sa.Select[int]
) -> list[FailedImage]:
    """Return those of the images that could not be judged, by id, within a transaction."""
    rows = connection.execute(
        sa.select(verdict.c.image_id, image.c.path, verdict.c.error_kind, verdict.c.error_text)
        .join(image, image.c.id == verdict.c.image_id)
        .where(
            verdict.c.scan_id == scan_id,
            verdict.c.image_id.in_(images),
            verdict.c.error_kind.is_not(None),
        )
        .order_by(verdict.c.image_id)
    )
    return [
        FailedImage(image_id, bytes(path), ErrorKind(kind), text or "")
        for image_id, path, kind, text in rows
    ]


def _page(scan_id: int, after: int, where: Sequence[Condition]) -> sa.Select[Any]:
    return (
        _rows(scan_id)
        .where(entry.c.image_id > after, *map(to_sql, where))
        .order_by(entry.c.image_id)
        .limit(PAGE_ROWS)
    )


def _rows(scan_id: int) -> sa.Select[Any]:
    return (
        sa.select(
            entry.c.image_id,
            image.c.path,
            entry.c.truth,
            entry.c.edited,
            host.c.label.label("host"),
            *(column for column in verdict.c if not column.primary_key),
        )
        .select_from(
            entry.join(image)
            .outerjoin(verdict, ENTRY_VERDICT)
            .outerjoin(run, run.c.id == verdict.c.run_id)
            .outerjoin(host, host.c.id == run.c.host_id)
        )
        .where(entry.c.scan_id == scan_id)
    )


def _findings(
    connection: sa.Connection, scan_id: int, images: Sequence[int]
) -> dict[int, tuple[Finding, ...]]:
    """Return the findings on images by image id, in their original order."""
    rows = connection.execute(
        sa.select(finding)
        .where(finding.c.scan_id == scan_id, finding.c.image_id.in_(images))
        .order_by(finding.c.image_id, finding.c.n, finding.c.detector)
    )
    return {
        image_id: tuple(
            Finding(row.detector, row.kind, row.score, row.text, row.detail or {}) for row in group
        )
        for image_id, group in groupby(rows, attrgetter("image_id"))
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
        photograph=Photograph(row.taken_at, row.camera, row.look),
    )
