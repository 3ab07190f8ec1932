"""The detectors of this installation, by name: those that ship, those added to them, plug-ins."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workers.detectors import custom, plugins
from workers.detectors.card import load_card

if TYPE_CHECKING:
    from workers.detectors.card import Card

MODELS = Path(__file__).resolve().parent.parent / "models"
# Those that ship with the project: what a scan plans by itself.
NAMES = ("faces", "faces-96", "objects-32", "provenance", "scenes")


def installed() -> dict[str, Card]:
    """Give the cards of all detectors that are here, those that ship first; loads no model.

    One of another's making that is damaged, or has a shipped one's name, is left out: see
    `troubles`. Raises CardError when a shipped card is missing or damaged.
    """
    return _all()[0]


def troubles() -> list[str]:
    """Give a sentence on each detector that cannot be used."""
    return _all()[1]


def _all() -> tuple[dict[str, Card], list[str]]:
    cards = dict(built_in())
    said = []
    for found, wrong in (custom.cards(), plugins.cards()):
        said += wrong
        for name, card in found.items():
            if name in cards:
                said.append(f"{card.name} is left out: another detector has that name")
            else:
                cards[name] = card
    return cards, said


@cache
def built_in() -> dict[str, Card]:
    """Return the cards of the built-in detectors; CardError when one is missing or damaged."""
    return {name: load_card(MODELS / f"{name}.toml") for name in NAMES}
