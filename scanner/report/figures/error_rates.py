"""Error rates of detectors by source, from their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.figures.estimate import Rates
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.evaluation.intervals import Share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.records import PlannedDetector
    from workers.detectors.card import Card

# Fewer sources of a class say nothing of how much rates vary between sources.
FEWEST_SOURCES = 3


def card_rates(planned: PlannedDetector) -> Rates | None:
    """Return the measured rates of a planned detector, at the scan's thresholds.

    None if they are not known, or of too few sources.
    """
    card = card_of(planned)
    if card is None:
        return None
    ai, real = (tuple(_by_source(card, kind)) for kind in ("ai", "real"))
    if min(len(ai), len(real)) < FEWEST_SOURCES:
        return None
    return Rates(ai, real)


def card_of(planned: PlannedDetector) -> Card | None:
    """Return the card of a planned detector, if it has figures at the scan's thresholds.

    None if it was never measured, if its installed card is damaged, or if that card is of another
    model or thresholds.
    """
    try:
        card = installed.installed().get(planned.name)
    except CardError:
        return None
    if card is None or card.measured is None or card.sha256 != planned.sha256:
        return None
    thresholds = card.thresholds.unsure, card.thresholds.ai
    if thresholds != (planned.thresholds.unsure, planned.thresholds.ai):
        return None
    return card


def _by_source(card: Card, kind: str) -> Iterator[Share]:
    """Yield the flagged images of each source: of the test set, and held out of the training."""
    for source in card.sources:
        if source.kind == kind:
            yield Share(round(source.flagged * source.images), source.images)
    for held_out in card.held_out:
        if held_out.kind == kind:
            yield Share(held_out.flagged, held_out.images)
