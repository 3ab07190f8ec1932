"""The detectors of this installation, by name: built-in, custom, and plug-ins."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from storage.records import PROVENANCE
from workers.detectors import custom, plugins
from workers.detectors.card import load_card
from workers.provenance import trust_lists
from workers.provenance.trust_lists import TrustListError

if TYPE_CHECKING:
    from workers.detectors.card import Card

MODELS = Path(__file__).resolve().parent.parent / "models"
# The built-in detectors, which a scan uses by default.
NAMES = ("context", "faces", "file_names", "marks", "objects-32", "provenance", "scenes")


def installed() -> dict[str, Card]:
    """Return the cards of all detectors, built-in ones first, without loading a model.

    Custom detectors and plug-ins that are damaged, or have a name that is taken, are left out: see
    `troubles`. The trust lists of a user are a part of the version of `provenance`. Raises
    CardError when a built-in card is missing or damaged.
    """
    return _all()[0]


def troubles() -> list[str]:
    """Return a message for each detector, or trust list, that cannot be used."""
    return _all()[1]


def _all() -> tuple[dict[str, Card], list[str]]:
    cards = dict(built_in())
    errors = []
    try:
        lists = trust_lists.version_suffix()
    except TrustListError as error:
        # No plan has this version, and none is made with it.
        lists = f"{trust_lists.VERSION_SEPARATOR}damaged"
        errors.append(str(error))
    card = cards[PROVENANCE]
    cards[PROVENANCE] = replace(card, version=card.version + lists)
    for loaded, messages in (custom.cards(), plugins.cards()):
        errors += messages
        for name, card in loaded.items():
            if name in cards:
                errors.append(f"{card.name} is left out: another detector has that name")
            else:
                cards[name] = card
    return cards, errors


@cache
def built_in() -> dict[str, Card]:
    """Return the cards of the built-in detectors; CardError when one is missing or damaged."""
    return {name: load_card(MODELS / f"{name}.toml") for name in NAMES}
