"""Findings other than scores, and errors: counted by kind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.clauses import first_columns
from storage.database.schema import finding, image, verdict
from storage.records import CONTEXT, ROUTER, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Iterator

# Images listed for each kind of error.
EXAMPLES = 5
# The kind of a finding with nothing but a score: no evidence, and counted with its detector.
BARE_SCORE = "score"


# Findings without a generator or a signature, one of a kind for an image.
_WITHOUT_DETAILS = (CONTEXT, ROUTER)


@dataclass(frozen=True, slots=True)
class EvidenceCount:
    """Images with the same kind of finding of a detector.

    `generator` and `signature` are from the finding's detail, None where it has none.
    """

    detector: str
    kind: str
    generator: str | None
    signature: str | None
    images: int


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Images with the same kind of error, and the first of them."""

    kind: ErrorKind
    images: int
    examples: tuple[tuple[bytes, str], ...]  # (path, the error's text)


def count_images(connection: sa.Connection, scan_id: int, detector: str) -> int:
    """Count the images with findings of a detector that stores nothing for the others."""
    # By the index on evidence: such a detector never returns a bare score.
    evidence = (finding.c.kind != BARE_SCORE) & (finding.c.detector == detector)
    images = sa.select(sa.func.count(finding.c.image_id.distinct()))
    return connection.execute(images.where(finding.c.scan_id == scan_id, evidence)).scalar_one()


def read_evidence(connection: sa.Connection, scan_id: int) -> tuple[EvidenceCount, ...]:
    """Return the findings other than bare scores by kind, the most frequent first."""
    counts = [*_without_details(connection, scan_id), *_of_provenance(connection, scan_id)]
    return tuple(sorted(counts, key=_by_images))


def _without_details(connection: sa.Connection, scan_id: int) -> Iterator[EvidenceCount]:
    """Count findings of router and context: from the index alone, for they may be very many."""
    rows = connection.execute(
        sa.select(finding.c.detector, finding.c.kind, sa.func.count())
        .where(
            finding.c.scan_id == scan_id,
            finding.c.kind != BARE_SCORE,
            finding.c.detector.in_(_WITHOUT_DETAILS),
        )
        .group_by(finding.c.detector, finding.c.kind)
    )
    for detector, kind, images in rows:
        yield EvidenceCount(detector, kind, None, None, images)


def _of_provenance(connection: sa.Connection, scan_id: int) -> Iterator[EvidenceCount]:
    columns = (
        finding.c.detector,
        finding.c.kind,
        finding.c.detail["generator"].as_string(),
        finding.c.detail["signature"].as_string(),
    )
    evidence = (
        (finding.c.scan_id == scan_id)
        & (finding.c.kind != BARE_SCORE)
        & finding.c.detector.not_in(_WITHOUT_DETAILS)
    )
    # The images come from the index; SQLite would read every finding otherwise.
    images = sa.select(finding.c.image_id).where(evidence)
    rows = connection.execute(
        sa.select(*columns, sa.func.count(finding.c.image_id.distinct()))
        .where(evidence, finding.c.image_id.in_(images))
        .group_by(*first_columns(len(columns)))
    )
    for row in rows:
        yield EvidenceCount(*row)


def _by_images(count: EvidenceCount) -> tuple[int, str, str, str, str]:
    return (
        -count.images,
        count.detector,
        count.kind,
        count.generator or "",
        count.signature or "",
    )


def read_error_counts(
    connection: sa.Connection, scan_id: int, images: sa.Select[int]
) -> tuple[ErrorCount, ...]:
    """Return the errors of these images by kind, the most frequent first."""
    kind, image_id = verdict.c.error_kind, verdict.c.image_id
    ranked = (
        sa.select(
            image_id,
            kind,
            verdict.c.error_text,
            sa.func.count().over(partition_by=kind).label("images"),
            sa.func.row_number().over(partition_by=kind, order_by=image_id).label("nth"),
        )
        .where(verdict.c.scan_id == scan_id, image_id.in_(images))
        .subquery()
    )
    rows = connection.execute(
        sa.select(ranked.c.error_kind, ranked.c.images, image.c.path, ranked.c.error_text)
        .select_from(ranked.join(image, image.c.id == ranked.c.image_id))
        .where(ranked.c.nth <= EXAMPLES)
        .order_by(ranked.c.images.desc(), ranked.c.error_kind, ranked.c.nth)
    )
    return tuple(
        ErrorCount(ErrorKind(key), images, tuple((bytes(row[2]), row[3] or "") for row in group))
        for (key, images), group in groupby(rows, key=itemgetter(0, 1))
    )
