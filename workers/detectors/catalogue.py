"""The detectors that ship with the project, by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from workers.detectors.card import Card, load_card

MODELS = Path(__file__).resolve().parent.parent / "models"
NAMES = ("objects-32", "provenance")


def shipped() -> dict[str, Card]:
    """Give the cards of all shipped detectors by name; reads a few kilobytes, loads no model.

    Raises CardError when a card is missing or damaged.
    """
    return dict(_cards())


@cache
def _cards() -> dict[str, Card]:
    return {name: load_card(MODELS / f"{name}.toml") for name in NAMES}
