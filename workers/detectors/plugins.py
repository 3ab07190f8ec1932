"""Detectors that other packages bring along, by the entry point group `scanner.detectors`.

An entry point of the detector's name leads to a callable without arguments that gives a Detector,
whose `card` is its Card. It is called in each process that lists detectors or looks at images, so
a heavy model is better loaded when `score` is first called.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from workers.detectors.card import Card, CardError

if TYPE_CHECKING:
    from workers.detectors.detector import Detector

GROUP = "scanner.detectors"


def cards() -> tuple[dict[str, Card], list[str]]:
    """Give the cards of all plug-ins by name, and a sentence on each plug-in that is broken."""
    found, troubles = {}, []
    for point in entry_points(group=GROUP):
        try:
            found[point.name] = _made(point).card
        except CardError as error:
            troubles.append(str(error))
    return found, troubles


def load(card: Card) -> Detector:
    """Give the detector of a plug-in's card; CardError where no plug-in has that name."""
    for point in entry_points(group=GROUP, name=card.name):
        return _made(point)
    raise CardError(f"{card.name} has no model")


def _made(point: EntryPoint) -> Detector:
    try:
        detector: Detector = point.load()()
        card = detector.card
    except Exception as error:
        # Somebody else's code: whatever is wrong with it, the other detectors go on.
        said = f"{type(error).__name__}: {error}"
        raise CardError(f"the plug-in {point.name} ({point.value}) is broken: {said}") from error
    if not isinstance(card, Card) or card.name != point.name or card.input is None:
        raise CardError(
            f"the plug-in {point.name} ({point.value}) is broken: its detector has no card of "
            "that name with an input"
        )
    return detector
