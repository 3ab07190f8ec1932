"""Cards that are written and read back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workers.detectors.card import (
    Calibration,
    Card,
    ClassFigures,
    Confusion,
    DataSet,
    Input,
    Measured,
    Model,
    Thresholds,
    load_card,
)
from workers.detectors.card_writer import to_toml

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = ClassFigures(0.1 + 0.2, 1e-9, 0.5, 1.0)
CARD = Card(
    name="small",
    version="3",
    summary='A "net" \\ with\nodd é marks',
    thresholds=Thresholds(0.5, 0.9, 0.01, 200),
    limits=("faces", "snow"),
    data=(
        DataSet("A", "training", 10, 20, "CC0"),
        DataSet("B", "calibration", 1, 2, "MIT"),
    ),
    model=Model("small.tflite", "00", 3, 7, "LiteRT"),
    input=Input(32, 16, "RGB", 0, 255, 8, 64),
    calibration=Calibration("platt", 1.5, -2.0, 400),
    measured=Measured(
        "a set", 10, 0.9, 0.8, 0.95, 0.99, 0.01, 0.7, 0.0, FIGURES, FIGURES, Confusion(4, 0, 1, 5)
    ),
)


def test_a_card_survives_a_round_trip(tmp_path: Path) -> None:
    """Figures are equal to the last bit, texts with quotes and line breaks."""
    card = replace(CARD, path=tmp_path / "small.toml")
    card.path.write_text(to_toml(card), encoding="utf-8")

    assert card == load_card(card.path)


def test_a_minimal_card_survives_a_round_trip(tmp_path: Path) -> None:
    """Missing parts are left out, and read back as missing."""
    card = Card("bare", "1", "Bare.", Thresholds(0.5, 0.5), ("all",), path=tmp_path / "bare.toml")
    card.path.write_text(to_toml(card) + "\n", encoding="utf-8")

    assert card == load_card(card.path)
