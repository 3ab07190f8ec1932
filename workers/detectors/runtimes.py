"""How a model runs: sessions that know a runtime and nothing of detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from workers.native_output import without_info_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class ModelError(Exception):
    """The model's file cannot be run or is not of the form that its runtime expects."""


class LiteRT:
    """A fully quantised image model on LiteRT: uint8 pixels in, one uint8 number out.

    The input's quantisation must make raw pixels of 0..255 the numbers that the model was
    trained on, so that no pixel is ever touched in Python. Not to be shared between threads, nor
    carried across a fork.
    """

    def __init__(self, path: Path, threads: int = 1, side: int | None = None) -> None:
        """`side` has a convolutional net take squares of another size than it was made for."""
        try:
            with without_info_lines():
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                if side is not None:
                    (given,) = self._interpreter.get_input_details()
                    self._interpreter.resize_tensor_input(given["index"], [1, side, side, 3])
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path.name} is no model that LiteRT can run: {error}") from error
        (given,) = self._interpreter.get_input_details()
        (got,) = self._interpreter.get_output_details()
        if given["dtype"] is not np.uint8 or tuple(given["quantization"]) != (1.0, 0):
            raise ModelError(f"{path.name} does not take raw pixels as they are")
        if got["dtype"] is not np.uint8 or got["shape"].prod() != 1:
            raise ModelError(f"{path.name} does not give one quantised number")
        self.shape: tuple[int, ...] = tuple(given["shape"][1:].tolist())
        self.scale, self.zero_point = float(got["quantization"][0]), int(got["quantization"][1])
        self._input, self._output = given["index"], got["index"]

    def run(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Run images of `shape` one by one; the raw outputs, (n,), see `levels`."""
        outputs = np.empty(len(images), np.uint8)
        put, invoke, take = (
            self._interpreter.set_tensor,
            self._interpreter.invoke,
            self._interpreter.get_tensor,
        )
        for place, image in enumerate(images):
            put(self._input, image[None])
            invoke()
            outputs[place] = take(self._output).item()
        return outputs

    def levels(self) -> NDArray[np.float64]:
        """The number that each of the 256 raw outputs stands for, (256,)."""
        return np.arange(-self.zero_point, 256 - self.zero_point) * np.float64(self.scale)
