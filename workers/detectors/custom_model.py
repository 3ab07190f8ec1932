"""A detector around a model of somebody else's: pixels as it wants them, numbers as P(AI)."""

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

# Beyond this a probability is 0 or 1 in double precision; exp of far more would overflow.
MOST_LOGIT = 60.0
# A threshold of 1 is one that no score reaches.
MOST_PROBABLE = float(np.nextafter(1.0, 0.0))
LEAST = 1e-9


class Net:
    """A model on a session, read as its card says."""

    def __init__(self, card: Card, session: Session) -> None:
        self.card = card
        self._input, self._output, self._calibration = described(card)
        self._session = session
        self._head = _Head(card) if self._output.kind == "embedding" else None

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """P(AI) of each image, (n,), below 1; one by one, since some models depend on company.

        ValueError for an image that is not of the input's shape, or that the model has no number
        for.
        """
        logits = np.array([self._logit(self._numbers(image)) for image in images], np.float64)
        scores = probabilities(np.clip(logits, -MOST_LOGIT, MOST_LOGIT), self._calibration)
        return np.minimum(scores, MOST_PROBABLE)

    def _numbers(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        shape = (self._input.height, self._input.width, CHANNELS)
        if image.shape != shape:
            raise ValueError(f"{self.card.name} takes {shape}, not {image.shape}")
        numbers = self._session.run(prepared(image, self._input))
        if not np.isfinite(numbers).all():
            raise ValueError(f"{self.card.name} gives no number for a picture")
        return numbers

    def _logit(self, numbers: NDArray[np.float64]) -> float:
        if self._head is not None:
            return self._head.logit(numbers)
        return logit(numbers, self._output)


def load_net(card: Card) -> Net:
    """Load the card's model; CardError where it cannot be run or is not what the card says."""
    given, output, _ = described(card)
    path = card.model_path
    try:
        session = open_session(path, (given.height, given.width), output.tensor)
    except ModelError as error:
        raise CardError(str(error)) from error
    if session.count != output.count:
        raise CardError(f"{path.name} gives {session.count} numbers, its card says otherwise")
    return Net(card, session)


def described(card: Card) -> tuple[Input, Output, Calibration]:
    """Give what a card with a model of this kind has; CardError where one is missing."""
    if card.input is None or card.output is None or card.calibration is None:
        raise CardError(f"the card of {card.name} has no input, output or calibration")
    return card.input, card.output, card.calibration


def prepared(image: NDArray[np.uint8], given: Input) -> NDArray[np.float32]:
    """Give RGB pixels as the model wants them, of the same shape."""
    ordered = image[..., ::-1] if given.channels == "BGR" else image
    values: NDArray[np.float32] = ordered.astype(np.float32)
    if given.scale != 1.0:
        values /= np.float32(given.scale)
    if given.mean:
        values -= np.asarray(given.mean, np.float32)
    if given.std:
        values /= np.asarray(given.std, np.float32)
    return values


def logit(numbers: NDArray[np.float64], output: Output) -> float:
    """Give the logit of P(AI) from a model's one or two numbers."""
    if output.kind == "probabilities":
        numbers = np.clip(numbers, LEAST, 1.0 - LEAST)
        numbers = np.log(numbers) if output.count > 1 else np.log(numbers / (1.0 - numbers))
    if output.count == 1:
        # One number speaks for class 1.
        return float(numbers[0]) if output.ai == 1 else -float(numbers[0])
    return float(numbers[output.ai] - numbers[1 - output.ai])


class _Head:
    """A linear layer on an embedding of unit length, in a JSON file: `weights` and `bias`."""

    def __init__(self, card: Card) -> None:
        _, output, _ = described(card)
        try:
            head = json.loads(card.path.with_name(output.head).read_bytes())
            self._weights = np.array(head["weights"], np.float64)
            self._bias = float(head["bias"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CardError(f"{output.head} is no head of {card.name}: {error!r}") from error
        if self._weights.shape != (output.count,) or not np.isfinite(self._weights).all():
            raise CardError(
                f"{output.head} is not made for the {output.count} numbers of its model"
            )

    def logit(self, embedding: NDArray[np.float64]) -> float:
        length = max(float(np.linalg.norm(embedding)), 1e-12)
        return float(embedding @ self._weights / length + self._bias)
