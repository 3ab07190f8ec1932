"""What each detector looked at in a scan: for its own figures, and for the corrected share."""

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
    """Images that a detector scored; at their native size; of these, those scored as AI-made."""

    scored: int
    native: int
    flagged: int


def read_looked(
    connection: sa.Connection, scan_id: int, ai_from: Mapping[str, float]
) -> dict[str, Coverage]:
    """What each detector looked at; those that scored nothing are told at once, in one pass."""
    scored = (finding.c.scan_id == scan_id) & finding.c.score.is_not(None)
    spoke = set(connection.scalars(sa.select(finding.c.detector).where(scored).distinct()))
    return {
        name: _looked_by(connection, scored & (finding.c.detector == name), ai)
        if name in spoke
        else Coverage(0, 0, 0)
        for name, ai in ai_from.items()
    }


def _looked_by(connection: sa.Connection, ours: sa.ColumnElement[bool], ai: float) -> Coverage:
    detail = finding.c.detail
    size = sa.case((detail.is_not(sa.null()), detail[RESIZED_FROM].as_string())).label("size")
    # One score an image, as of a net that looks at it whole, is counted as it lies there.
    single = sa.select(finding.c.score, size, finding.c.n).where(ours).subquery()
    counts = sa.select(*_counted(single, ai), sa.func.max(single.c.n).label("last"))
    row = connection.execute(counts).one()
    if row.last:
        best = (
            sa.select(sa.func.max(finding.c.score).label("score"), sa.func.max(size).label("size"))
            .where(ours)
            # Not counted distinct: the findings lie in this order already.
            .group_by(finding.c.image_id)
            .subquery()
        )
        row = connection.execute(sa.select(*_counted(best, ai))).one()
    return Coverage(row.scored, row.scored - row.resized, row.flagged)


def _counted(scores: sa.Subquery, ai: float) -> tuple[sa.Label[int], ...]:
    """The figures of `Coverage`, from a score an image and what it was resized from."""
    is_flagged = (scores.c.score >= ai) & scores.c.size.is_(None)
    return (
        sa.func.count().label("scored"),
        sa.func.count(scores.c.size).label("resized"),
        sa.func.count(sa.case((is_flagged, 1))).label("flagged"),
    )
