"""The check of a Keras model's configuration, before anything is built from it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storage.errors import ScannerError
from storage.text import clean
from workers.training.export.keras_layers import (
    ACTIVATIONS,
    ARGUMENTS,
    FUNCTIONS,
    LAYERS,
    MODELS,
    OPERATIONS,
    SETTINGS,
    SLICE_FUNCTION,
    VALUES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_KNOWN = MODELS | LAYERS | OPERATIONS | SETTINGS | VALUES
# Layers that contain code, or load other files.
_CODE = frozenset({"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer"})
_TENSORFLOW = {"TFOpLambda": FUNCTIONS, "SlicingOpLambda": frozenset({SLICE_FUNCTION})}
# Keys of an object beside its configuration.
_KEYS = frozenset(
    {
        "build_config",
        "class_name",
        "compile_config",
        "config",
        "inbound_nodes",
        "items",
        "module",
        "name",
        "registered_name",
        "shared_object_id",
    }
)
_KERAS = re.compile(r"(tf_)?keras(\.[A-Za-z_][A-Za-z0-9_]*)*")
_MAX_TEXT = 60


class ConversionError(ScannerError):
    """The model cannot be converted; the message is one sentence."""


@contextmanager
def conversion_errors(name: str) -> Iterator[None]:
    """Raise ConversionError for what else a library raises over the file `name`."""
    try:
        yield
    except (ConversionError, MemoryError, OSError):
        raise
    except Exception as error:
        # HDF5, Keras and TensorFlow raise errors of many types.
        text = str(error).strip().partition("\n")[0][:200]
        raise ConversionError(f"{name} cannot be converted: {text}") from error


def require_known(config: object, name: str) -> None:
    """Raise ConversionError unless a model consists of known layers with known arguments.

    `config` is the JSON of the file `name`; what the model was compiled with is not looked at,
    because it is not built.
    """
    kind = config.get("class_name") if isinstance(config, dict) else config
    if not isinstance(config, dict) or not _is_one_of(kind, MODELS):
        raise ConversionError(
            f"{name} has a model of class {_text(kind)}: expected Sequential or Functional"
        )
    waiting: list[tuple[object, str, str]] = [({**config, "compile_config": None}, "", "")]
    while waiting:
        value, key, layer = waiting.pop()
        if isinstance(value, list):
            waiting.extend((each, key, layer) for each in value)
        elif isinstance(value, dict):
            inside = _name_of(value) or layer
            for problem in _problems(value):
                raise ConversionError(f"{name} {problem.format(layer=_text(inside))}")
            waiting.extend((each, inner, inside) for inner, each in value.items())
        elif key.endswith("activation") and value not in {None, *ACTIVATIONS}:
            raise ConversionError(
                f"{name} has an unknown activation {_text(value)} in its layer {_text(layer)}"
            )


def _name_of(table: dict[str, Any]) -> str:
    """Return the name of the layer or setting in a table, or ""."""
    config = table.get("config")
    named = config.get("name") if isinstance(config, dict) else None
    return next((each for each in (named, table.get("name")) if isinstance(each, str)), "")


def _problems(table: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a table, as the end of a sentence about its `layer`."""
    if "class_name" not in table:
        if unknown := table.keys() - ARGUMENTS:
            yield f"has an unknown argument {_braced(min(unknown))} in its layer {{layer}}"
        return
    kind, config = table["class_name"], table.get("config")
    if not isinstance(kind, str):
        yield f"has the layer {{layer}} of the unknown class {_braced(kind)}"
    elif kind in _CODE:
        yield f"contains code ({kind}), which is never run: remove it from the model"
    elif kind == "function":
        if not _is_one_of(config, ACTIVATIONS):
            yield f"calls the function {_braced(config)}, which is not one of Keras' activations"
    elif kind in _TENSORFLOW:
        function = config.get("function") if isinstance(config, dict) else None
        if not _is_one_of(function, _TENSORFLOW[kind]):
            yield f"calls {_braced(function)} in its layer {{layer}}, which scanner does not run"
    elif kind not in _KNOWN:
        yield (
            f"has the layer {{layer}} of the unknown class {_braced(kind)}: only layers of Keras "
            "that compute are converted"
        )
    yield from _foreign(table, kind)


def _foreign(table: dict[str, Any], kind: object) -> Iterator[str]:
    """Yield what a table says about where its class comes from, if that is not Keras."""
    if unknown := table.keys() - _KEYS:
        yield f"has an unknown entry {_braced(min(unknown))} in its layer {{layer}}"
    module, registered = table.get("module"), table.get("registered_name")
    is_keras = isinstance(module, str) and _KERAS.fullmatch(module)
    if not (module is None or is_keras or (module == "builtins" and kind == "function")):
        yield f"contains code (the module {_braced(module)}), which is never run"
    if registered not in (None, "function", kind, table.get("config")):
        yield f"has a class registered as {_braced(registered)}, which is not one of Keras"
    if table.get("compile_config"):
        yield "contains a compiled model in its layer {layer}: save it with compile=False"


def _is_one_of(value: object, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


def _text(value: object) -> str:
    return repr(clean(str(value))[:_MAX_TEXT])


def _braced(value: object) -> str:
    """Return a text from the file for use in a format string."""
    return _text(value).replace("{", "{{").replace("}", "}}")
