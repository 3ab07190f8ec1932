"""What is trained, on what and how: one frozen recipe a model, found by its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """How many images of each class are held out of the training data, and by which seed.

    `validation` images choose the epoch; `calibration` images set the calibration and the
    thresholds and nothing else. Neither is ever trained on.
    """

    validation: int = 3_000
    calibration: int = 2_000
    seed: int = 20_260


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate: linear warm-up, then a cosine down to zero; perhaps once more from `again`.

    The last `more` of the epochs are a second cosine (warm restarts: Loshchilov and Hutter 2017,
    arXiv:1608.03983). `patience` is how many epochs without a better validation accuracy end the
    training early.
    """

    epochs: int = 14
    warmup_epochs: float = 1.0
    peak: float = 3e-3
    more: int = 0
    again: float = 0.0
    weight_decay: float = 0.05
    label_smoothing: float = 0.02
    batch: int = 128
    patience: int = 5


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Changes of a training image that leave a generator's traces alone.

    No resampling, no colour, no recompression: a mirror image half the time, and a shift by up to
    `shift` whole pixels, the border filled by reflection.
    """

    flip: bool = True
    shift: int = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training run but the data.

    `widths` and `blocks` are those of each stage: the first at full resolution, each further one
    at half of that before it. `precision` is Keras' name for the numbers that training computes
    with; what is exported is made from 32-bit weights either way.
    """

    name: str
    version: str
    size: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    train_zip: str
    test_zip: str
    split: Split = Split()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    precision: str = "mixed_bfloat16"


OBJECTS_32 = Recipe(
    name="objects-32",
    version="2",
    size=32,
    widths=(24, 48, 96, 128),
    blocks=(1, 2, 2, 2),
    train_zip="cifake-train.zip",
    test_zip="cifake-test.zip",
    schedule=Schedule(epochs=26, more=12, again=2e-3, patience=14),
)

RECIPES = {recipe.name: recipe for recipe in (OBJECTS_32,)}
