"""Conversion of Keras models and SavedModels to .tflite files, compared with the originals.

A file is read by the Keras that wrote it: TF-Keras for files of TensorFlow 1 and 2 (Keras 2),
Keras 3 for its own. A file that could do anything but compute is refused before that, and all of
this runs in a process that is confined (`conversion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from workers.detectors.adding import input_of, run, synthetic_images
from workers.detectors.custom_model import prepared
from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import open_session
from workers.detectors.trial_run import Examined
from workers.training.export.keras_config import ConversionError, conversion_errors
from workers.training.export.keras_files import known_version
from workers.training.export.saved_model import Signature, load_signature

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.detectors.adding import ModelDescription

# How far a converted model's numbers may deviate from the original's, as a share of their size.
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Original:
    """A model as its own library runs it; `run` takes (n, height, width, 3), returns (n, m)."""

    made_by: str
    run: Callable[[NDArray[np.float32]], NDArray[np.float64]]


def convert(source: Path, size: tuple[int, int] | None, to: Path) -> Original:
    """Write the model as .tflite of floats; `size` is (height, width) if the model leaves it open.

    Raises ConversionError for a file without a model, with code, or with operations that LiteRT
    lacks.
    """
    with conversion_errors(source.name):
        model, made_by = _load(source)
        shape = _shape(model, size, source.name)
        numbers = tf.function(
            lambda image: _only(_called(model, image)),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
        )
        function = numbers.get_concrete_function()
        # The converter looks for variables here; it would not find those of Keras 3 in the model.
        holder = tf.Module()
        holder.variables_of_model = list(function.variables)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
        to.write_bytes(converter.convert())
    return Original(
        made_by,
        lambda values: np.concatenate([np.asarray(numbers(image[None])) for image in values]),
    )


def require_same(
    original: Original, values: NDArray[np.float32], converted: NDArray[np.float64], name: str
) -> None:
    """Raise ConversionError unless the converted model returned the original's numbers, (n, m)."""
    expected = np.asarray(original.run(values), np.float64).reshape(len(values), -1)
    if not np.isfinite(expected).all():
        raise ConversionError(
            f"{name} gives NaN or infinity for ordinary images: is --scale right?"
        )
    off = np.abs(expected - converted) / (1.0 + np.abs(expected))
    if not np.all(off <= TOLERANCE):
        raise ConversionError(
            f"{name} gives other numbers after its conversion (by up to {off.max():.3g} of their "
            "size); nothing was added"
        )


def _load(source: Path) -> tuple[Any, str]:
    if source.is_dir():
        return load_signature(source), "TensorFlow SavedModel"
    version = known_version(source)
    if version.startswith("3"):
        return keras.models.load_model(source, compile=False, safe_mode=True), f"Keras {version}"
    # Late: it takes seconds, and only old models need it.
    import tf_keras  # noqa: PLC0415

    model = tf_keras.models.load_model(source, compile=False, safe_mode=True)
    return model, f"Keras {version or 'of an unknown version'}"


def _called(model: Any, image: Any) -> Any:  # noqa: ANN401
    """Return a model's outputs; not as in training, of which Keras 3 keeps random numbers."""
    return model(image) if isinstance(model, Signature) else model(image, training=False)


def _shape(model: Any, size: tuple[int, int] | None, name: str) -> list[int]:  # noqa: ANN401
    shape = model.input_shape
    if isinstance(shape, list) or len(shape) != 4:  # noqa: PLR2004
        raise ConversionError(f"{name} takes {shape}: expected one image")
    _, height, width, channels = shape
    if size is not None:
        height, width = height or size[0], width or size[1]
    if height is None or width is None:
        raise ConversionError(f"{name} takes images of any size: say which with --input")
    return [1, height, width, channels]


def _only(outputs: Any) -> Any:  # noqa: ANN401
    """Return the only output of a model; ConversionError where there are several."""
    tensors = tf.nest.flatten(outputs)
    if len(tensors) != 1:
        raise ConversionError(f"the model has {len(tensors)} outputs: expected one")
    return tensors[0]


def convert_and_compare(source: Path, description: ModelDescription, to: Path) -> str:
    """Convert a model and compare it on synthetic images; return what the model was made by.

    Raises ConversionError or AddError where the model cannot be converted, or deviates.
    """
    original = convert(source, description.size, to)
    try:
        session = open_session(to, description.size)
    except ModelError as error:
        raise ConversionError(f"{source.name} cannot be used: {error}") from error
    examined = Examined(session.height, session.width, session.count, raw=False)
    model_input = input_of(description, examined)
    images = synthetic_images(session.height, session.width)
    values = [prepared(image, model_input) for image in images]
    require_same(original, np.array(values), run(session, values, source.name), source.name)
    return original.made_by
