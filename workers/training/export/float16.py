"""From a Keras net to a .tflite file that computes in floats, compared with it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import TfLite
from workers.training.export.int8 import ExportError, converter_of

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

# How far a logit may stray, in standard deviations: weights of 16 bits are three digits.
MAX_DISTANCE = 0.05


def export_floats(net: keras.Model, path: Path) -> None:
    """Write `net` to `path`: one picture of 0..255 in, one logit out, weights of 16 bits."""
    converter = converter_of(net)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    path.write_bytes(converter.convert())


def compare_floats(net: keras.Model, path: Path, images: NDArray[np.uint8]) -> None:
    """Run both nets on the images; ExportError where a logit differs more than 16 bits explain."""
    try:
        session = TfLite(path)
    except ModelError as error:
        raise ExportError(str(error)) from error
    exported = np.array([session.run(image.astype(np.float32))[0] for image in images])
    trained = np.asarray(net.predict_on_batch(images.astype(np.float32)), np.float64)[:, 0]
    furthest = float(np.max(np.abs(exported - trained)) / np.std(trained))
    # Written so that a NaN is refused as well.
    if not furthest <= MAX_DISTANCE:
        raise ExportError(f"the exported net is not the trained one: logits differ by {furthest}")
