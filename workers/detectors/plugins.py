"""Plug-ins: detectors of other packages, by the entry point group `scanner.detectors`.

The entry point has the detector's name, and its value is a callable without arguments that returns
a Detector. It is called in each process that lists detectors or examines images, so a large model
should be loaded when `score` is first called.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from workers.detectors.card import Card, CardError

if TYPE_CHECKING:
    from workers.detectors.detector import Detector

GROUP = "scanner.detectors"


def cards() -> tuple[dict[str, Card], list[str]]:
    """Return the cards of all plug-ins by name, and a message for each broken plug-in."""
    loaded, errors = {}, []
    for point in entry_points(group=GROUP):
        try:
            loaded[point.name] = _create(point).card
        except CardError as error:
            errors.append(str(error))
    return loaded, errors


def load(card: Card) -> Detector:
    """Return the detector of a plug-in's card; CardError where no plug-in has that name."""
    for point in entry_points(group=GROUP, name=card.name):
        return _create(point)
    raise CardError(f"{card.name} has no model")


def _create(point: EntryPoint) -> Detector:
    try:
        detector: Detector = point.load()()
        card = detector.card
    except Exception as error:
        # Any error of a plug-in must leave the other detectors usable.
        text = f"{type(error).__name__}: {error}"
        raise CardError(f"the plug-in {point.name} ({point.value}) is broken: {text}") from error
    if not isinstance(card, Card) or card.name != point.name or card.input is None:
        raise CardError(
            f"the plug-in {point.name} ({point.value}) is broken: its detector has no card of "
            "that name with an input"
        )
    return detector
