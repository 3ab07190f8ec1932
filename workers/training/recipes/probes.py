"""The built-in linear probes."""

from __future__ import annotations

from dataclasses import dataclass

from workers.detectors.card import View
from workers.training.data.corruptions import Corruptions
from workers.training.recipes.recipe import ImageSet


@dataclass(frozen=True, slots=True)
class Probe:
    """Recipe of a linear probe: everything that determines it except the images.

    It is fitted to each image and to `copies` changed copies. Its regularisation is the one of
    `strengths` (scikit-learn's C, for features of unit variance) that does best in cross-validation
    with `folds` folds. No owner of images, by the `listings` or else by folder, is in two folds.
    """

    name: str
    version: str
    train: tuple[ImageSet, ...]
    test: tuple[ImageSet, ...]
    view: View
    sides: tuple[int, int]
    changes: Corruptions
    size: int = 224
    copies: int = 2
    strengths: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2)
    folds: int = 5
    listings: tuple[str, ...] = ()


SCENES = Probe(
    name="scenes",
    version="2",
    train=(ImageSet("scenes.zip", "train/"), ImageSet("pictures", "train/")),
    test=(ImageSet("scenes.zip", "test/"), ImageSet("pictures", "test/")),
    view=View("crops", crops=3, reduced_crops=3, overview=True),
    sides=(224, 100_000),
    changes=Corruptions(),
    copies=1,
    strengths=(3e-3,),
    listings=("scenes-sources.csv", "pictures.csv"),
)

FACES = Probe(
    name="faces",
    version="2",
    train=(ImageSet("pictures", "train/"), ImageSet("faces.zip", "train/")),
    test=(ImageSet("faces.zip", "test/"),),
    view=View(
        "faces",
        margin=1.3,
        close_up=True,
        finder="face-finder.tflite",
        finder_sha256="99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    ),
    sides=(80, 100_000),
    changes=Corruptions(
        cropped=0.0, smallest=0.35, shortest=140, softened=0.15, saved=0.85, qualities=(50, 97)
    ),
    copies=1,
    strengths=(1e-3, 3e-3, 1e-2),
    folds=8,
    listings=("pictures.csv",),
)

PROBES = {probe.name: probe for probe in (SCENES, FACES)}
