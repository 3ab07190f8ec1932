"""Setting custom thresholds by photos that are known to be real."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.detectors.thresholds import (
    CustomThresholds,
    allowed_false_positives,
    custom_for,
    lowest_threshold,
    read_thresholds,
    write_thresholds,
)
from scanner.listing.walk import Walk, WalkOptions
from storage.records import STATED, BatchImage
from workers.batch.sandbox import Sandbox
from workers.limits import Limits
from workers.sources.local import LocalSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from storage.records import Plan, PlannedDetector, Verdict

# Photos between two lines of progress.
PROGRESS_EVERY = 100


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The result for one detector; `thresholds` is None if there were too few photos.

    `false_positives` is the number of photos that the new threshold flags, `before` the old one.
    """

    detector: str
    photos: int
    false_positives: int
    before: float
    thresholds: CustomThresholds | None


def calibrate(
    folder: Path, plan: Plan, rate: float, say: Callable[[str], object]
) -> list[Calibrated]:
    """Set thresholds by which at most a share `rate` of real photos is flagged.

    Raise ThresholdError and WalkError.
    """
    # First: scoring all the photos takes a while.
    custom = read_thresholds()
    scores = _scores(folder, plan, say)
    results = [_calibrated(each, scores[each.name], rate) for each in plan.detectors if each.sha256]
    write_thresholds(
        custom | {each.detector: each.thresholds for each in results if each.thresholds is not None}
    )
    return results


def _scores(folder: Path, plan: Plan, say: Callable[[str], object]) -> dict[str, list[float]]:
    """Return each detector's scores of the photos that it scores: of several faces, the highest."""
    scores: dict[str, list[float]] = defaultdict(list)
    flagged = 0
    for number, verdict in enumerate(_verdicts(folder, plan), start=1):
        highest: dict[str, float] = {}
        for finding in verdict.findings:
            if finding.score is not None:
                score = max(finding.score, highest.get(finding.detector, 0.0))
                highest[finding.detector] = score
        if not STATED.isdisjoint(highest):
            flagged += 1
            continue
        for name, score in highest.items():
            scores[name].append(score)
        if number % PROGRESS_EVERY == 0:
            say(f"{number:,} photos scored")
    if flagged:
        why = "their metadata, marks or names mention AI, so they may not be real"
        say(f"{flagged:,} left out: {why}")
    return scores


def _verdicts(folder: Path, plan: Plan) -> Iterator[Verdict]:
    """Yield the verdict on each photo, which is judged in a confined process."""
    limits = Limits()
    with LocalSource(folder.absolute(), limits.max_bytes) as source, Sandbox(plan, limits) as box:
        for number, photo in enumerate(Walk(folder.absolute(), WalkOptions()), start=1):
            yield box.judge(source, BatchImage(number, photo.path, photo.size_bytes))


def _calibrated(planned: PlannedDetector, scores: list[float], rate: float) -> Calibrated:
    allowed = allowed_false_positives(len(scores), rate)
    before = planned.thresholds.flagged_from
    if allowed is None:
        return Calibrated(planned.name, len(scores), 0, before, None)
    own = custom_for(planned, lowest_threshold(scores, allowed))
    flagged = sum(score >= own.thresholds.flagged_from for score in scores)
    return Calibrated(planned.name, len(scores), flagged, before, own)
