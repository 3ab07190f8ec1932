"""Where the faces in a picture are.

MediaPipe's BlazeFace, full range (Bazarevsky et al. 2019, arXiv:1907.05047), on LiteRT: one look at
the whole picture at 192 by 192 pixels, which finds faces from about a twentieth of its longer side.
A face that fills the frame is none to it; it sees that one when the picture is half as large.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from workers.native_output import without_info_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL = Path(__file__).resolve().parents[1] / "models" / "face-finder.tflite"
SIZE = 192
# The net says of each cell of a grid whether a face is centred there, and how large.
GRID = 48
# MediaPipe's own: a probability from here on is a face, and boxes that share this much are one.
SCORE, OVERLAP = 0.6, 0.3
# Logits beyond are as good as certain; without a bound `exp` overflows.
_CLIP = 100.0


class Face(NamedTuple):
    """A face's box in pixels, from the hair line to the chin, and how sure the finder is."""

    left: float
    top: float
    right: float
    bottom: float
    probability: float

    @property
    def side(self) -> float:
        """The longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    def scaled(self, wide: float, high: float) -> Face:
        """The same face in a picture that is so many times as wide and as high."""
        return Face(
            self.left * wide,
            self.top * high,
            self.right * wide,
            self.bottom * high,
            self.probability,
        )


class FaceFinder:
    """The finder's net; one per process, not shared between threads or carried across a fork."""

    def __init__(self) -> None:
        with without_info_lines():
            self._net = Interpreter(model_path=str(MODEL), num_threads=1)
            self._net.allocate_tensors()
        (given,) = self._net.get_input_details()
        by_width = {int(one["shape"][-1]): one["index"] for one in self._net.get_output_details()}
        self._input, self._boxes, self._logits = given["index"], by_width[16], by_width[1]

    def find(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """The faces in an upright RGB picture, surest first, in its own pixels."""
        scale = SIZE / max(pixels.shape[:2])
        return self._look(pixels, scale) or self._look(pixels, scale / 2)

    def _look(self, pixels: NDArray[np.uint8], scale: float) -> list[Face]:
        height, width = pixels.shape[:2]
        self._net.set_tensor(self._input, _letterboxed(pixels, scale))
        self._net.invoke()
        logits = self._net.get_tensor(self._logits)[0, :, 0]
        probabilities = 1 / (1 + np.exp(-np.clip(logits, -_CLIP, _CLIP)))
        likely = np.flatnonzero(probabilities >= SCORE)
        if not len(likely):
            return []
        boxes = _corners(self._net.get_tensor(self._boxes)[0, likely], likely) / scale
        boxes = np.clip(boxes, 0, (width, height, width, height))
        found = _distinct(boxes.tolist(), probabilities[likely].tolist())
        return [Face(box[0], box[1], box[2], box[3], probability) for box, probability in found]


def _letterboxed(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    """The picture in the upper left of a black square, values of -1 to 1."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    square = np.full((1, SIZE, SIZE, 3), -1.0, np.float32)
    square[0, : size[1], : size[0]] = np.asarray(small, np.float32) / 127.5 - 1.0
    return square


def _corners(raw: NDArray[np.float32], cells: NDArray[np.intp]) -> NDArray[np.float32]:
    """Left, top, right and bottom of boxes that are given by offset from their cell, and size."""
    centres = np.stack([cells % GRID, cells // GRID], 1) + 0.5
    middle = centres * (SIZE / GRID) + raw[:, :2]
    return np.concatenate([middle - raw[:, 2:4] / 2, middle + raw[:, 2:4] / 2], 1)


def _distinct(
    boxes: list[list[float]], probabilities: list[float]
) -> list[tuple[list[float], float]]:
    """Of boxes that overlap, one: their mean, weighted by how sure each is."""
    left = sorted(zip(boxes, probabilities, strict=True), key=lambda one: -one[1])
    kept = []
    while left:
        best, surest = left[0]
        same = [one for one in left if _overlap(best, one[0]) > OVERLAP]
        left = [one for one in left[1:] if _overlap(best, one[0]) <= OVERLAP]
        if same:  # a box without an area overlaps with nothing, itself included
            weights = [one[1] for one in same]
            kept.append((np.average([one[0] for one in same], 0, weights).tolist(), surest))
    return kept


def _overlap(one: list[float], other: list[float]) -> float:
    """The shared share of two boxes: intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
