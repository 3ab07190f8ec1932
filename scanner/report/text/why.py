"""Why an image has its verdict, in words: the scores, and the thresholds that they met."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scanner.language import gettext, marked
from scanner.report.figures.certainty import heading
from scanner.report.text import labels
from scanner.report.text.tables import safe
from storage.records import (
    CONTEXT,
    DEGRADED,
    NEVER,
    PREVIEW,
    RESIZED_FROM,
    ROUTER,
    STATED,
    Outcome,
)
from workers.pipeline.decide import context_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.records import Finding, Thresholds, Verdict


# Results of checking a signature that keep what a manifest says from settling anything.
LIMITING = {
    "invalid": marked("its signature is invalid, so unsure at most"),
    "revoked": marked("its certificate was revoked, so unsure at most"),
}


def short_reason(verdict: Verdict, thresholds: Mapping[str, Thresholds]) -> str:
    """Return what a verdict is based on, in a few words."""
    finding = heading(verdict, thresholds)
    if finding is None:
        return safe(verdict.detector or "")
    if finding.kind != "score":
        return _stated(verdict, replace(finding, score=None))
    text = safe(finding.detector)
    met = _met(finding, _moved(verdict, thresholds))
    if met is not None:
        from_ = gettext("{verdict} from {threshold}")
        text += ", " + from_.format(verdict=_word(met[0]), threshold=_threshold(met[1]))
    if "box" in finding.detail:
        text += ", " + gettext("box {number}").format(number=verdict.findings.index(finding) + 1)
    cap = _cap(finding, verdict) if met is not None else ""
    return f"{text}, {cap}" if cap else text


def why(
    verdict: Verdict, thresholds: Mapping[str, Thresholds], finding: Finding | None = None
) -> str:
    """Return in words what a finding says and which threshold it met; by default the deciding one.

    Boxes have the number of their finding, as on the page of an image.
    """
    finding = finding or heading(verdict, thresholds)
    if finding is None:
        return safe(verdict.detector or "")
    if finding.kind != "score":
        return _stated(verdict, finding)
    return score_reason(verdict, thresholds, finding)


def _stated(verdict: Verdict, finding: Finding) -> str:
    """Return what metadata or a mark says, and what limits it."""
    text = _named(finding)
    if finding.score is not None:
        text = gettext("{score}: {name}").format(score=labels.score(finding.score), name=text)
    limit = LIMITING.get(str(finding.detail.get("signature")))
    if limit is None or verdict.outcome is not Outcome.UNSURE:
        return text
    return gettext("; ").join((text, gettext(limit)))


def reason(verdict: Verdict | None, thresholds: Mapping[str, Thresholds]) -> str:
    """Return in few words why an image has its verdict, or why nothing could be found out.

    What moved the thresholds, and the number of crops, are on the page of the image.
    """
    if verdict is None:
        return ""
    if verdict.outcome is Outcome.ERROR and verdict.error is not None:
        return labels.error(verdict.error.kind)
    if verdict.examined or verdict.score is not None:
        finding = heading(verdict, thresholds)
        if finding is None or finding.kind != "score":
            return why(verdict, thresholds)
        return gettext("; ").join(filter(None, _said(verdict, thresholds, finding, is_short=True)))
    reasons = [
        labels.evidence(finding.kind, safe(finding.kind))
        for finding in verdict.findings
        if finding.detector == ROUTER and finding.kind != PREVIEW
    ]
    if not reasons:
        return gettext("not examined")
    return gettext("not examined: {reasons}").format(reasons=gettext("; ").join(reasons))


def score_reason(verdict: Verdict, thresholds: Mapping[str, Thresholds], finding: Finding) -> str:
    """Return a finding's score, the threshold it met and its part of the image, in words.

    Empty for a finding without a score.
    """
    if finding.score is None:
        return ""
    return gettext("; ").join(filter(None, _said(verdict, thresholds, finding)))


def _said(
    verdict: Verdict,
    thresholds: Mapping[str, Thresholds],
    finding: Finding,
    *,
    is_short: bool = False,
) -> tuple[str, str, str]:
    """Return the score with its threshold, the part of the image, and what limits the verdict."""
    score, name = labels.score(finding.score), safe(finding.detector)
    moved = _moved(verdict, thresholds)
    met = _met(finding, moved)
    if met is not None:
        from_ = _threshold(met[1])
        above = (
            gettext("{score}, at the {threshold} at which {name} says {verdict}")
            if score == from_
            else gettext("{score}, above the {threshold} at which {name} says {verdict}")
        )
        text = above.format(score=score, threshold=from_, name=name, verdict=_word(met[0]))
    elif finding.detector in moved:
        unsure = _threshold(moved[finding.detector].unsure)
        text = gettext("{score}, below the {threshold} at which {name} says unsure").format(
            score=score, threshold=unsure, name=name
        )
    else:
        text = gettext("{score} by {name}").format(score=score, name=name)
    if not is_short and moved.get(finding.detector) != thresholds.get(finding.detector):
        moved_by = gettext("{text} after {context} moved its thresholds")
        text = moved_by.format(text=text, context=_context(verdict))
    part = ""
    if "box" in finding.detail:
        part = gettext("the face in box {number}").format(
            number=verdict.findings.index(finding) + 1
        )
    elif not is_short and isinstance(crops := finding.detail.get("crops"), int) and crops > 1:
        part = gettext("{number} crops together").format(number=crops)
    return text, part, _cap(finding, verdict) if met is not None else ""


def _moved(verdict: Verdict, thresholds: Mapping[str, Thresholds]) -> Mapping[str, Thresholds]:
    """Return the thresholds as what surrounds the pixels moved them, those of evidence as is."""
    ratio = context_ratio(verdict.findings)
    if ratio == 1:
        return thresholds
    return {
        name: each if name in STATED else each.moved(ratio) for name, each in thresholds.items()
    }


def _context(verdict: Verdict) -> str:
    kinds = (finding.kind for finding in verdict.findings if finding.detector == CONTEXT)
    return gettext(", ").join(labels.evidence(kind, safe(kind)) for kind in kinds)


def _met(finding: Finding, thresholds: Mapping[str, Thresholds]) -> tuple[Outcome, float] | None:
    """Return the level that a score reaches by its detector's thresholds, and from where."""
    known = thresholds.get(finding.detector)
    if known is None or finding.score is None or finding.score < known.unsure:
        return None
    if known.ai <= finding.score and known.ai < NEVER:
        return Outcome.AI, known.ai
    return Outcome.UNSURE, known.unsure


def _cap(finding: Finding, verdict: Verdict) -> str:
    """Return why a score of a model counts as `unsure` at most; empty where nothing limits it."""
    if finding.detector in STATED:
        return ""
    if RESIZED_FROM in finding.detail:
        return gettext("resized, so unsure at most")
    if any(other.kind == DEGRADED for other in verdict.findings):
        return gettext("degraded, so unsure at most")
    if any(other.kind == PREVIEW for other in verdict.findings):
        return gettext("a preview, so unsure at most")
    return ""


def _named(finding: Finding) -> str:
    name = labels.evidence(finding.kind, safe(f"{finding.detector}: {finding.kind}"))
    generator = safe(labels.program(str(finding.detail.get("generator") or "")))
    if finding.kind == "generator_tag" and generator:
        name = gettext("tag of {generator}").format(generator=generator)
    elif generator:
        name = f"{name} ({generator})"
    sidecar = finding.detail.get("sidecar")
    if not sidecar:
        return name
    return gettext("{name}, in the sidecar {file}").format(name=name, file=safe(str(sidecar)))


def _word(outcome: Outcome) -> str:
    return gettext("AI") if outcome is Outcome.AI else gettext("unsure")


def _threshold(value: float) -> str:
    return f"{value:.3f}"
