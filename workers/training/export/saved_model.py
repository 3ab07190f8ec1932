"""SavedModel folders: the check of their operations, and their signature as a function."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from workers.training.export.keras_config import ConversionError
from workers.training.export.operations import CHECKPOINT, COMPUTING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FILE, _SIGNATURE = "saved_model.pb", "serving_default"
MAX_GRAPH_BYTES = 2 * 2**30


def load_signature(source: Path) -> Signature:
    """Load the serving signature of a folder; ConversionError unless it only computes."""
    _require_known_operations(source)
    loaded = tf.saved_model.load(os.fspath(source))
    if _SIGNATURE not in loaded.signatures:
        raise ConversionError(f"{source.name} has no signature {_SIGNATURE}")
    return Signature(loaded)


class Signature(tf.Module):  # type: ignore[misc]
    """A signature with one input in the form that the converter takes."""

    def __init__(self, loaded: Any) -> None:  # noqa: ANN401 - whatever TensorFlow loads
        super().__init__()
        # A reference, or its variables would be freed.
        self.loaded = loaded
        self._run = loaded.signatures[_SIGNATURE]
        inputs = self._run.structured_input_signature[1]
        if len(inputs) != 1:
            raise ConversionError(f"the SavedModel has {len(inputs)} inputs: expected one")
        ((self._name, spec),) = inputs.items()
        self.input_shape = tuple(spec.shape)

    def __call__(self, image: Any) -> Any:  # noqa: ANN401
        """Return the signature's outputs for an image."""
        return self._run(**{self._name: image})


def _require_known_operations(source: Path) -> None:
    """Raise ConversionError unless all that could run in a SavedModel only computes.

    Files are read and written in functions that save and restore the variables. TensorFlow 2 does
    not call these when it loads a model, so they may be there as long as nothing calls them.
    """
    for graph in _graphs(source):
        if not graph.object_graph_def.nodes:
            raise ConversionError(
                f"{source.name} was saved by TensorFlow 1: load it and save it by TensorFlow 2"
            )
        if graph.asset_file_def:
            raise ConversionError(f"{source.name} takes data from other files, which are not read")
        called = set(_offered(graph.object_graph_def))
        for function in graph.graph_def.library.function:
            called.update(_called(function.node_def))
        for function in graph.graph_def.library.function:
            may = COMPUTING if function.signature.name in called else COMPUTING | CHECKPOINT
            _require(may, function.node_def, source.name)
        _require(COMPUTING | CHECKPOINT, graph.graph_def.node, source.name)


def _graphs(source: Path) -> Iterable[Any]:
    graph = saved_model_pb2.SavedModel()
    try:
        file = source / _FILE
        if file.stat().st_size > MAX_GRAPH_BYTES:
            raise ConversionError(f"{source.name} is too large")
        graph.ParseFromString(file.read_bytes())
    except OSError as error:
        raise ConversionError(f"{source.name} is not a SavedModel: {_FILE} not found") from error
    graphs: Iterable[Any] = graph.meta_graphs
    return graphs


def _offered(objects: Any) -> Iterator[str]:  # noqa: ANN401 - a message of TensorFlow's
    """Yield the names of functions that the loaded object has."""
    yield from objects.concrete_functions
    for node in objects.nodes:
        yield from node.function.concrete_functions
        yield node.bare_concrete_function.concrete_function_name


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    """Yield the names of functions that nodes call."""
    for node in nodes:
        for attribute in node.attr.values():
            yield attribute.func.name
            yield from (each.name for each in attribute.list.func)


def _require(known: frozenset[str], nodes: Iterable[Any], name: str) -> None:
    for node in nodes:
        if node.op not in known:
            raise ConversionError(
                f"{name} contains the operation {node.op!r:.60} ({node.name!r:.60}), which is not "
                "one of those that only compute; not loaded"
            )
