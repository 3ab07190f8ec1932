"""Conversion of Keras models and SavedModels to .tflite files, compared with the originals.

A file is read by the Keras that wrote it: TF-Keras for files of TensorFlow 1 and 2 (Keras 2),
Keras 3 for its own. A file that could run code when it is loaded is refused before that.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from storage.errors import ScannerError
from workers.detectors.adding import input_of, run, synthetic_images
from workers.detectors.custom_model import prepared
from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import open_session
from workers.detectors.trial_run import Examined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.detectors.adding import ModelDescription

# Layers that contain code, or load other files.
CODE_LAYERS = frozenset({"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer"})
# Operations by which a graph accesses files or Python.
FORBIDDEN = ("PyFunc", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "DebugIdentity")
# A configuration is text; a larger one is an attack on the memory.
MAX_CONFIG_BYTES = 64 * 2**20
# How far a converted model's numbers may deviate from the original's, as a share of their size.
TOLERANCE = 1e-3


class ConversionError(ScannerError):
    """The model cannot be converted; the message is one sentence."""


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
    try:
        model, made_by = _load(source)
        shape = _shape(model, size, source.name)
        numbers = tf.function(
            lambda image: _only(model(image)), input_signature=[tf.TensorSpec(shape, tf.float32)]
        )
        function = numbers.get_concrete_function()
        # The converter looks for variables here; it would not find those of Keras 3 in the model.
        holder = tf.Module()
        holder.variables_of_model = list(function.variables)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
        to.write_bytes(converter.convert())
    except (ConversionError, OSError):
        raise
    except Exception as error:
        # Keras and TensorFlow raise errors of many types.
        text = str(error).strip().partition("\n")[0][:200]
        raise ConversionError(f"{source.name} cannot be converted: {text}") from error
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
        return _saved_model(source), "TensorFlow SavedModel"
    config, version = _h5_config(source) if source.suffix == ".h5" else _zip_config(source)
    _refuse_code(config, source.name)
    if version.startswith("3"):
        return keras.models.load_model(source, compile=False, safe_mode=True), f"Keras {version}"
    # Late: it takes seconds, and only old models need it.
    import tf_keras  # noqa: PLC0415

    model = tf_keras.models.load_model(source, compile=False, safe_mode=True)
    return model, f"Keras {version or 'of an unknown version'}"


def _h5_config(source: Path) -> tuple[Any, str]:
    try:
        with h5py.File(source) as file:
            config = file.attrs.get("model_config")
            version = file.attrs.get("keras_version", "")
    except OSError as error:
        raise ConversionError(f"{source.name} is not an HDF5 file: {error}") from error
    if config is None:
        raise ConversionError(
            f"{source.name} has only weights: save the whole model with model.save()"
        )
    return json.loads(_text(config)), _text(version)


def _zip_config(source: Path) -> tuple[Any, str]:
    try:
        with zipfile.ZipFile(source) as archive:
            for name in ("config.json", "metadata.json"):
                if archive.getinfo(name).file_size > MAX_CONFIG_BYTES:
                    raise ConversionError(f"configuration of {source.name} too large")
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ConversionError(f"{source.name} is not a .keras file: {error}") from error
    return config, str(metadata.get("keras_version", ""))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _refuse_code(config: object, name: str) -> None:
    """Raise ConversionError where a configuration has code or names modules other than Keras."""
    for table in _tables(config):
        code = CODE_LAYERS.intersection(
            name for name in (table.get("class_name"), table.get("function_type")) if name
        )
        module = table.get("module") or "keras"
        is_foreign = not isinstance(module, str) or module.partition(".")[0] not in (
            "keras",
            "tf_keras",
            "builtins",
        )
        if code or is_foreign:
            what = ", ".join(sorted(code)) or f"the module {module!r}"
            raise ConversionError(
                f"{name} contains code ({what}), which is never run: remove it from the model"
            )


def _tables(config: object) -> Iterator[dict[str, Any]]:
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _saved_model(source: Path) -> Any:  # noqa: ANN401 - whatever TensorFlow loads
    """Load the serving signature as a function with one input, which keeps its variables."""
    graph = saved_model_pb2.SavedModel()
    try:
        graph.ParseFromString((source / "saved_model.pb").read_bytes())
    except OSError as error:
        raise ConversionError(
            f"{source.name} is not a SavedModel: saved_model.pb not found"
        ) from error
    for meta in graph.meta_graphs:
        functions = meta.graph_def.library.function
        nodes = [
            *meta.graph_def.node,
            *(node for function in functions for node in function.node_def),
        ]
        for node in nodes:
            if node.op.startswith(FORBIDDEN):
                raise ConversionError(
                    f"{source.name} contains the forbidden operation {node.op}; not loaded"
                )
    loaded = tf.saved_model.load(os.fspath(source))
    if "serving_default" not in loaded.signatures:
        raise ConversionError(f"{source.name} has no signature serving_default")
    return _Signature(loaded)


class _Signature(tf.Module):  # type: ignore[misc]
    """A signature in the form that the converter takes."""

    def __init__(self, loaded: Any) -> None:  # noqa: ANN401
        super().__init__()
        # A reference, or its variables would be freed.
        self.loaded = loaded
        self._run = loaded.signatures["serving_default"]
        inputs = self._run.structured_input_signature[1]
        if len(inputs) != 1:
            raise ConversionError(f"the SavedModel has {len(inputs)} inputs: expected one")
        ((self._name, spec),) = inputs.items()
        self.input_shape = tuple(spec.shape)

    def __call__(self, image: Any) -> Any:  # noqa: ANN401
        return self._run(**{self._name: image})


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
