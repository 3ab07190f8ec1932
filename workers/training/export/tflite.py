"""Export of Keras models to .tflite files, as int8 or float16, compared with the originals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from storage.errors import ScannerError
from workers.detectors.runtimes import LiteRT, ModelError
from workers.detectors.sessions import TfLite
from workers.training.networks import models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# Ten images set the ranges of activations badly; a few hundred do it well.
REPRESENTATIVE = 400
# How far the int8 model may deviate: the share of images on the other side of 0.5, and the mean
# difference of logits in standard deviations of the logits. Measured: about 0.003 and 0.03.
MAX_CHANGED_CALLS = 0.02
MAX_MEAN_DIFFERENCE = 0.15
# How far any number of a float16 model may deviate, in standard deviations: weights of 16 bits have
# three digits.
MAX_FLOAT_DIFFERENCE = 0.05
# Images of noise on which a float16 model is compared with the trained one.
COMPARED = 16


class ExportError(ScannerError):
    """The exported model deviates from the trained one, or cannot be run."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Comparison of the int8 model with the float model on the same images."""

    images: int
    called_otherwise: float
    mean_distance: float


def export_int8(model: keras.Model, images: NDArray[np.uint8], path: Path) -> None:
    """Write `model` to `path` as full int8: raw uint8 pixels in, one uint8 logit out.

    `images`, (n, height, width, 3), set the ranges of the activations; training images will do.
    """
    converter = converter_of(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())


def export_float16(model: keras.Model, path: Path) -> None:
    """Write `model` to `path` with 16-bit weights: one image of 0..255 in, its numbers out."""
    converter = converter_of(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    path.write_bytes(converter.convert())


def converter_of(model: keras.Model) -> tf.lite.TFLiteConverter:
    """Return the converter to .tflite for one image at a time.

    Batches gain nothing on small processors, and a fixed shape is allocated only once.
    """
    pixels = keras.Input(model.input_shape[1:], batch_size=1, name="pixels")
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(pixels, model(pixels)))


def compare_int8(model: keras.Model, path: Path, images: NDArray[np.uint8]) -> Agreement:
    """Run both models; ExportError where they differ by more than int8 explains."""
    exported, trained = int8_logits(path, images), models.logits(model, images)
    agreement = Agreement(
        images=len(images),
        called_otherwise=float(np.mean((exported >= 0) != (trained >= 0))),
        mean_distance=float(np.mean(np.abs(exported - trained)) / np.std(trained)),
    )
    # Written so that a NaN is refused as well.
    if not (
        agreement.called_otherwise <= MAX_CHANGED_CALLS
        and agreement.mean_distance <= MAX_MEAN_DIFFERENCE
    ):
        raise ExportError(f"the int8 model differs from the trained one: {agreement}")
    return agreement


def compare_float16(model: keras.Model, path: Path) -> None:
    """Run both models on noise; ExportError where they differ by more than 16 bits explain."""
    try:
        session = TfLite(path)
    except ModelError as error:
        raise ExportError(str(error)) from error
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (COMPARED, *model.input_shape[1:])).astype(np.float32)
    exported = np.array([session.run(image) for image in images])
    trained = np.asarray(model.predict_on_batch(images), np.float64)
    difference = float(np.max(np.abs(exported - trained)) / np.std(trained))
    if not difference <= MAX_FLOAT_DIFFERENCE:
        raise ExportError(
            f"the exported model differs from the trained one: numbers by up to {difference:.3g} "
            "standard deviations"
        )


def int8_logits(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the logits of an int8 model, as workers run it; ExportError where it cannot be run."""
    try:
        session = LiteRT(path)
    except ModelError as error:
        raise ExportError(str(error)) from error
    return session.levels()[session.run(list(images))]


def _representative(images: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
    # Black and white fix the input's range, so that a quantised pixel is the pixel itself.
    for extreme in (0, 255):
        yield [np.full((1, *images.shape[1:]), extreme, np.float32)]
    for image in images[:REPRESENTATIVE]:
        yield [image[None].astype(np.float32)]
