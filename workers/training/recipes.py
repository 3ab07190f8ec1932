"""The recipes there are, found by their names."""

from __future__ import annotations

from workers.training.recipe import (
    Cosine,
    Data,
    Phase,
    Pictures,
    Pixels,
    Recipe,
    Residual,
    Split,
)

CIFAKE = Data(
    train=(Pictures("cifake-train.zip"),),
    test=(Pictures("cifake-test.zip"),),
    pixels=Pixels(32),
    split=Split(validation=3_000, calibration=2_000),
)

OBJECTS_32 = Recipe(
    name="objects-32",
    version="2",
    net=Residual(widths=(24, 48, 96, 128), blocks=(1, 2, 2, 2)),
    data=CIFAKE,
    phases=(
        Phase(
            epochs=26,
            rate=Cosine(peak=3e-3, more=12, again=2e-3),
            weight_decay=0.05,
            label_smoothing=0.02,
            patience=14,
        ),
    ),
    ships=True,
)

RECIPES = {recipe.name: recipe for recipe in (OBJECTS_32,)}
