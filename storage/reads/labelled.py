"""Verdicts on labelled images: the counts that measures of accuracy are computed from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT, first_columns
from storage.database.schema import entry, image, verdict
from storage.reads.folders import folder_name
from storage.records import SCORE_THRESHOLD, Outcome

# Up to this many labelled images, scores are exact; above, they are rounded to
EXACT_IMAGES = 100_000
# steps (a power of two, so that SCORE_THRESHOLD is a bound between two of them).
SCORE_STEPS = 4096

# Labelled images by (label, whether the score is at least SCORE_THRESHOLD).
Calls = Counter[tuple[bool, bool]]


@dataclass(frozen=True, slots=True)
class LabelledCount:
    """Labelled images of the same label, outcome (None: pending) and score."""

    label: bool
    outcome: Outcome | None
    score: float | None
    images: int


def read_labelled(connection: sa.Connection, scan_id: int) -> tuple[LabelledCount, ...]:
    """Count labelled images by score; among many images by step, given by its middle."""
    labelled = (entry.c.scan_id == scan_id) & entry.c.truth.is_not(None)
    images = connection.scalar(sa.select(sa.func.count()).select_from(entry).where(labelled)) or 0
    if not images:
        return ()
    is_exact = images <= EXACT_IMAGES
    score: sa.ColumnElement[Any] = verdict.c.score
    if not is_exact:
        score = verdict.c.score * SCORE_STEPS
        # A cast truncates on SQLite, which may lack floor(); on Postgres it rounds.
        score = sa.cast(
            score if connection.dialect.name == "sqlite" else sa.func.floor(score), sa.Integer
        )
    rows = connection.execute(
        sa.select(entry.c.truth, verdict.c.outcome, score, sa.func.count())
        .select_from(entry.outerjoin(verdict, ENTRY_VERDICT))
        .where(labelled)
        .group_by(*first_columns(3))
    )
    return tuple(
        LabelledCount(
            label,
            None if outcome is None else Outcome(outcome),
            step if step is None or is_exact else min(1.0, (step + 0.5) / SCORE_STEPS),
            number,
        )
        for label, outcome, step, number in rows
    )


def read_calls(
    connection: sa.Connection, scan_id: int, parent: bytes
) -> tuple[dict[bytes, Calls], dict[str, Calls]]:
    """Count labelled, scored images by call: for each folder in `parent`, each deciding detector.

    Of several findings on an image, the one that decided counts.
    """
    by_folder: dict[bytes, Calls] = {}
    by_detector: dict[str, Calls] = {}
    rows = connection.execute(
        sa.select(
            folder_name(connection, parent),
            verdict.c.detector,
            entry.c.truth,
            verdict.c.score >= SCORE_THRESHOLD,
            sa.func.count(),
        )
        .select_from(entry.join(verdict, ENTRY_VERDICT).join(image, image.c.id == entry.c.image_id))
        .where(entry.c.scan_id == scan_id, entry.c.truth.is_not(None), verdict.c.score.is_not(None))
        .group_by(*first_columns(4))
    )
    for folder, detector, label, is_ai, images in rows:
        call = (bool(label), bool(is_ai))
        by_folder.setdefault(bytes(folder), Counter())[call] += images
        by_detector.setdefault(detector, Counter())[call] += images
    return by_folder, by_detector
