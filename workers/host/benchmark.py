"""Measure the speed of this machine: one process, on one core, scores the same images repeatedly.

Each model runs in a separate process, so that its memory can be measured and it may crash.
"""

from __future__ import annotations

import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from workers.detectors import installed
from workers.detectors.runtimes import LiteRT, ModelError
from workers.detectors.sessions import TfLite
from workers.errors import ImageProblem
from workers.host.capacity import peak_mb
from workers.images.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# The model that runs at both sizes: it is convolutional, so it accepts any.
MODEL = "objects-32"
SIDES = (32, 224)


class BenchmarkFailed(Exception):
    """The model cannot run here; the message says which one and why."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A model that is loaded and runs on pixels of shape (side, side, 3)."""

    runtime: str
    side: int
    run: Callable[[NDArray[np.uint8]], object]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to measure; `open` is called in the process that runs it."""

    model: str
    size_bytes: int
    open: Callable[[], Runner]


@dataclass(frozen=True, slots=True)
class Speed:
    """The speed of one process, on one core, with a model; milliseconds are per image.

    `memory_mb` is the peak of the whole process, None if the system does not tell.
    """

    model: str
    runtime: str
    side: int
    images: int
    images_per_second: float
    decode_ms: float
    infer_ms: float
    size_mb: float
    memory_mb: int | None


def built_in_subjects() -> list[Subject]:
    """Return the built-in model at each of the sizes."""
    path = installed.installed()[MODEL].model_path
    return [
        Subject(MODEL, path.stat().st_size, partial(_open_quantised, path, side)) for side in SIDES
    ]


def subject_of_file(path: Path) -> Subject:
    """Return the model of a .tflite file, at its own size."""
    return Subject(path.stem, path.stat().st_size, partial(_open_file, path))


def measure(subject: Subject, images: Sequence[bytes], seconds: float) -> Speed | None:
    """Decode, resize and score images repeatedly for a while, in a separate process.

    Return None if no image can be decoded. Raises BenchmarkFailed.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        try:
            return pool.submit(_measure, subject, images, seconds).result()
        except ModelError as error:
            raise BenchmarkFailed(str(error)) from error
        except BrokenProcessPool as error:
            raise BenchmarkFailed(
                f"{subject.model} ended the process that ran it: is there enough memory?"
            ) from error


def _measure(subject: Subject, images: Sequence[bytes], seconds: float) -> Speed | None:
    runner = subject.open()
    decodable = [image for image in images if _decoded(image, runner.side) is not None]
    if not decodable:
        return None
    # The first run of a model takes longer than all others.
    runner.run(np.zeros((runner.side, runner.side, 3), np.uint8))
    decode_seconds = infer_seconds = 0.0
    count = 0
    started = perf_counter()
    for image in itertools.cycle(decodable):
        before = perf_counter()
        pixels = _decoded(image, runner.side)
        between = perf_counter()
        if pixels is not None:
            runner.run(pixels)
        after = perf_counter()
        decode_seconds += between - before
        infer_seconds += after - between
        count += 1
        if after - started >= seconds:
            break
    return Speed(
        model=subject.model,
        runtime=runner.runtime,
        side=runner.side,
        images=count,
        images_per_second=count / (decode_seconds + infer_seconds),
        decode_ms=decode_seconds * 1000 / count,
        infer_ms=infer_seconds * 1000 / count,
        size_mb=subject.size_bytes / 1e6,
        memory_mb=peak_mb(),
    )


def _open_quantised(path: Path, side: int | None = None) -> Runner:
    session = LiteRT(path, side=side)
    return Runner("LiteRT int8", session.shape[0], lambda pixels: session.run([pixels]))


def _open_file(path: Path) -> Runner:
    """Open a detector like the built-in ones, or any other model with one image as its input."""
    try:
        return _open_quantised(path)
    except ModelError:
        session = TfLite(path)
    if session.height != session.width:
        raise ModelError(f"{path.name}: expected a square input")
    kind = "float" if session.floats else "int8"
    return Runner(
        f"LiteRT {kind}",
        session.height,
        lambda pixels: session.run(pixels.astype(np.float32)),
    )


def _decoded(data: bytes, side: int) -> NDArray[np.uint8] | None:
    """Return the pixels of an image, (side, side, 3); None if it cannot be decoded."""
    try:
        pixels = decode(data, long_side=side).pixels
    except ImageProblem:
        return None
    if pixels.shape[:2] == (side, side):
        return pixels
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image)
