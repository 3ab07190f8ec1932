"""What the findings of one image come to.

The rule: each finding with a score stands at the level that its detector's thresholds give it;
the highest level decides, among findings of that level the highest score. Nothing is averaged:
a tag that names its generator is not weakened by a net that cannot see it, nor the other way
round. Absence of evidence decides nothing.

A score on a picture that had to be resized reaches `unsure` at most: resizing destroys what nets
look at, and their false alarms were measured at the native size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding
    from workers.plan import Plan, PlannedDetector

PROVENANCE = "provenance"
# In the detail of a finding on a resized picture: its own size.
RESIZED_FROM = "resized_from"

_LEVELS = (Outcome.NO_EVIDENCE, Outcome.UNSURE, Outcome.AI)


class Decision(NamedTuple):
    """The outcome, the score and detector of the finding that decided, and whether pixels were."""

    outcome: Outcome
    score: float | None
    detector: str | None
    examined: bool


class Judge:
    """Decides by the thresholds of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._thresholds = {detector.name: detector for detector in plan.detectors}

    def decide(self, findings: Sequence[Finding]) -> Decision:
        """The outcome for one image from everything that was found."""
        level, score, detector, examined = 0, -1.0, None, False
        for said in findings:
            if said.score is None:
                continue
            examined = examined or said.detector != PROVENANCE
            reached = _level(self._thresholds[said.detector], said.score)
            if RESIZED_FROM in said.detail:
                reached = min(reached, 1)
            if (reached, said.score) > (level, score):
                level, score, detector = reached, said.score, said.detector
        return Decision(_LEVELS[level], None if detector is None else score, detector, examined)


def _level(thresholds: PlannedDetector, score: float) -> int:
    if score >= thresholds.ai:
        return 2
    return 1 if score >= thresholds.unsure else 0
