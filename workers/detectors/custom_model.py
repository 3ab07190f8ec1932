"""A detector around any model: prepares its input, and converts its output to P(AI)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from workers.detectors.card import CardError
from workers.detectors.detector import probabilities
from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import CHANNELS, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workers.detectors.card import Calibration, Card, Input, Output
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
        self._head = _Head(card) if self._output.kind == "embedding" else None

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return P(AI) of each image, (n,), below 1.

        Images are scored one by one, since some models mix the images of a batch. Raises
        ValueError for an image of another shape, or for NaN and infinity.
        """
        logits = np.array([self._logit(self._numbers(image)) for image in images], np.float64)
        scores = probabilities(np.clip(logits, -MAX_LOGIT, MAX_LOGIT), self._calibration)
        return np.minimum(scores, MAX_PROBABILITY)

    def _numbers(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        shape = (self._input.height, self._input.width, CHANNELS)
        if image.shape != shape:
            raise ValueError(f"{self.card.name} takes {shape}, not {image.shape}")
        numbers = self._session.run(prepared(image, self._input))
        if not np.isfinite(numbers).all():
            raise ValueError(f"{self.card.name} returns NaN or infinity")
        return numbers

    def _logit(self, numbers: NDArray[np.float64]) -> float:
        if self._head is not None:
            return self._head.logit(numbers)
        return logit(numbers, self._output)


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
    return CustomModel(card, session)


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


class _Head:
    """A linear layer on an embedding of unit length, in a JSON file: `weights` and `bias`."""

    def __init__(self, card: Card) -> None:
        _, output, _ = required_parts(card)
        try:
            head = json.loads(card.path.with_name(output.head).read_bytes())
            self._weights = np.array(head["weights"], np.float64)
            self._bias = float(head["bias"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CardError(f"invalid head of {card.name} {output.head}: {error!r}") from error
        if self._weights.shape != (output.count,) or not np.isfinite(self._weights).all():
            raise CardError(
                f"the head {output.head} does not fit the {output.count} numbers of its model"
            )

    def logit(self, embedding: NDArray[np.float64]) -> float:
        length = max(float(np.linalg.norm(embedding)), 1e-12)
        return float(embedding @ self._weights / length + self._bias)
