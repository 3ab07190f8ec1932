"""The built-in linear probes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workers.detectors.card import View
from workers.training.data.corruptions import Corruptions
from workers.training.recipes.recipe import ImageSet


@dataclass(frozen=True, slots=True)
class Probe:
    """Recipe of a linear probe: everything that determines it except the images.

    It is fitted to each image and to `copies` corrupted copies, made from a square of `kept`
    pixels. Its regularisation is the one of `strengths` (scikit-learn's C) that does best in
    cross-validation with `folds` folds. No owner of images, by the listing `owners` or else by
    folder, is in two folds, unless `one_by_one` says that images are independent.
    """

    name: str
    version: str
    train: tuple[ImageSet, ...]
    test: tuple[ImageSet, ...]
    view: View
    sides: tuple[int, int]
    changes: Corruptions
    size: int = 224
    kept: int = 224
    copies: int = 2
    strengths: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3)
    folds: int = 4
    owners: str | None = None
    one_by_one: bool = False


SCENES = Probe(
    name="scenes",
    version="1",
    train=(ImageSet("scenes.zip", "train/"),),
    test=(ImageSet("scenes.zip", "test/"),),
    view=View("crops", crops=5),
    sides=(224, 100_000),
    changes=Corruptions(),
    kept=256,
    owners="scenes-sources.csv",
)

FACES = Probe(
    name="faces",
    version="1",
    train=(ImageSet("faces.zip", "train/"), ImageSet("scenes.zip", "train/")),
    test=(ImageSet("faces.zip", "test/"),),
    view=View(
        "faces",
        margin=1.3,
        finder="face-finder.tflite",
        finder_sha256="99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    ),
    sides=(80, 100_000),
    changes=Corruptions(resized=0.5, enlarged=1.1, softened=0.4, saved=1.0),
    one_by_one=True,
)

# For small faces, and for computers that are too slow for `faces`.
FACES_96 = replace(FACES, name="faces-96", sides=(32, 100_000), size=96, kept=96)

PROBES = {probe.name: probe for probe in (SCENES, FACES, FACES_96)}
