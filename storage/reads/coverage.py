"""The images that each detector scored, for its own figures and for the prevalence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import finding
from storage.records import RESIZED_FROM

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Coverage:
    """Images that a detector scored, those at full resolution, and the flagged ones of these."""

    scored: int
    native: int
    flagged: int


def read_coverage(
    connection: sa.Connection, scan_id: int, ai_from: Mapping[str, float]
) -> dict[str, Coverage]:
    """Return the coverage of each detector of `ai_from`, which has the `ai` thresholds."""
    scored = (finding.c.scan_id == scan_id) & finding.c.score.is_not(None)
    # One pass finds those that scored nothing.
    with_scores = set(connection.scalars(sa.select(finding.c.detector).where(scored).distinct()))
    return {
        name: _coverage_of(connection, scored & (finding.c.detector == name), ai)
        if name in with_scores
        else Coverage(0, 0, 0)
        for name, ai in ai_from.items()
    }


def _coverage_of(
    connection: sa.Connection, condition: sa.ColumnElement[bool], ai: float
) -> Coverage:
    detail = finding.c.detail
    size = sa.case((detail.is_not(sa.null()), detail[RESIZED_FROM].as_string())).label("size")
    # One score per image, as of a model of whole images, needs no grouping.
    single = sa.select(finding.c.score, size, finding.c.n).where(condition).subquery()
    counts = sa.select(*_counted(single, ai), sa.func.max(single.c.n).label("last"))
    row = connection.execute(counts).one()
    if row.last:
        best = (
            sa.select(sa.func.max(finding.c.score).label("score"), sa.func.max(size).label("size"))
            .where(condition)
            # Instead of COUNT(DISTINCT): the findings are in this order already.
            .group_by(finding.c.image_id)
            .subquery()
        )
        row = connection.execute(sa.select(*_counted(best, ai))).one()
    return Coverage(row.scored, row.scored - row.resized, row.flagged)


def _counted(scores: sa.Subquery, ai: float) -> tuple[sa.Label[int], ...]:
    """Return the columns of `Coverage`, from one score and one original size per image."""
    is_flagged = (scores.c.score >= ai) & scores.c.size.is_(None)
    return (
        sa.func.count().label("scored"),
        sa.func.count(scores.c.size).label("resized"),
        sa.func.count(sa.case((is_flagged, 1))).label("flagged"),
    )
