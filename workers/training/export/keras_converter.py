"""Turn a Keras model or a SavedModel into a .tflite file, and make sure that it is the same.

A file is read by the Keras that wrote it: TF-Keras for those of TensorFlow 1 and 2 (Keras 2),
Keras 3 for its own. What could run code when it is loaded is refused before anything is loaded.
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
from workers.detectors.adding import input_of, pictures, run
from workers.detectors.custom_model import prepared
from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import open_session
from workers.detectors.trial_run import Examined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.detectors.adding import Asked

# Layers that carry code of their own, or load other files.
CODE = frozenset({"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer"})
# Operations by which a graph reaches files or Python.
REACHING = ("PyFunc", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "DebugIdentity")
# A configuration is text; one larger than this is an attack on the memory.
MAX_CONFIG_BYTES = 64 * 2**20
# How far a converted net's numbers may be from the original's, in shares of their size.
TOLERANCE = 1e-3


class BringError(ScannerError):
    """The model cannot be converted; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Original:
    """A model as its own library runs it; `numbers` takes (n, height, width, 3), gives (n, m)."""

    made_by: str
    numbers: Callable[[NDArray[np.float32]], NDArray[np.float64]]


def convert(source: Path, size: tuple[int, int] | None, to: Path) -> Original:
    """Write the model as .tflite of floats; `size` (height, width) where the model leaves it open.

    BringError for what is no model, might run code, or uses what LiteRT has not.
    """
    try:
        net, made_by = _loaded(source)
        shape = _shape(net, size, source.name)
        numbers = tf.function(
            lambda picture: _one(net(picture)), input_signature=[tf.TensorSpec(shape, tf.float32)]
        )
        function = numbers.get_concrete_function()
        # The converter looks for variables here; those of Keras 3 it would not find in the net.
        holder = tf.Module()
        holder.held = list(function.variables)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
        to.write_bytes(converter.convert())
    except (BringError, OSError):
        raise
    except Exception as error:
        # Whatever Keras and TensorFlow raise about a model that they cannot take.
        said = str(error).strip().partition("\n")[0][:200]
        raise BringError(f"{source.name} cannot be converted: {said}") from error
    return Original(
        made_by, lambda values: np.concatenate([np.asarray(numbers(one[None])) for one in values])
    )


def require_same(
    original: Original, values: NDArray[np.float32], converted: NDArray[np.float64], name: str
) -> None:
    """Raise BringError unless the converted model gave the original's numbers, (n, m)."""
    expected = np.asarray(original.numbers(values), np.float64).reshape(len(values), -1)
    if not np.isfinite(expected).all():
        raise BringError(f"{name} gives NaN or infinity for ordinary pictures: is --scale right?")
    off = np.abs(expected - converted) / (1.0 + np.abs(expected))
    if not np.all(off <= TOLERANCE):
        raise BringError(
            f"{name} gives other numbers after its conversion (by up to {off.max():.3g} of their "
            "size), so it was not added"
        )


def _loaded(source: Path) -> tuple[Any, str]:
    if source.is_dir():
        return _saved_model(source), "TensorFlow SavedModel"
    config, version = _h5_config(source) if source.suffix == ".h5" else _zip_config(source)
    _refuse_code(config, source.name)
    if version.startswith("3"):
        return keras.models.load_model(source, compile=False, safe_mode=True), f"Keras {version}"
    # Late: it takes seconds, and only old models need it.
    import tf_keras  # noqa: PLC0415

    net = tf_keras.models.load_model(source, compile=False, safe_mode=True)
    return net, f"Keras {version or 'of an unknown version'}"


def _h5_config(source: Path) -> tuple[Any, str]:
    try:
        with h5py.File(source) as file:
            config = file.attrs.get("model_config")
            version = file.attrs.get("keras_version", "")
    except OSError as error:
        raise BringError(f"{source.name} is no HDF5 file: {error}") from error
    if config is None:
        raise BringError(
            f"{source.name} holds weights alone: save the whole model, with model.save()"
        )
    return json.loads(_text(config)), _text(version)


