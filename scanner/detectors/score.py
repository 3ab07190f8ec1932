"""Scoring single images by one detector."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scanner.detectors.plan import image_detector, sound_models
from workers.detectors.loading import load
from workers.errors import ImageProblem
from workers.images.decoding_process import DecodingProcess
from workers.limits import Limits
from workers.pipeline.inputs import selector_for
from workers.sources.files import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workers.detectors.detector import Detector
    from workers.images.decode import Decoded
    from workers.pipeline.inputs import InputSelector


def score_each(name: str, images: Iterable[Path]) -> Iterator[tuple[Path, float | None, str]]:
    """Yield each image with its score, or None and what is wrong with the image."""
    card = image_detector(name)
    with sound_models():
        detector = load(card)
    selector = selector_for(card, any_size=True)
    source = FileSource(Limits().max_bytes)
    with DecodingProcess() as decoder:
        for image in images:
            try:
                decoded = decoder.decode(source.fetch(os.fsencode(image.absolute())).data)
                yield image, _score(detector, selector, decoded), ""
            except (ImageProblem, ValueError) as error:
                yield image, None, str(error)


def _score(detector: Detector, selector: InputSelector, decoded: Decoded) -> float:
    """Return the score that a scan would give; ValueError if it would not use the detector."""
    name = detector.card.name
    inputs = selector.select(decoded)
    score = inputs.highest_score(name, detector)
    if score is None:
        why = "; ".join(finding.text for finding in inputs.findings)
        raise ValueError(f"not examined: {why or f'{name} is not for images like this'}")
    return score
