"""A report on a scan: every figure that its table, its JSON and later forms show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.report.metrics import Classification, ScoreCount, classification
from storage.figures import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.figures import ErrorCount, EvidenceCount, Figures, HostFigures, LabelledCount
    from storage.queries import Counts
    from storage.records import Outcome
    from storage.scans import Scan
    from storage.store import Store


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

    `by_verdict` counts labelled images by (truth, outcome), the outcome None while pending.
    """

    images: int
    scored: int
    figures: Classification
    by_verdict: Mapping[tuple[bool, Outcome | None], int]


@dataclass(frozen=True, slots=True)
class Report:
    """A scan summed up, all of it read from one state of the store."""

    scan: Scan
    counts: Counts
    seconds: float
    active_seconds: float
    hosts: tuple[HostFigures, ...]
    detectors: tuple[DetectorFigures, ...]
    evidence: tuple[EvidenceCount, ...]
    errors: tuple[ErrorCount, ...]
    truth: Truth | None

    @property
    def images_per_second(self) -> float | None:
        """Images judged in this scan, by `seconds`; None where that is no time at all."""
        return self.counts.judged_here / self.seconds if self.seconds > 0 else None

    @property
    def state(self) -> str:
        """`finished`, `cancelled`, or `unfinished`: at work, waiting or broken off."""
        if self.scan.finished_at is not None:
            return "finished"
        return "unfinished" if self.scan.cancelled_at is None else "cancelled"


def build(store: Store, scan: Scan) -> Report:
    """The report on a scan as the store has it now; NotFound where it is gone."""
    planned = scan.plan.get("detectors", ())
    read = figures(store, scan.scan_id, [one["name"] for one in planned])
    return Report(
        scan=scan,
        counts=read.counts,
        seconds=read.seconds,
        active_seconds=read.active_seconds,
        hosts=read.hosts,
        detectors=tuple(_detectors(scan, read)),
        evidence=read.evidence,
        errors=read.errors,
        truth=truth_of(read.labelled),
    )


def _detectors(scan: Scan, read: Figures) -> Iterable[DetectorFigures]:
    for one in scan.plan.get("detectors", ()):
        yield DetectorFigures(
            name=one["name"],
            version=one["version"],
            sha256=one["sha256"],
            unsure=one["thresholds"]["unsure"],
            ai=one["thresholds"]["ai"],
            images=read.detectors[one["name"]],
        )


def truth_of(labelled: Iterable[LabelledCount]) -> Truth | None:
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
    return Truth(
        images=sum(by_verdict.values()),
        scored=sum(group.images for group in scored),
        figures=classification(scored),
        by_verdict=by_verdict,
    )
