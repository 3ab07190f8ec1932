"""Choosing the detectors of a scan, with their models verified and their thresholds.

Chosen here and not by the workers: those would refuse the batches, and the scan would never end.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from scanner.detectors.thresholds import with_custom
from storage.errors import InvalidInput, ScannerError
from storage.records import CONTEXT, FILE_NAMES, MARKS, PROVENANCE, PlanError
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.pipeline.plan import make_plan
from workers.provenance import trust_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.records import Plan
    from workers.detectors.card import Card


class UnknownDetector(InvalidInput):
    """A detector is not installed, or cannot be used in this way."""


def plan_for(
    detectors: str | None,
    *,
    with_context: bool = True,
    with_file_names: bool = True,
    with_marks: bool = True,
) -> Plan:
    """Plan a scan as `plan_by_cards` does, with the user's thresholds where there are any.

    Without context the models' thresholds are the same for every image; without file names and
    marks these are no evidence.
    """
    plan = with_custom(plan_by_cards(detectors))
    left_out = {
        CONTEXT: not with_context,
        FILE_NAMES: not with_file_names,
        MARKS: not with_marks,
    }
    kept = tuple(each for each in plan.detectors if not left_out.get(each.name, False))
    return replace(plan, detectors=kept)


def plan_by_cards(detectors: str | None) -> Plan:
    """Plan a scan with detectors `A,B`, by their cards' thresholds.

    Without `detectors` the built-in ones are used; custom ones have to be named. Raise
    UnknownDetector, and ScannerError for a damaged model or trust list.
    """
    names = [name.strip() for name in (detectors or "").split(",") if name.strip()]
    if detectors is not None and not names:
        raise UnknownDetector(f"invalid --detectors {detectors!r}: expected names, as in A,B")
    with sound_models():
        cards = installed.installed()
        built_in = [name for name in cards if name in installed.NAMES]
        try:
            plan = make_plan(cards, names or built_in)
        except PlanError as error:
            raise UnknownDetector(str(error)) from error
        for name in plan.names():
            cards[name].verify()
    if PROVENANCE in plan.names():
        trust_lists.load()
    return plan


def image_detector(name: str) -> Card:
    """Return the card of a detector that has an image model. Raise UnknownDetector."""
    with sound_models():
        cards = {name: card for name, card in installed.installed().items() if card.input}
    if name not in cards:
        raise UnknownDetector(
            f"unknown detector {name!r}: expected one of {', '.join(sorted(cards))}, or one added "
            "by `scanner detectors`"
        )
    return cards[name]


@contextmanager
def sound_models() -> Iterator[None]:
    """Raise a ScannerError that says what to do where a card or a model is damaged."""
    try:
        yield
    except CardError as error:
        raise ScannerError(f"{error}: install scanner again, or add the detector again") from error