def _zip_config(source: Path) -> tuple[Any, str]:
    try:
        with zipfile.ZipFile(source) as archive:
            for name in ("config.json", "metadata.json"):
                if archive.getinfo(name).file_size > MAX_CONFIG_BYTES:
                    raise BringError(f"{source.name} describes itself at too great a length")
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise BringError(f"{source.name} is no .keras file: {error}") from error
    return config, str(metadata.get("keras_version", ""))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _refuse_code(config: object, name: str) -> None:
    """Raise BringError where a configuration holds code or asks for modules other than Keras."""
    for table in _tables(config):
        code = CODE.intersection(
            one for one in (table.get("class_name"), table.get("function_type")) if one
        )
        module = table.get("module") or "keras"
        strange = not isinstance(module, str) or module.partition(".")[0] not in (
            "keras",
            "tf_keras",
            "builtins",
        )
        if code or strange:
            what = ", ".join(sorted(code)) or f"the module {module!r}"
            raise BringError(f"{name} has code in it ({what}), which is never run: leave that out")


def _tables(config: object) -> Iterator[dict[str, Any]]:
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _saved_model(source: Path) -> Any:  # noqa: ANN401 - whatever TensorFlow loads
    """The folder's serving signature, as a function with one input that keeps its variables."""
    graph = saved_model_pb2.SavedModel()
    try:
        graph.ParseFromString((source / "saved_model.pb").read_bytes())
    except OSError as error:
        raise BringError(f"{source.name} is no SavedModel: it has no saved_model.pb") from error
    for meta in graph.meta_graphs:
        functions = meta.graph_def.library.function
        nodes = [*meta.graph_def.node, *(node for one in functions for node in one.node_def)]
        for node in nodes:
            if node.op.startswith(REACHING):
                raise BringError(f"{source.name} reaches out by {node.op}, so it is not loaded")
    loaded = tf.saved_model.load(os.fspath(source))
    if "serving_default" not in loaded.signatures:
        raise BringError(f"{source.name} has no signature serving_default")
    return _Served(loaded)


class _Served(tf.Module):  # type: ignore[misc]
    """A signature as what a converter takes."""

    def __init__(self, loaded: Any) -> None:  # noqa: ANN401
        super().__init__()
        # Kept, or its variables would be freed.
        self.loaded = loaded
        self._run = loaded.signatures["serving_default"]
        given = self._run.structured_input_signature[1]
        if len(given) != 1:
            raise BringError(f"the SavedModel takes {len(given)} inputs, where one is wanted")
        ((self._name, spec),) = given.items()
        self.input_shape = tuple(spec.shape)

    def __call__(self, picture: Any) -> Any:  # noqa: ANN401
        return self._run(**{self._name: picture})


def _shape(net: Any, size: tuple[int, int] | None, name: str) -> list[int]:  # noqa: ANN401
    shape = net.input_shape
    if isinstance(shape, list) or len(shape) != 4:  # noqa: PLR2004
        raise BringError(f"{name} takes {shape}, where one picture is wanted")
    _, height, width, channels = shape
    if size is not None:
        height, width = height or size[0], width or size[1]
    if height is None or width is None:
        raise BringError(f"{name} takes pictures of any size: say which with --input")
    return [1, height, width, channels]


def _one(outputs: Any) -> Any:  # noqa: ANN401
    """The one tensor of what a model gives; BringError where there are several."""
    found = tf.nest.flatten(outputs)
    if len(found) != 1:
        raise BringError(f"the model has {len(found)} outputs, where one is wanted")
    return found[0]


def bring(source: Path, asked: Asked, to: Path) -> str:
    """Convert and compare on samples; give what the model was made by.

    BringError or AddError where the converted model cannot be had or is not the original.
    """
    original = convert(source, asked.size, to)
    try:
        session = open_session(to, asked.size)
    except ModelError as error:
        raise BringError(f"{source.name} cannot be used: {error}") from error
    given = input_of(asked, Examined(session.height, session.width, session.count, raw=False))
    values = [prepared(one, given) for one in pictures(session.height, session.width)]
    require_same(original, np.array(values), run(session, values, source.name), source.name)
    return original.made_by
