"""A report on a scan: every figure that its table, its JSON and later forms show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.report.figures.error_rates import card_rates
from scanner.report.figures.estimate import CorrectedShare, corrected_share
from scanner.report.figures.throughput import Course, course
from storage.reads.aggregates import figures
from storage.writes.cascade import cascade_progress
from storage.writes.samples import sample_outcome
from workers.evaluation.curves import Curves, curves
from workers.evaluation.intervals import Interval, wilson
from workers.evaluation.metrics import Classification, Confusion, ScoreCount, classification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scanner.report.figures.estimate import Rates
    from storage.database.store import Store
    from storage.reads.aggregates import (
        ErrorCount,
        EvidenceCount,
        Figures,
        HostFigures,
        LabelledCount,
    )
    from storage.reads.breakdown import Breakdown, Calls
    from storage.reads.queries import Counts
    from storage.records import Outcome, PlannedDetector
    from storage.writes.cascade import CascadeProgress
    from storage.writes.samples import SampleOutcome
    from storage.writes.scans import Scan


@dataclass(frozen=True, slots=True)
class DetectorFigures:
    """A detector of the scan's plan; `images` are those on which it has a score.

    For provenance, which scores only what it finds, they are those of which it says anything.
    """

    name: str
    version: str
    sha256: str
    unsure: float
    ai: float
    images: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What labels say of the verdicts; `figures` are over the `scored` of the labelled `images`.

    `intervals` are those of the figures that are defined, by name. `by_verdict` counts labelled
    images by (truth, outcome), the outcome None while pending; `by_folder` and `by_detector` have
    the confusion matrices of the scored ones.
    """

    images: int
    scored: int
    figures: Classification
    intervals: Mapping[str, Interval]
    curves: Curves
    by_verdict: Mapping[tuple[bool, Outcome | None], int]
    by_folder: Mapping[bytes, Confusion]
    by_detector: Mapping[str, Confusion]


@dataclass(frozen=True, slots=True)
class Report:
    """A scan summed up, read from one state of the store, and a sample that people looked at."""

    scan: Scan
    counts: Counts
    seconds: float
    active_seconds: float
    hosts: tuple[HostFigures, ...]
    detectors: tuple[DetectorFigures, ...]
    evidence: tuple[EvidenceCount, ...]
    errors: tuple[ErrorCount, ...]
    truth: Truth | None
    breakdown: Breakdown
    corrected: CorrectedShare | None
    sample: SampleOutcome | None
    course: Course
    opinions: CascadeProgress | None

    @property
    def images_per_second(self) -> float | None:
        """Images judged in this scan, by `seconds`; None where that is no time at all."""
        return self.counts.judged_here / self.seconds if self.seconds > 0 else None


def build(
    store: Store, scan: Scan, rates: Callable[[PlannedDetector], Rates | None] = card_rates
) -> Report:
    """The report on a scan as the store has it now; NotFound where it is gone.

    `rates` says how often a detector of the plan is right, for the corrected share.
    """
    planned = {one.name: one for one in scan.plan.detectors}
    thresholds = {name: one.thresholds.ai for name, one in planned.items()}
    read = figures(store, scan.scan_id, thresholds)
    looked = read.breakdown.looked
    return Report(
        scan=scan,
        counts=read.counts,
        seconds=read.seconds,
        active_seconds=read.active_seconds,
        hosts=read.hosts,
        detectors=tuple(_detectors(scan, read)),
        evidence=read.evidence,
        errors=read.errors,
        truth=truth_of(read.labelled, read.breakdown),
        breakdown=read.breakdown,
        corrected=corrected_share(
            ((name, one.native, one.flagged) for name, one in looked.items()),
            lambda name: rates(planned[name]),
        ),
        sample=sample_outcome(store, scan.scan_id),
        course=course(read.breakdown.runs),
        opinions=cascade_progress(store, scan),
    )


def _detectors(scan: Scan, read: Figures) -> Iterable[DetectorFigures]:
    for one in scan.plan.detectors:
        yield DetectorFigures(
            name=one.name,
            version=one.version,
            sha256=one.sha256,
            unsure=one.thresholds.unsure,
            ai=one.thresholds.ai,
            images=read.detectors[one.name],
        )


def truth_of(labelled: Iterable[LabelledCount], breakdown: Breakdown) -> Truth | None:
    """The figures against labels; None where nothing is labelled."""
    labelled = tuple(labelled)
    if not labelled:
        return None
    by_verdict: dict[tuple[bool, Outcome | None], int] = {}
    for group in labelled:
        key = (group.truth, group.outcome)
        by_verdict[key] = by_verdict.get(key, 0) + group.images
    scored = [
        ScoreCount(group.score, group.truth, group.images)
        for group in labelled
        if group.score is not None
    ]
    found = classification(scored)
    return Truth(
        images=sum(by_verdict.values()),
        scored=sum(group.images for group in scored),
        figures=found,
        intervals=_intervals(found.confusion, scored),
        curves=curves(scored),
        by_verdict=by_verdict,
        by_folder={name: _confusion(calls) for name, calls in breakdown.calls_by_folder.items()},
        by_detector={name: _confusion(one) for name, one in breakdown.calls_by_detector.items()},
    )


def _intervals(matrix: Confusion, scored: list[ScoreCount]) -> dict[str, Interval]:
    """Return Wilson's intervals of shares of images, bootstrap intervals of the other figures."""
    if not scored:
        return {}
    from workers.evaluation.bootstrap import intervals  # noqa: PLC0415 - it needs NumPy

    correct = matrix.tp + matrix.tn
    shares = {
        "accuracy": (correct, matrix.images),
        "precision": (matrix.tp, matrix.tp + matrix.fp),
        "recall": (matrix.tp, matrix.tp + matrix.fn),
        "precision_real": (matrix.tn, matrix.tn + matrix.fn),
        "recall_real": (matrix.tn, matrix.tn + matrix.fp),
    }
    known = {name: wilson(part, whole) for name, (part, whole) in shares.items() if whole}
    return known | intervals(scored)


def _confusion(calls: Calls) -> Confusion:
    return Confusion(
        tp=calls[True, True], fp=calls[False, True], fn=calls[True, False], tn=calls[False, False]
    )
