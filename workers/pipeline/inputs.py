"""Select the inputs of each detector from a decoded image.

The only place that decides what a model sees: scans, `scanner evaluate` and training all use it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from storage.records import RESIZED_FROM
from workers.detectors import installed
from workers.detectors.detector import EmbeddingDetector
from workers.images.degraded import degraded
from workers.images.domain import out_of_domain
from workers.pipeline import crops
from workers.pipeline.route import TOO_LARGE, Router

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from storage.records import Finding
    from workers.detectors.card import Card, Input, View
    from workers.detectors.detector import Detector
    from workers.images.decode import Decoded, Header
    from workers.pipeline.crops import Finder

# Faces that are examined per image, the largest ones.
MAX_FACES = 4
# A face of at least this share of the image's shorter side makes the image a portrait. Where that
# side is under so many pixels, its crops are crops of a face, mostly reduced for a website.
PORTRAIT, SMALL_PORTRAIT_SIDE = 0.5, 448
# In images up to this side, in pixels, no face is large enough for a detector.
NO_FACE_SIDE = 64


@dataclass(frozen=True, slots=True)
class DetectorInputs:
    """Squares of one image that get one score from one detector; `detail` goes into the finding.

    They are in groups, one for each of the detector's views.
    """

    detector: str
    views: list[list[NDArray[np.uint8]]]
    detail: dict[str, Any]

    def score(self, detector: Detector) -> float:
        """Return the score of the views together, or that of the mean logit of the squares."""
        if isinstance(detector, EmbeddingDetector):
            return detector.score_views(self.views)
        return crops.mean_probability(detector.score(list(chain.from_iterable(self.views))))


@dataclass(slots=True)
class ImageInputs:
    """Inputs from one image, or the finding that says why there are none.

    `full_size` are faces and crops at the image's own resolution. `whole` are whole images: they
    are scored many at a time, since a call takes as long as scoring a tiny image.
    """

    full_size: list[DetectorInputs] = field(default_factory=list)
    whole: list[DetectorInputs] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def of(self, detector: str) -> list[DetectorInputs]:
        """Return the inputs of one detector: several faces, or one of another kind, or none."""
        return [one for one in (*self.full_size, *self.whole) if one.detector == detector]

    def highest_score(self, name: str, detector: Detector) -> float | None:
        """Return the highest of a detector's scores, which is what a verdict goes by, or None."""
        scores = [one.score(detector) for one in self.full_size if one.detector == name]
        scores += [
            float(detector.score(one.views[0])[0]) for one in self.whole if one.detector == name
        ]
        return max(scores, default=None)


