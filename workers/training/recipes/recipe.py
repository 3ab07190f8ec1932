"""What a recipe says: all that decides a training run but the pictures themselves.

These are descriptions only, so that they can be written down, compared and read without a training
library. What each is made into stands elsewhere: pictures in `data`, nets in `nets`, optimisers
and learning rates in `rates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Pictures:
    """Labelled pictures in a zip or a folder `file`, only those whose names begin with `below`."""

    file: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Pixels:
    """How a picture becomes the `size` by `size` pixels that the net is given.

    `exact`: as it is, and one of another size is refused. `resized`: the whole picture, brought to
    a square.
    """

    size: int
    way: Literal["exact", "resized"] = "exact"


@dataclass(frozen=True, slots=True)
class Split:
    """How many pictures of each class are held out of the training data, and by which seed.

    `validation` pictures choose the epoch; `calibration` pictures set the calibration and the
    thresholds and nothing else. Neither is ever trained on.
    """

    validation: int
    calibration: int
    seed: int = 20_260


@dataclass(frozen=True, slots=True)
class Data:
    """What is trained on and what is tested on, and how it becomes pixels."""

    train: tuple[Pictures, ...]
    test: tuple[Pictures, ...]
    pixels: Pixels
    split: Split


@dataclass(frozen=True, slots=True)
class Residual:
    """A plain residual net: the width and the number of blocks of each of its stages.

    The first stage is at full resolution, each further one at half of that before it.
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
    """Where a base's first weights are: `member` of the package `file`, as an index has it.

    `prefix` goes before the layers' names there, `fetch` is the command that brings the file.
    Without it, a net that does not `need` them starts from scratch.
    """

    file: str
    member: str
    prefix: str
    sha256: str
    fetch: str
    need: bool


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Changes of a training picture that leave a generator's traces alone.

    No resampling, no colour, no recompression: a mirror image half the time, and a shift by up to
    `shift` whole pixels, the border filled by reflection.
    """

    flip: bool = True
    shift: int = 2


@dataclass(frozen=True, slots=True)
class Cosine:
    """Learning rate: linear warm-up to `peak`, then a cosine down to zero over the epochs."""

    peak: float
    warmup_epochs: float = 1.0


@dataclass(frozen=True, slots=True)
class Plateau:
    """Learning rate: `start`, times `factor` whenever `retry` epochs were no better."""

    start: float
    factor: float = 1.0
    patience: int = 1
    lowest: float = 0.0


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of training with one optimiser; a further phase begins at the best epoch so far.

    `retry` is how many epochs without a better validation accuracy end the phase early. A
    `frozen` phase trains the net's head alone: what its base makes of a picture is worked out
    once, so its pictures are not augmented.
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model: its net, its data, its training, and whether it `ships` or is only reported."""

    name: str
    version: str
    net: Residual | Vgg16 | MobileNetV2
    data: Data
    phases: tuple[Phase, ...]
    augmentation: Augmentation = Augmentation()
    pretrained: Pretrained | None = None
    ships: bool = False

    @property
    def size(self) -> int:
        """The side of the pictures that the net is given."""
        return self.data.pixels.size
