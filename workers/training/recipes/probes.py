"""The probes there are: what each is shown, and what it is told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workers.detectors.card import View
from workers.training.data.corruptions import Changes
from workers.training.recipes.recipe import Pictures


@dataclass(frozen=True, slots=True)
class Probe:
    """All that decides a linear probe but the pictures themselves.

    Supervised each picture as it is, `copies` changed ones are learned from; of each, a square of
    `kept` pixels is what changes begin with. How strongly the weights are held down is chosen among
    `strengths` by pictures that were left out: in `folds` parts, by their owners where a listing
    `owners` names them or else by their folders, or one by one where `one_by_one` says so.
    """

    name: str
    version: str
    train: tuple[Pictures, ...]
    test: tuple[Pictures, ...]
    view: View
    sides: tuple[int, int]
    changes: Changes
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
    train=(Pictures("scenes.zip", "train/"),),
    test=(Pictures("scenes.zip", "test/"),),
    view=View("crops", crops=5),
    sides=(224, 100_000),
    changes=Changes(),
    kept=256,
    owners="scenes-sources.csv",
)

FACES = Probe(
    name="faces",
    version="1",
    train=(Pictures("faces.zip", "train/"), Pictures("scenes.zip", "train/")),
    test=(Pictures("faces.zip", "test/"),),
    view=View(
        "faces",
        margin=1.3,
        finder="face-finder.tflite",
        finder_sha256="99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    ),
    sides=(80, 100_000),
    changes=Changes(resized=0.5, enlarged=1.1, softened=0.4, saved=1.0),
    one_by_one=True,
)

# For small faces, and for boards on which the larger one takes too long.
FACES_96 = replace(FACES, name="faces-96", sides=(32, 100_000), size=96, kept=96)

PROBES = {probe.name: probe for probe in (SCENES, FACES, FACES_96)}
