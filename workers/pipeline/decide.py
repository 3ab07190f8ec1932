"""The decision on one image from its findings.

Each finding with a score has the level that the thresholds of its detector give it. The highest
level decides, and among findings of that level the highest score. Nothing is averaged: a tag that
names its generator is not weakened by a model that sees nothing, nor the other way round. Absence
of evidence decides nothing. Several models may examine one image, its faces and the whole, by the
same rule.

What surrounds the pixels moves the thresholds of the models (`workers.provenance.context`), but not
those of metadata and marks that name a generator, nor those of file names, which reach `unsure` at
most.

A score of an image that was resized for its model, or that is degraded, or of the preview in a
RAW file, reaches `unsure` at most, because false-positive rates were measured on other images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from storage.records import (
    CONTEXT,
    DEGRADED,
    LIKELIHOOD_RATIO,
    NEVER,
    PREVIEW,
    RESIZED_FROM,
    STATED,
    Outcome,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding, Plan, Thresholds

_LEVELS = (Outcome.NO_EVIDENCE, Outcome.UNSURE, Outcome.AI)


class Decision(NamedTuple):
    """Outcome, score and detector of the deciding finding; `examined` if a model saw the pixels."""

    outcome: Outcome
    score: float | None
    detector: str | None
    examined: bool


class DecisionRule:
    """The rule with the thresholds of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._thresholds = {planned.name: planned.thresholds for planned in plan.detectors}

    def decide(self, findings: Sequence[Finding]) -> Decision:
        """Return the outcome of one image."""
        level, score, detector, examined = 0, -1.0, None, False
        likelihood_ratio = context_ratio(findings)
        is_limited = any(finding.kind in (DEGRADED, PREVIEW) for finding in findings)
        for finding in findings:
            if finding.score is None:
                continue
            by_model = finding.detector not in STATED
            examined = examined or by_model
            thresholds = self._thresholds[finding.detector]
            if by_model:
                thresholds = thresholds.moved(likelihood_ratio)
            reached = _level(thresholds, finding.score)
            if by_model and (is_limited or RESIZED_FROM in finding.detail):
                reached = min(reached, 1)
            if (reached, finding.score) > (level, score):
                level, score, detector = reached, finding.score, finding.detector
        return Decision(_LEVELS[level], None if detector is None else score, detector, examined)


def context_ratio(findings: Sequence[Finding]) -> float:
    """Return the likelihood ratio of an image's context, 1.0 without a finding on it."""
    for finding in findings:
        if finding.detector == CONTEXT:
            return float(finding.detail.get(LIKELIHOOD_RATIO, 1.0))
    return 1.0


def _level(thresholds: Thresholds, score: float) -> int:
    if thresholds.ai <= score and thresholds.ai < NEVER:
        return 2
    return 1 if score >= thresholds.unsure else 0
