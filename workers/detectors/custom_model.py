"""A detector around any model: prepares its input, and converts its output to P(AI)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workers.detectors.card import CardError
from workers.detectors.detector import probabilities
from workers.detectors.head import read_head
from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import CHANNELS, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workers.detectors.card import Calibration, Card, Input, Output
    from workers.detectors.detector import Views
    from workers.detectors.sessions import Session

# Beyond this, a probability is 0 or 1 in double precision, and exp would overflow.
MAX_LOGIT = 60.0
# Below 1, because a threshold of 1 is never reached.
MAX_PROBABILITY = float(np.nextafter(1.0, 0.0))
MIN_PROBABILITY = 1e-9


class CustomModel:
    """A detector with a model on a session, used as its card says."""

    def __init__(self, card: Card, session: Session) -> None:
        self.card = card
        self._input, self._output, self._calibration = required_parts(card)
        self._session = session

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return P(AI) of each image, (n,), below 1.

        Images are scored one by one, since some models mix the images of a batch. Raises
        ValueError for an image of another shape, or for NaN and infinity.
        """
        return self.probabilities([self._logit(image) for image in images])

    def probabilities(self, logits: Sequence[float]) -> NDArray[np.float64]:
        """Return P(AI), (n,), below 1, for n logits."""
        bounded = np.clip(np.array(logits, np.float64), -MAX_LOGIT, MAX_LOGIT)
        return np.minimum(probabilities(bounded, self._calibration), MAX_PROBABILITY)

    def _logit(self, image: NDArray[np.uint8]) -> float:
        return logit(self.numbers(image), self._output)

    def numbers(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the model's numbers for one image; ValueError as of `score`."""
        shape = (self._input.height, self._input.width, CHANNELS)
        if image.shape != shape:
            raise ValueError(f"{self.card.name} takes {shape}, not {image.shape}")
        numbers = self._session.run(prepared(image, self._input))
        if not np.isfinite(numbers).all():
            raise ValueError(f"{self.card.name} returns NaN or infinity")
        return numbers


class EmbeddingModel(CustomModel):
    """A detector whose model returns embeddings, which a linear head turns into logits."""

    def __init__(self, card: Card, session: Session) -> None:
        super().__init__(card, session)
        self.head = read_head(card)

    def embedding(self, views: Views) -> NDArray[np.float64]:
        """Return the embedding of one image, (views, numbers): the mean over each view's squares.

        A square in several views is examined once.
        """
        squares = {id(square): square for view in views for square in view}
        numbers = {key: self.numbers(square) for key, square in squares.items()}
        return np.stack(
            [np.mean([numbers[id(square)] for square in view], axis=0) for view in views]
        )

    def score_views(self, views: Views) -> float:
        """Return P(AI) of one image."""
        return float(self.probabilities([self.head.logit(self.embedding(views))])[0])

    def _logit(self, image: NDArray[np.uint8]) -> float:
        return self.head.logit(self.embedding([[image]] * self.card.view.count))


def load_custom(card: Card) -> CustomModel:
    """Load the card's model; CardError where it cannot be run or differs from the card."""
    model_input, output, _ = required_parts(card)
    path = card.model_path
    try:
        session = open_session(path, (model_input.height, model_input.width), output.tensor)
    except ModelError as error:
        raise CardError(str(error)) from error
    if session.count != output.count:
        raise CardError(
            f"{path.name} returns {session.count} numbers, its card says {output.count}"
        )
    return (EmbeddingModel if output.kind == "embedding" else CustomModel)(card, session)


def required_parts(card: Card) -> tuple[Input, Output, Calibration]:
    """Return the parts that the card of a custom model needs; CardError where one is missing."""
    if card.input is None or card.output is None or card.calibration is None:
        raise CardError(f"the card of {card.name} has no input, output or calibration")
    return card.input, card.output, card.calibration


def prepared(image: NDArray[np.uint8], model_input: Input) -> NDArray[np.float32]:
    """Return RGB pixels, (height, width, 3), as the values that the model takes."""
    ordered = image[..., ::-1] if model_input.channels == "BGR" else image
    values: NDArray[np.float32] = ordered.astype(np.float32)
    if model_input.scale != 1.0:
        values /= np.float32(model_input.scale)
    if model_input.mean:
        values -= np.asarray(model_input.mean, np.float32)
    if model_input.std:
        values /= np.asarray(model_input.std, np.float32)
    return values


def logit(numbers: NDArray[np.float64], output: Output) -> float:
    """Return the logit of P(AI) from a model's one or two numbers."""
    if output.kind == "probabilities":
        numbers = np.clip(numbers, MIN_PROBABILITY, 1.0 - MIN_PROBABILITY)
        numbers = np.log(numbers) if output.count > 1 else np.log(numbers / (1.0 - numbers))
    if output.count == 1:
        # A single number is that of class 1.
        return float(numbers[0]) if output.ai == 1 else -float(numbers[0])
    return float(numbers[output.ai] - numbers[1 - output.ai])
