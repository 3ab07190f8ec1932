"""Which finding heads a verdict, and how certain it makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import SETTLING, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.records import Finding, Thresholds, Verdict


def certainty(
    verdict: Verdict | None, thresholds: Mapping[str, Thresholds]
) -> tuple[bool, bool, float]:
    """Return a key that orders verdicts, the most certain highest.

    What metadata settles comes before what models score, `ai` before `unsure`.
    """
    if verdict is None:
        return False, False, 0.0
    if (finding := settling(verdict, thresholds)) is not None:
        return True, True, _score(finding)
    return False, verdict.outcome is Outcome.AI, verdict.score or 0.0


def heading(verdict: Verdict, thresholds: Mapping[str, Thresholds]) -> Finding | None:
    """Return the finding that heads a verdict; None where there is none with a score."""
    if (finding := settling(verdict, thresholds)) is not None:
        return finding
    of_detector = [
        finding
        for finding in verdict.findings
        if finding.detector == verdict.detector and finding.score is not None
    ]
    return max(of_detector, key=_score, default=None)


def shown_score(verdict: Verdict, thresholds: Mapping[str, Thresholds]) -> float | None:
    """Return the score of what heads a verdict, which is shown with it."""
    finding = heading(verdict, thresholds)
    return verdict.score if finding is None else finding.score


def settling(verdict: Verdict, thresholds: Mapping[str, Thresholds]) -> Finding | None:
    """Return the strongest metadata or mark that makes an image `ai`, whatever a model says."""
    if verdict.outcome is not Outcome.AI:
        return None
    settles = {name: known.ai for name in SETTLING if (known := thresholds.get(name)) is not None}
    settling = [
        finding
        for finding in verdict.findings
        if finding.detector in settles and _score(finding) >= settles[finding.detector]
    ]
    return max(settling, key=_score, default=None)


def _score(finding: Finding) -> float:
    return finding.score or 0.0
