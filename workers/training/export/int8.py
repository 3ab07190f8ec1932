"""From a trained Keras net to a fully quantised .tflite file, compared with it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from storage.errors import ScannerError
from workers.detectors.runtimes import LiteRT, ModelError
from workers.training.networks import models

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# Ten images set the ranges of activations badly; a few hundred do it well.
REPRESENTATIVE = 400
# How far the quantised net may stray: the share of images that it calls otherwise, and the mean
# distance of its logits in their own standard deviations. Measured: about 0.003 and 0.03.
MAX_CALLED_OTHERWISE = 0.02
MAX_DISTANCE = 0.15


class ExportError(ScannerError):
    """The converted model is not the one that was trained."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the quantised net compares with the float one on the same images."""

    images: int
    called_otherwise: float
    mean_distance: float


def export(net: keras.Model, images: NDArray[np.uint8], path: Path) -> None:
    """Write `net` to `path` as full int8 with raw uint8 pixels in and one uint8 logit out.

    `images`, (n, height, width, 3), set the ranges of the activations; training images will do.
    """
    converter = converter_of(net)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())


def converter_of(net: keras.Model) -> tf.lite.TFLiteConverter:
    """What makes a .tflite file of `net`, for one image at a time.

    Batches gain nothing on small processors, and a fixed shape is never allocated again.
    """
    pixels = keras.Input(net.input_shape[1:], batch_size=1, name="pixels")
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(pixels, net(pixels)))


def compare(net: keras.Model, path: Path, images: NDArray[np.uint8]) -> Agreement:
    """Run both nets on the images; ExportError where they differ more than int8 explains."""
    quantised = quantised_logits(path, list(images))
    trained = models.logits(net, images)
    found = Agreement(
        images=len(images),
        called_otherwise=float(np.mean((quantised >= 0) != (trained >= 0))),
        mean_distance=float(np.mean(np.abs(quantised - trained)) / np.std(trained)),
    )
    # Written so that a NaN is refused as well.
    if not (found.called_otherwise <= MAX_CALLED_OTHERWISE and found.mean_distance <= MAX_DISTANCE):
        raise ExportError(f"the quantised net is not the trained one: {found}")
    return found


def quantised_logits(path: Path, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """What the file that workers will run says of images; ExportError where it cannot be run."""
    try:
        session = LiteRT(path)
    except ModelError as error:
        raise ExportError(str(error)) from error
    return session.levels()[session.run(images)]


def _representative(images: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
    # Black and white fix the input's range, so that a quantised pixel is the pixel itself.
    for extreme in (0, 255):
        yield [np.full((1, *images.shape[1:]), extreme, np.float32)]
    for image in images[:REPRESENTATIVE]:
        yield [image[None].astype(np.float32)]
