"""The interface of detectors: images in, calibrated probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from workers.detectors.card import Calibration, Card
    from workers.detectors.head import Head

    # Views of one image, each of one or more squares: height x width x 3 uint8 RGB.
    Views: TypeAlias = Sequence[Sequence[NDArray[np.uint8]]]


class Detector(Protocol):
    """A model that scores how probable it is that pixels are AI-generated."""

    card: Card

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return P(AI) of each image, (n,); images are height x width x 3 uint8 RGB.

        Raises ValueError for an image of another size than the input's.
        """


@runtime_checkable
class EmbeddingDetector(Detector, Protocol):
    """A detector that examines all views of an image together, by a linear head."""

    head: Head

    def embedding(self, views: Views) -> NDArray[np.float64]:
        """Return the embedding of one image, (views, numbers)."""

    def probabilities(self, logits: Sequence[float]) -> NDArray[np.float64]:
        """Return P(AI), (n,), for n logits of the head."""

    def score_views(self, views: Views) -> float:
        """Return P(AI) of one image."""


def probabilities(logits: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Return P(AI) by Platt scaling (Platt 1999) of logits."""
    import numpy as np  # noqa: PLC0415 - this module is imported by code that never loads a model

    scaled = calibration.slope * logits + calibration.intercept
    scores: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-scaled))
    return scores
