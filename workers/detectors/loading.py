"""Loading of a detector: the model of a card, on its runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.detectors.detector import probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from workers.detectors.card import Calibration, Card
    from workers.detectors.detector import Detector
    from workers.detectors.runtimes import LiteRT


def load(card: Card, threads: int = 1) -> Detector:
    """Load the card's model in the process that will score (after a fork).

    Raises CardError when the model is missing or differs from what the card says.
    """
    if card.model is None:
        from workers.detectors import plugins  # noqa: PLC0415 - as below

        return plugins.load(card)
    if card.output is not None:
        from workers.detectors.custom_model import load_custom  # noqa: PLC0415 - as below

        card.verify()
        return load_custom(card)
    from workers.detectors.card import CardError  # noqa: PLC0415 - with the runtime, below
    from workers.detectors.runtimes import LiteRT, ModelError  # noqa: PLC0415 - 0.2 s

    card.verify()
    path = card.model_path
    if card.input is None or card.calibration is None:
        raise CardError(f"the card of {card.name} has no input or no calibration")
    try:
        session = LiteRT(path, threads)
    except ModelError as error:
        raise CardError(str(error)) from error
    shape = (card.input.height, card.input.width, len(card.input.channels))
    if session.shape != shape:
        raise CardError(f"{path.name} takes {session.shape}, its card says {shape}")
    return Int8Model(card, card.calibration, session)


class Int8Model:
    """A detector whose model has 256 output levels, with a table of their probabilities."""

    def __init__(self, card: Card, calibration: Calibration, session: LiteRT) -> None:
        self.card = card
        self._session = session
        self._probabilities = probabilities(session.levels(), calibration)

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return P(AI) of each image, (n,); ValueError for an image of another shape."""
        shape = self._session.shape
        for image in images:
            if image.shape != shape:
                raise ValueError(f"{self.card.name} takes {shape}, not {image.shape}")
        return self._probabilities[self._session.run(images)]
