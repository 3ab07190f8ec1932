"""LiteRT, the runtime of the built-in int8 models."""

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
    """The model's file cannot be run, or has an unexpected form."""


class LiteRT:
    """A fully quantised image model on LiteRT: uint8 pixels in, one uint8 number out.

    The input's quantisation must convert raw pixels of 0..255 to the numbers that the model was
    trained on, so that no pixel is processed in Python. A session cannot be shared between threads
    or across a fork.
    """

    def __init__(self, path: Path, threads: int = 1, side: int | None = None) -> None:
        """Open the model; `side` resizes the input of a convolutional network to another square."""
        try:
            with without_info_lines():
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                if side is not None:
                    (details,) = self._interpreter.get_input_details()
                    self._interpreter.resize_tensor_input(details["index"], [1, side, side, 3])
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path.name} cannot be run by LiteRT: {error}") from error
        (taken,) = self._interpreter.get_input_details()
        (returned,) = self._interpreter.get_output_details()
        if taken["dtype"] is not np.uint8 or tuple(taken["quantization"]) != (1.0, 0):
            raise ModelError(f"{path.name} does not take raw pixels")
        if returned["dtype"] is not np.uint8 or returned["shape"].prod() != 1:
            raise ModelError(f"{path.name} does not return one quantised number")
        self.shape: tuple[int, ...] = tuple(taken["shape"][1:].tolist())
        scale, zero_point = returned["quantization"]
        self.scale, self.zero_point = float(scale), int(zero_point)
        self._input, self._output = taken["index"], returned["index"]

    def run(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Run images of `shape` one by one; return the raw outputs, (n,), see `levels`."""
        outputs = np.empty(len(images), np.uint8)
        for index, image in enumerate(images):
            self._interpreter.set_tensor(self._input, image[None])
            self._interpreter.invoke()
            outputs[index] = self._interpreter.get_tensor(self._output).item()
        return outputs

    def levels(self) -> NDArray[np.float64]:
        """Return the number that each of the 256 raw outputs stands for, (256,)."""
        return np.arange(-self.zero_point, 256 - self.zero_point) * np.float64(self.scale)
