"""What the detectors' cards say of how often they are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.figures.estimate import Rates
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.evaluation.intervals import Share

if TYPE_CHECKING:
    from storage.records import PlannedDetector


def card_rates(planned: PlannedDetector) -> Rates | None:
    """The rates on the card of a scan's detector, at the threshold that the scan had.

    None where nobody measured them, or where the card here is damaged, or that of another model or
    threshold.
    """
    try:
        card = installed.installed().get(planned.name)
    except CardError:
        return None
    if card is None or card.measured is None:
        return None
    if (card.sha256, card.thresholds.ai) != (planned.sha256, planned.thresholds.ai):
        return None
    at = card.measured.confusion
    ai, real = at.tp + at.fn, at.fp + at.tn
    return Rates(
        Share(round(card.measured.recall_at_ai * ai), ai),
        Share(round(card.measured.false_alarms_at_ai * real), real),
    )
