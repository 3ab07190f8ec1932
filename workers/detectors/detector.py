"""What the pipeline sees of a detector: images in, calibrated probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workers.settings import LITERT, TENSORFLOW

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


class QuantisedSession(Protocol):
    """A net of bytes that is ready to run."""

    shape: tuple[int, ...]

    def run(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The raw outputs of images of `shape`, (n,)."""

    def levels(self) -> NDArray[np.float64]:
        """The number that each of the 256 raw outputs stands for, (256,)."""


class QuantisedNet:
    """A net whose output has 256 levels: its calibrated probabilities are a table."""

    def __init__(self, card: Card, calibration: Calibration, session: QuantisedSession) -> None:
        self.card = card
        self._session = session
        self._probability = calibrated(session.levels(), calibration)

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """P(AI) of each image, (n,); ValueError for an image that is not of the input's shape."""
        shape = self._session.shape
        for image in images:
            if image.shape != shape:
                raise ValueError(f"{self.card.name} takes {shape}, not {image.shape}")
        return self._probability[self._session.run(images)]


def calibrated(logits: NDArray[np.float64], how: Calibration) -> NDArray[np.float64]:
    """P(AI) by Platt scaling (Platt 1999) of a net's logits."""
    import numpy as np  # noqa: PLC0415 - this module is imported by what never loads a model

    probabilities: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-(how.slope * logits + how.intercept)))
    return probabilities


def load(card: Card, threads: int = 1, runtime: str = LITERT) -> Detector:
    """Load the card's model, ready to score; call it in the process that will (after a fork).

    `runtime` is what runs it, as far as it can: what it cannot runs on LiteRT.

    Raises CardError when the model is missing or not the one that the card describes, or is not
    of the form that the card describes.
    """
    if card.model is None:
        from workers.detectors import plugins  # noqa: PLC0415 - as below

        return plugins.load(card)
    if card.output is not None:
        from workers.detectors.custom_model import load_net  # noqa: PLC0415 - as below

        card.verify()
        return load_net(card, runtime)
    from workers.detectors.card import CardError  # noqa: PLC0415 - with the runtime, below
    from workers.detectors.runtimes import LiteRT, ModelError  # noqa: PLC0415 - 0.2 s

    card.verify()
    path = card.model_path
    if card.input is None or card.calibration is None:
        raise CardError(f"the card of {card.name} has no input or no calibration")
    try:
        session: QuantisedSession | None = None
        if runtime == TENSORFLOW:
            from workers.detectors.graph import quantised_graph  # noqa: PLC0415 - for who asks

            session = quantised_graph(path)
        if session is None:
            session = LiteRT(path, threads)
    except ModelError as error:
        raise CardError(str(error)) from error
    if session.shape != (card.input.height, card.input.width, len(card.input.channels)):
        raise CardError(f"{path.name} takes {session.shape}, its card says otherwise")
    return QuantisedNet(card, card.calibration, session)
