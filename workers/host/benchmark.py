"""How fast this machine alone is: one process, on one core, looks at the same pictures with a net.

Each net is run in a process of its own, so that its memory is its own and its crash ends no other.
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

# The net that is run at both sizes: it is convolutional, and takes pictures of any.
NET = "objects-32"
SIDES = (32, 224)


class CannotMeasure(Exception):
    """The net cannot be run here; the message says which, and what came of it."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A net that is ready to run on squares of pixels, (side, side, 3)."""

    runtime: str
    side: int
    run: Callable[[NDArray[np.uint8]], object]


@dataclass(frozen=True, slots=True)
class Subject:
    """A net to be measured; `open` is called in the process that runs it."""

    net: str
    size_bytes: int
    open: Callable[[], Runner]


@dataclass(frozen=True, slots=True)
class Speed:
    """What one process, on one core, did with a net; milliseconds are an image's.

    `memory_mb` is the most that the whole process took, None where the system does not tell.
    """

    net: str
    runtime: str
    side: int
    images: int
    images_per_second: float
    decode_ms: float
    infer_ms: float
    size_mb: float
    memory_mb: int | None


def shipped() -> list[Subject]:
    """The shipped net at each of the sizes."""
    path = installed.installed()[NET].model_path
    return [Subject(NET, path.stat().st_size, partial(_quantised, path, side)) for side in SIDES]


def of_file(path: Path) -> Subject:
    """The net of a .tflite file, at its own size."""
    return Subject(path.stem, path.stat().st_size, partial(_of_file, path))


def measure(subject: Subject, pictures: Sequence[bytes], seconds: float) -> Speed | None:
    """Decode, fit and score pictures over and over for a while; None where none can be decoded.

    In a process of its own. Raises CannotMeasure.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        try:
            return pool.submit(_measure, subject, pictures, seconds).result()
        except ModelError as error:
            raise CannotMeasure(str(error)) from error
        except BrokenProcessPool as error:
            raise CannotMeasure(
                f"{subject.net} ended the process that ran it: is there memory enough for it?"
            ) from error


def _measure(subject: Subject, pictures: Sequence[bytes], seconds: float) -> Speed | None:
    runner = subject.open()
    good = [picture for picture in pictures if _fitted(picture, runner.side) is not None]
    if not good:
        return None
    # The first run of a net takes longer than all others.
    runner.run(np.zeros((runner.side, runner.side, 3), np.uint8))
    decoding = inferring = 0.0
    images = 0
    began = perf_counter()
    for picture in itertools.cycle(good):
        before = perf_counter()
        pixels = _fitted(picture, runner.side)
        between = perf_counter()
        if pixels is not None:
            runner.run(pixels)
        after = perf_counter()
        decoding += between - before
        inferring += after - between
        images += 1
        if after - began >= seconds:
            break
    return Speed(
        net=subject.net,
        runtime=runner.runtime,
        side=runner.side,
        images=images,
        images_per_second=images / (decoding + inferring),
        decode_ms=decoding * 1000 / images,
        infer_ms=inferring * 1000 / images,
        size_mb=subject.size_bytes / 1e6,
        memory_mb=peak_mb(),
    )


def _quantised(path: Path, side: int | None = None) -> Runner:
    session = LiteRT(path, side=side)
    return Runner("LiteRT int8", session.shape[0], lambda pixels: session.run([pixels]))


def _of_file(path: Path) -> Runner:
    """A detector as the shipped ones are, or any other model of one picture."""
    try:
        return _quantised(path)
    except ModelError:
        session = TfLite(path)
    if session.height != session.width:
        raise ModelError(f"{path.name} does not take squares")
    kind = "float" if session.floats else "int8"
    return Runner(
        f"LiteRT {kind}",
        session.height,
        lambda pixels: session.run(pixels.astype(np.float32)),
    )


def _fitted(picture: bytes, side: int) -> NDArray[np.uint8] | None:
    try:
        pixels = decode(picture, long_side=side).pixels
    except ImageProblem:
        return None
    if pixels.shape[:2] == (side, side):
        return pixels
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image)
