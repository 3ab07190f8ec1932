"""What the findings of one image come to.

The rule: each finding with a score stands at the level that its detector's thresholds give it;
the highest level decides, among findings of that level the highest score. Nothing is averaged:
a tag that names its generator is not weakened by a net that cannot see it, nor the other way
round. Absence of evidence decides nothing.

Several nets may look at one picture, at its faces and at the whole; the same rule holds: the most
telling one decides, and each has its own thresholds at its own stated rate of false alarms.

A plan may have a strong detector, which is asked for a second opinion on what the others leave
doubtful. Where it gives one, it stands in the place of the other nets': a slower net that is asked
because the quick ones do not know must be able to clear a picture, too. Tags stand as they are.

A score on a picture that had to be resized for its net, or that has been through too much to show
what nets look at, reaches `unsure` at most: the false alarms were measured on others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from storage.records import DEGRADED, NEVER, PROVENANCE, RESIZED_FROM, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Finding, Plan, Thresholds

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
        self._thresholds = {planned.name: planned.thresholds for planned in plan.detectors}
        self._second_stage = plan.second_stage

    def decide(self, findings: Sequence[Finding]) -> Decision:
        """The outcome for one image from everything that was found."""
        level, score, detector, examined = 0, -1.0, None, False
        degraded = any(said.kind == DEGRADED for said in findings)
        second = any(said.detector == self._second_stage for said in findings)
        for said in findings:
            if said.score is None:
                continue
            by_pixels = said.detector != PROVENANCE
            examined = examined or by_pixels
            if second and by_pixels and said.detector != self._second_stage:
                continue
            reached = _level(self._thresholds[said.detector], said.score)
            if by_pixels and (degraded or RESIZED_FROM in said.detail):
                reached = min(reached, 1)
            if (reached, said.score) > (level, score):
                level, score, detector = reached, said.score, said.detector
        return Decision(_LEVELS[level], None if detector is None else score, detector, examined)


def _level(thresholds: Thresholds, score: float) -> int:
    if thresholds.ai <= score and thresholds.ai < NEVER:
        return 2
    return 1 if score >= thresholds.unsure else 0