class InputSelector:
    """Selects the inputs of the detectors of one plan."""

    def __init__(
        self, planned: Mapping[str, Card], present: Mapping[str, Card], finder: Finder | None
    ) -> None:
        """Take the planned detectors, and all `present` ones to explain why none suits an image."""
        self._views = {name: card.view for name, card in planned.items()}
        self._inputs = {name: card.input for name, card in planned.items() if card.input}
        self._photographic = {name for name, card in planned.items() if _is_for_photographs(card)}
        self._router = Router(planned, present)
        has_faces = any(view.kind == "faces" for view in self._views.values())
        self._finder = finder if has_faces else None
        # Whether images have to be decoded at their own size.
        self.native = finder is not None or any(
            view.kind != "whole" for view in self._views.values()
        )

    def is_scored_whole(self, header: Header) -> bool:
        """Return whether an image of this size is scored as a whole, or not at all."""
        return max(header.width, header.height) <= NO_FACE_SIDE and all(
            self._views[name].kind == "whole" for name in self._router.by_size(header)
        )

    def select(self, decoded: Decoded) -> ImageInputs:
        """Select the inputs from one image, see `select_each`."""
        return self.select_each([decoded])[0]

    def select_each(self, images: Sequence[Decoded]) -> list[ImageInputs]:
        """Select faces, crops and the whole of each image, for the detectors that it suits.

        The built-in detectors get photographs alone, and what looks like them. A small portrait is
        for the detector of faces alone.
        """
        outside = out_of_domain(images) if self._photographic else [None] * len(images)
        return [self._select(*image) for image in zip(images, outside, strict=True)]

    def _select(self, decoded: Decoded, outside: Finding | None) -> ImageInputs:
        inputs = ImageInputs()
        names = self._router.by_size(decoded.header)
        if outside is not None:
            names = [name for name in names if name not in self._photographic]
        elif decoded.native is not None:
            inputs.full_size.extend(self._faces(decoded, decoded.native))
        is_small_portrait = any(_fills_small(face, decoded.header) for face in inputs.full_size)
        for name in names:
            kind = self._views[name].kind
            if kind == "whole":
                inputs.whole.append(self._whole(name, decoded))
            elif decoded.native is not None and not (is_small_portrait and kind == "crops"):
                inputs.full_size.append(self._crops(name, decoded, decoded.native))
        if inputs.full_size and (finding := degraded(decoded)) is not None:
            inputs.findings.append(finding)
        if not inputs.full_size and not inputs.whole:
            why = TOO_LARGE if names else self._router.why_none(decoded.header)
            inputs.findings.append(outside or why)
        return inputs

    def _whole(self, name: str, decoded: Decoded) -> DetectorInputs:
        array = crops.whole(decoded.pixels, self._inputs[name])
        if array is decoded.pixels:
            return DetectorInputs(name, [[array]], {})
        detail = {RESIZED_FROM: [decoded.header.width, decoded.header.height]}
        return DetectorInputs(name, [[array]], detail)

    def _crops(self, name: str, decoded: Decoded, image: Image.Image) -> DetectorInputs:
        view, model_input = self._views[name], self._inputs[name]
        if view.kind == "centre":
            array = crops.centre(decoded, image, view.shorter, model_input)
            return DetectorInputs(name, [[array]], {})
        views = crop_views(decoded, image, view, model_input)
        return DetectorInputs(name, views, {"crops": len(views[0])})

    def _faces(self, decoded: Decoded, image: Image.Image) -> Iterator[DetectorInputs]:
        """Yield the largest faces, each for the one detector that suits its size."""
        if self._finder is None or max(image.size) <= NO_FACE_SIDE:
            return
        for face in crops.faces(decoded, self._finder)[:MAX_FACES]:
            name = self._router.for_face(face.side)
            if name is not None:
                view, model_input = self._views[name], self._inputs[name]
                views = [[crops.of_face(decoded, image, face, view.margin, model_input)]]
                if view.close_up:
                    views.append([crops.close_up(decoded, image, face, model_input)])
                box = [round(side) for side in (face.left, face.top, face.right, face.bottom)]
                yield DetectorInputs(name, views, {"box": box})


def crop_views(
    decoded: Decoded, image: Image.Image, view: View, model_input: Input
) -> list[list[NDArray[np.uint8]]]:
    """Return the squares of each view of a detector that gets crops, those as stored first."""
    squares = crops.crops(image, model_input, view.crops)
    views = [squares]
    if view.reduced_crops:
        views.append(crops.reduced(image, model_input, view.reduced_crops) or squares)
    if view.overview:
        views.append([crops.overview(decoded, model_input)])
    return views


def selector_for(card: Card, *, any_size: bool = False) -> InputSelector:
    """Return the selector that measures one detector by the rules of a scan with it.

    A built-in detector is planned with the others, as by default: small portraits go to the
    detector of faces. A custom detector is planned alone. With `any_size`, whole images and their
    centres are selected whatever sizes the card says.
    """
    planned = dict(installed.built_in()) if card.name in installed.NAMES else {}
    if any_size and card.input is not None and card.view.kind in ("whole", "centre"):
        card = replace(card, input=replace(card.input, smallest_side=1, largest_side=sys.maxsize))
    planned[card.name] = card
    return InputSelector(planned, {}, face_finder(planned.values()))


def face_finder(cards: Iterable[Card]) -> Finder | None:
    """Load the face finder if one of the detectors is for faces."""
    if all(card.view.kind != "faces" for card in cards):
        return None
    from workers.images.faces import FaceFinder  # noqa: PLC0415 - with the runtime, 0.2 s

    return FaceFinder()


def _is_for_photographs(card: Card) -> bool:
    """Return whether a detector is a built-in one, or one of their models fitted to answers.

    Of other custom detectors nobody here knows what they are for.
    """
    if card.name in installed.NAMES:
        return True
    built_in = {other.model.sha256 for other in installed.built_in().values() if other.model}
    return card.model is not None and card.model.sha256 in built_in


def _fills_small(face: DetectorInputs, header: Header) -> bool:
    """Return whether a face makes the image a small portrait."""
    left, top, right, bottom = face.detail["box"]
    shorter = min(header.width, header.height)
    fills = max(right - left, bottom - top) >= PORTRAIT * shorter
    return bool(fills and shorter < SMALL_PORTRAIT_SIDE)
