"""The figures of a report, all read from one state of the store.

No row per image is loaded except for a bounded number of timings: a report on a million images
takes seconds and little memory.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the fields' types
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT, failed_images, settled_images
from storage.database.schema import entry, verdict
from storage.reads.breakdown import Breakdown, read_breakdown
from storage.reads.evidence import (
    ErrorCount,
    EvidenceCount,
    count_images,
    read_error_counts,
    read_evidence,
)
from storage.reads.hosts import HostFigures, active_seconds, read_hosts
from storage.reads.kept_figures import KEPT_FROM_IMAGES, finished_time, keep, key_of, read_kept
from storage.reads.labelled import LabelledCount, read_labelled
from storage.reads.progress import Counts, read_counts, read_span
from storage.records import CONTEXT, STATED, Outcome

if TYPE_CHECKING:
    from storage.database.store import Store


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a scan; `detectors` has the number of images that each detector scored.

    `seconds` is the time from the start of the first batch to the last commit; `active_seconds`
    leaves out the time when no batch was at work, between two sessions for example. `errors` are
    of images without another verdict, `settled_errors` of those that metadata settled. `edited`
    counts edited versions of other images by verdict, None while pending.
    """

    counts: Counts
    seconds: float
    active_seconds: float
    hosts: tuple[HostFigures, ...]
    detectors: Mapping[str, int]
    evidence: tuple[EvidenceCount, ...]
    errors: tuple[ErrorCount, ...]
    settled_errors: tuple[ErrorCount, ...]
    labelled: tuple[LabelledCount, ...]
    breakdown: Breakdown
    edited: Mapping[Outcome | None, int]


def read_figures(store: Store, scan_id: int, detectors: Mapping[str, float]) -> Figures:
    """Return the figures of a scan; `detectors` has the scores from which those of its plan flag.

    Raises NotFound where there is no such scan.
    """
    key = key_of(detectors)
    with store.read() as connection:
        finished_at = finished_time(connection, scan_id)
        if finished_at is not None:
            kept = read_kept(connection, Figures, scan_id, finished_at, key)
            if kept is not None:
                return kept
        figures = _count(connection, scan_id, detectors)
    # Labels are of sets that are smaller.
    is_large = figures.counts.images >= KEPT_FROM_IMAGES and not figures.labelled
    if finished_at is not None and is_large:
        keep(store, figures, scan_id, finished_at, key)
    return figures


def _count(connection: sa.Connection, scan_id: int, detectors: Mapping[str, float]) -> Figures:
    scoring = {name: score for name, score in detectors.items() if name != CONTEXT}
    counts = read_counts(connection, scan_id)
    span = read_span(connection, scan_id)
    labelled = read_labelled(connection, scan_id)
    breakdown = read_breakdown(connection, scan_id, scoring, is_labelled=bool(labelled))
    images = dict(breakdown.coverage.scored)
    for name in STATED & detectors.keys():
        images[name] = count_images(connection, scan_id, name)
    evidence = read_evidence(connection, scan_id)
    if CONTEXT in detectors:
        images[CONTEXT] = sum(row.images for row in evidence if row.detector == CONTEXT)
    return Figures(
        counts=counts,
        seconds=0.0 if span is None else span[1] - span[0],
        active_seconds=active_seconds(breakdown.runs),
        hosts=read_hosts(connection, scan_id, breakdown.runs),
        detectors=images,
        evidence=evidence,
        errors=read_error_counts(connection, scan_id, failed_images(scan_id)),
        settled_errors=read_error_counts(connection, scan_id, settled_images(scan_id)),
        labelled=labelled,
        breakdown=breakdown,
        edited=_read_edited(connection, scan_id),
    )


def _read_edited(connection: sa.Connection, scan_id: int) -> dict[Outcome | None, int]:
    rows = connection.execute(
        sa.select(verdict.c.outcome, sa.func.count())
        .select_from(entry.outerjoin(verdict, ENTRY_VERDICT))
        .where(entry.c.scan_id == scan_id, entry.c.edited.is_not(None))
        .group_by(verdict.c.outcome)
    )
    return {None if outcome is None else Outcome(outcome): images for outcome, images in rows}
