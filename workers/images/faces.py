"""Detection of faces.

MediaPipe's BlazeFace, full range (Bazarevsky et al. 2019, arXiv:1907.05047), on LiteRT: one run on
the whole image at 192 by 192 pixels, which finds faces from about a twentieth of its longer side.
It misses a face that fills the frame, but finds that one when the image is half as large.
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
# Side of the model's input, in pixels.
SIZE = 192
# The model predicts for each cell of a grid whether a face is centred there, and its box.
GRID = 48
# MediaPipe's own limits: the least probability of a face, and the overlap of boxes of one face.
MIN_PROBABILITY, MIN_OVERLAP = 0.6, 0.3
# Logits are clipped here, far beyond certainty, so that `exp` does not overflow.
_MAX_LOGIT = 100.0


class Face(NamedTuple):
    """The box of a face, in pixels, from the hair line to the chin, and its probability."""

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
        """Return the face in an image that is so many times as wide and as high."""
        return Face(
            self.left * wide,
            self.top * high,
            self.right * wide,
            self.bottom * high,
            self.probability,
        )


class FaceFinder:
    """The face detector; one per process, not shared between threads or used after a fork."""

    def __init__(self) -> None:
        with without_info_lines():
            self._model = Interpreter(model_path=str(MODEL), num_threads=1)
            self._model.allocate_tensors()
        (model_input,) = self._model.get_input_details()
        # Boxes have sixteen numbers (corners and key points), logits one.
        outputs = {int(o["shape"][-1]): o["index"] for o in self._model.get_output_details()}
        self._input, self._boxes, self._logits = model_input["index"], outputs[16], outputs[1]

    def find(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """Return the faces in an upright image, HxWx3, most probable first."""
        scale = SIZE / max(pixels.shape[:2])
        return self._find_at(pixels, scale) or self._find_at(pixels, scale / 2)

    def _find_at(self, pixels: NDArray[np.uint8], scale: float) -> list[Face]:
        height, width = pixels.shape[:2]
        self._model.set_tensor(self._input, _letterbox(pixels, scale))
        self._model.invoke()
        logits = self._model.get_tensor(self._logits)[0, :, 0]
        probabilities = 1 / (1 + np.exp(-np.clip(logits, -_MAX_LOGIT, _MAX_LOGIT)))
        cells = np.flatnonzero(probabilities >= MIN_PROBABILITY)
        if not len(cells):
            return []
        boxes = _corners(self._model.get_tensor(self._boxes)[0, cells], cells) / scale
        boxes = np.clip(boxes, 0, (width, height, width, height))
        rows = np.column_stack([boxes, probabilities[cells]]).tolist()
        return _merge([Face(*row) for row in rows])


def _letterbox(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    """Return the scaled image in the upper left of a black square, values from -1 to 1."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    square = np.full((1, SIZE, SIZE, 3), -1.0, np.float32)
    square[0, : size[1], : size[0]] = np.asarray(small, np.float32) / 127.5 - 1.0
    return square


def _corners(raw: NDArray[np.float32], cells: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return left, top, right and bottom of boxes predicted as offset from their cell, and size."""
    centres = np.stack([cells % GRID, cells // GRID], 1) + 0.5
    middle = centres * (SIZE / GRID) + raw[:, :2]
    return np.concatenate([middle - raw[:, 2:4] / 2, middle + raw[:, 2:4] / 2], 1)


def _merge(faces: list[Face]) -> list[Face]:
    """Replace boxes that overlap by their mean, weighted by probability (non-maximum blending)."""
    remaining = sorted(faces, key=lambda face: -face.probability)
    merged = []
    while remaining:
        best = remaining[0]
        same = [face for face in remaining if _overlap(best, face) > MIN_OVERLAP]
        remaining = [face for face in remaining[1:] if _overlap(best, face) <= MIN_OVERLAP]
        if same:  # a box without an area does not even overlap with itself
            weights = [face.probability for face in same]
            left, top, right, bottom = np.average([face[:4] for face in same], 0, weights).tolist()
            merged.append(Face(left, top, right, bottom, best.probability))
    return merged


def _overlap(a: Face, b: Face) -> float:
    """Return the intersection over union of two boxes."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(a) + _area(b) - shared)


def _area(face: Face) -> float:
    return (face.right - face.left) * (face.bottom - face.top)
