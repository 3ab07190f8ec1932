"""What the pipeline sees of a detector: images in, calibrated probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from workers.detectors.card import Calibration, Card


class Detector(Protocol):
    """Something that looks at pixels and says how probable it is that they are AI-made."""

    card: Card

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """P(AI) of each image, (n,); images are height x width x 3 uint8 RGB of the input's size.

        Raises ValueError for an image of another shape.
        """


def probabilities(logits: NDArray[np.float64], how: Calibration) -> NDArray[np.float64]:
    """P(AI) by Platt scaling (Platt 1999) of a net's logits."""
    import numpy as np  # noqa: PLC0415 - this module is imported by what never loads a model

    probabilities: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-(how.slope * logits + how.intercept)))
    return probabilities
