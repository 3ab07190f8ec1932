"""Error rates of detectors, from their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.figures.estimate import Rates
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.evaluation.intervals import Share

if TYPE_CHECKING:
    from storage.records import PlannedDetector


def card_rates(planned: PlannedDetector) -> Rates | None:
    """Return the measured rates of a planned detector, at the scan's threshold.

    None if it was never measured, if its installed card is damaged, or if that card is of another
    model or threshold.
    """
    try:
        card = installed.installed().get(planned.name)
    except CardError:
        return None
    if card is None or card.measured is None:
        return None
    if (card.sha256, card.thresholds.ai) != (planned.sha256, planned.thresholds.ai):
        return None
    matrix = card.measured.confusion
    ai, real = matrix.tp + matrix.fn, matrix.fp + matrix.tn
    return Rates(
        Share(round(card.measured.recall_at_ai * ai), ai),
        Share(round(card.measured.false_alarms_at_ai * real), real),
    )
