"""Why images were not examined."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from scanner.language import gettext
from scanner.report.text import labels
from scanner.report.text.tables import safe
from storage.records import DEGRADED, PREVIEW, ROUTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scanner.report.figures.build import Report
    from storage.reads.evidence import EvidenceCount


def reason_counts(evidence: Iterable[EvidenceCount]) -> Counter[str]:
    """Count the images that were not examined, or only in part, by reason."""
    reasons: Counter[str] = Counter()
    for row in evidence:
        if row.detector == ROUTER:
            reasons[labels.evidence(row.kind, safe(row.kind))] += row.images
    return reasons


def not_examined(report: Report) -> str:
    """Return how many images were not examined, and why."""
    rows = [row for row in report.evidence if row.kind not in (DEGRADED, PREVIEW)]
    reasons = reason_counts(rows).most_common()
    # Images with evidence in their metadata have a reason as well, but count by their verdict.
    is_complete = sum(images for _, images in reasons) == report.counts.not_examined
    named = [f"{reason} ({images:,})" if is_complete else reason for reason, images in reasons]
    if not named:
        return unseen(report)
    why = gettext("Why: {reasons}.").format(reasons=gettext("; ").join(named))
    return f"{unseen(report)} {why}"


def unseen(report: Report) -> str:
    """Return how many images were not examined."""
    images = labels.count(report.counts.not_examined, "image", "images")
    return gettext("Not examined: {images}; only metadata and marks were read.").format(
        images=images
    )
